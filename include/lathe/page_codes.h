// Learned codes of pages: fitted to captured attention, and made of keys, for AttentionPageScores.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <lathe/error.h>
#include <lathe/ops.h>
#include <lathe/routing.h>
#include <lathe/tensor_view.h>

namespace lathe {

/// What makes codes: a page's is (mean ++ least ++ greatest of its keys, dimension by dimension) ·
/// wk, and its score the sum of (q · w) · code over the tokens and heads of q that share the head
/// of k. w is an operand of AttentionPageScores{.select = Select::learned}.
struct PageCodeWeights {
  int64_t heads = 0, kv_heads = 0, dim = 0, rank = 0;
  std::vector<float> w;   ///< [heads, dim, rank]
  std::vector<float> wk;  ///< [kv_heads, 3 * dim, rank]
  /// Mean divergence in nats of the scores' softmax from the shares of dense attention, the mean
  /// over heads of k: over the samples, and over those that were held out. Not kept by save().
  double loss = 0, held_out_loss = 0;

  TensorView w_view() const { return {w.data(), {heads, dim, rank}}; }
  TensorView wk_view() const { return {wk.data(), {kv_heads, 3 * dim, rank}}; }

  /// Writes `<stem>.w.npy` and `<stem>.wk.npy`.
  Status save(const std::string& stem) const;
  /// Reads them. not_found or io_error; corrupt or invalid_argument for files that are no weights,
  /// do not belong together, or hold NaN or infinity.
  static Result<PageCodeWeights> load(const std::string& stem);
};

/// How they are fitted.
struct PageCodeFit {
  int64_t page = 16;
  int64_t rank = 16;  ///< at most the size of a head
  Attention::Causal causal = Attention::Causal::end;
  int64_t sinks = 1, local = 1;  ///< pages that are read whatever their scores need none
  int64_t stride = 1;            ///< of the tokens of a sample each stride-th is fitted to
  int steps = 200;
  double learning_rate = 0.02;
  double decay = 1e-3;  ///< of weights, as a share of the learning rate
};

/// Weights by which the softmax of a token's scores is as near as may be to the shares of its dense
/// attention that the pages get, in the Kullback-Leibler divergence. Gradient steps (Kingma and Ba,
/// Adam, 2015) lead there from two starts: the singular vectors of the gradient where all scores
/// are equal, and the nearest form of that rank to the product of q with the mean of the page's
/// keys. What does best on `held_out`, of both and of every tenth step, is taken: so it is no worse
/// there than that nearest form, whatever the samples are. The same for the same samples.
/// invalid_argument where there is no sample or none held out, for samples that do not fit each
/// other, and for values that are NaN or infinite.
Result<PageCodeWeights> fit_page_codes(std::span<const RouterSample> samples,
                                       std::span<const RouterSample> held_out,
                                       const PageCodeFit& fit);

/// Codes of pages of any size: k [batch, pages, page, kv_heads, dim], f32, f16 or bf16 with any
/// strides -> codes f32 [batch, pages, kv_heads, rank] with any strides. Pages that still fill up
/// are to be among those that are read whatever their scores. Keys that are NaN make scores that
/// are. invalid_argument naming what does not fit, before anything is written. Safe to call from
/// several threads for different codes.
Status page_codes(const TensorView& k, const PageCodeWeights& weights, const TensorView& codes);

}  // namespace lathe
