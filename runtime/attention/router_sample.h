// Captured queries and keys: what must hold of them, and their pooled blocks.
#pragma once

#include <cstdint>
#include <vector>

#include <lathe/routing.h>

namespace lathe::runtime {

/// Sizes of a sample that was checked.
struct SampleSizes {
  int64_t tokens = 0, context = 0;
  int64_t heads = 0, kv_heads = 0, dim = 0;
  int64_t group() const { return heads / kv_heads; }
};

/// invalid_argument where q and k are not f32, dense, finite and of sizes that belong together.
Result<SampleSizes> check_sample(const RouterSample& sample);

/// Means over blocks of x [tokens, heads, dim], for each of `rows` heads with `width` = heads /
/// rows · dim numbers side by side: [rows, blocks, width].
std::vector<double> pooled_blocks(const TensorView& x, int64_t block, int64_t rows);

}  // namespace lathe::runtime
