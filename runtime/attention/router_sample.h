// Captured queries and keys: what must hold of them, what dense attention gives to their blocks,
// and blocks pooled.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include <lathe/routing.h>

#include "runtime/attention/bilinear_fit.h"

namespace lathe::runtime {

/// Sizes of a sample that was checked.
struct SampleSizes {
  int64_t tokens = 0, context = 0;
  int64_t heads = 0, kv_heads = 0, dim = 0;
  int64_t group() const { return heads / kv_heads; }
};

/// invalid_argument where q and k are not f32, dense, finite and of sizes that belong together.
Result<SampleSizes> check_sample(const RouterSample& sample);

/// Parts to fit to, for each head of k one of each sample.
using PartsOfHeads = std::vector<std::vector<MassPart>>;

/// `parts_of` each sample, head by head. invalid_argument naming the caller `function` where a
/// sample is not as check_sample() asks, or its heads are not those of `expected`.
using PartsOf = std::function<std::vector<MassPart>(const RouterSample&, const SampleSizes&)>;
Result<PartsOfHeads> parts_of_samples(const char* function, std::span<const RouterSample> samples,
                                      const SampleSizes& expected, const PartsOf& parts_of);

/// Dense attention of one token at a time. The sample was checked and outlives this.
class DenseMass {
 public:
  DenseMass(const RouterSample& sample, const SampleSizes& sizes, int64_t block,
            Attention::Causal causal);

  /// Keys that the token sees: those before this one.
  int64_t end_of(int64_t token) const;
  /// Adds to each block of keys `factor` times the share of the token's attention that it gets from
  /// that head of q.
  void add(int64_t head, int64_t token, double factor, std::span<double> to);

 private:
  const RouterSample& sample_;
  SampleSizes sizes_;
  int64_t block_;
  Attention::Causal causal_;
  std::vector<double> weights_;  ///< of each key
};

/// Means over blocks of x [tokens, heads, dim], for each of `rows` heads with heads / rows · dim
/// numbers side by side: a matrix [blocks, heads / rows · dim] of each.
std::vector<Matrix> pooled_blocks(const TensorView& x, int64_t block, int64_t rows);

/// The form [group * dim, features] whose scores are the sum over heads of q of their products with
/// the mean key, the first `dim` features, scaled as attention scales the mean over these heads.
Matrix product_with_means(const SampleSizes& sizes, int64_t features);

}  // namespace lathe::runtime
