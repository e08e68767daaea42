// From scores of blocks to the lists of BlockSparseAttention, and weights that make good scores.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <lathe/error.h>
#include <lathe/ops.h>
#include <lathe/tensor_view.h>

namespace lathe {

/// Which blocks of keys a block of tokens keeps: some always, others by their scores. The diagonal
/// are the blocks that hold the keys at which its tokens stand. With `causal` those behind the
/// diagonal are not kept.
struct BlockSelection {
  int64_t block = 64;  ///< tokens of a block, and keys of one
  int64_t tokens = 0;
  int64_t context = 0;
  Attention::Causal causal = Attention::Causal::end;
  int64_t kept = 0;      ///< at most, of all; 0: as many as a list has room for
  double threshold = 0;  ///< the least share of the softmax over those that it sees; 0: any
  int64_t sinks = 1;     ///< the first blocks that are kept always
  int64_t local = 1;     ///< the last ones up to the diagonal, itself always among them
};

/// Makes lists: of each block of tokens those that are kept always, then those of the highest
/// scores, the first of equal ones; a score that is NaN is the lowest. scores f32 [batch, kv_heads,
/// query_blocks, key_blocks] as AttentionRouter makes them -> counts i32 [batch, kv_heads,
/// query_blocks], blocks i32 [batch, kv_heads, query_blocks, room], dense. What a list does not
/// need of its room repeats its last block, or is 0. invalid_argument for shapes or sizes that do
/// not fit each other, and where lists have no room for what is kept always; nothing is written
/// then.
Status select_blocks(const TensorView& scores, const BlockSelection& selection,
                     const TensorView& counts, const TensorView& blocks);

/// The weights of an AttentionRouter: wq [heads, dim, rank], wk [kv_heads, dim, rank].
struct RouterWeights {
  int64_t heads = 0, kv_heads = 0, dim = 0, rank = 0;
  std::vector<float> wq, wk;
  /// Mean divergence in nats of the scores' softmax from the shares of dense attention, the mean
  /// over heads of k: over the samples, and over those that were held out. Not kept by save().
  double loss = 0, held_out_loss = 0;

  TensorView wq_view() const { return {wq.data(), {heads, dim, rank}}; }
  TensorView wk_view() const { return {wk.data(), {kv_heads, dim, rank}}; }

  /// Writes `<stem>.wq.npy` and `<stem>.wk.npy`.
  Status save(const std::string& stem) const;
  /// Reads them. not_found or io_error; corrupt or invalid_argument for files that are no weights,
  /// do not belong together, or hold NaN or infinity.
  static Result<RouterWeights> load(const std::string& stem);
};

/// q [tokens, heads, dim] and k [context, kv_heads, dim] of one sequence, f32 and dense, as
/// captured where attention reads them.
struct RouterSample {
  TensorView q, k;
};

/// How weights are fitted.
struct RouterFit {
  int64_t block = 64;
  int64_t rank = 16;  ///< at most the size of a head
  Attention::Causal causal = Attention::Causal::end;
  int64_t sinks = 1, local = 1;  ///< blocks that are kept always need no score
  int steps = 200;
  double learning_rate = 0.02;
  double decay = 1e-3;  ///< of weights, as a share of the learning rate
};

/// The share of dense attention that each block of tokens gives to each block of keys, the mean
/// over its tokens and the query heads of a head of k: [kv_heads, query_blocks, key_blocks]. Takes
/// time in proportion to tokens · context.
Result<std::vector<float>> block_mass(const RouterSample& sample, int64_t block,
                                      Attention::Causal causal);

/// Weights by which the softmax of a router's scores is as near as may be to the mass of dense
/// attention, in the Kullback-Leibler divergence over the samples: first from the singular vectors
/// of its gradient where all scores are equal, then by gradient steps (Kingma and Ba, Adam, 2015).
/// With `held_out` samples a second start is the nearest form of that rank to the product of mean
/// queries and mean keys, and what does best on these, of both and of every tenth step, is taken.
/// The same for the same samples. invalid_argument for samples that do not fit each other, for
/// values that are NaN or infinite, and for steps that lead to such weights.
Result<RouterWeights> fit_router(std::span<const RouterSample> samples, const RouterFit& fit,
                                 std::span<const RouterSample> held_out = {});

}  // namespace lathe
