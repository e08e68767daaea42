// The mass that dense attention gives to blocks, and blocks pooled to their means.
#include <algorithm>
#include <cmath>

#include "runtime/attention/router_sample.h"
#include "runtime/attention/visible_blocks.h"
#include "support/error.h"

namespace lathe {
namespace runtime {
namespace {

Status check_heads(const char* name, const TensorView& view) {
  bool fits = view.rank == 3 && view.type == DataType::f32 && view.data != nullptr;
  int64_t dense = 1;
  for (int k = 2; fits && k >= 0; --k) {
    fits = view.shape[k] > 0 && (view.shape[k] == 1 || view.strides[k] == dense);
    dense *= view.shape[k];
  }
  if (!fits) {
    return fail(ErrorCode::invalid_argument,
                "router sample: {}: expected dense f32 of [tokens, heads, dim], none of them 0",
                name);
  }
  const auto* values = static_cast<const float*>(view.data);
  for (int64_t i = 0; i < dense; ++i) {
    if (!std::isfinite(values[i])) {
      return fail(ErrorCode::invalid_argument,
                  "router sample: {}: found {} at [{}], expected finite numbers", name, values[i],
                  i);
    }
  }
  return {};
}

double dot(const float* a, const float* b, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += double{a[i]} * b[i];
  return sum;
}

}  // namespace

Result<SampleSizes> check_sample(const RouterSample& sample) {
  LATHE_CHECK(check_heads("q", sample.q));
  LATHE_CHECK(check_heads("k", sample.k));
  const SampleSizes sizes{.tokens = sample.q.shape[0],
                          .context = sample.k.shape[0],
                          .heads = sample.q.shape[1],
                          .kv_heads = sample.k.shape[1],
                          .dim = sample.q.shape[2]};
  if (sample.k.shape[2] != sizes.dim || sizes.heads % sizes.kv_heads != 0) {
    return fail(ErrorCode::invalid_argument,
                "router sample: found q of {} heads of {} and k of {} heads of {}; expected the "
                "same size, and a multiple of k's heads",
                sizes.heads, sizes.dim, sizes.kv_heads, sample.k.shape[2]);
  }
  return sizes;
}

std::vector<double> pooled_blocks(const TensorView& x, int64_t block, int64_t rows) {
  const int64_t tokens = x.shape[0], all = x.shape[1] * x.shape[2], width = all / rows;
  const int64_t blocks = blocks_of(tokens, block);
  std::vector<double> pooled(static_cast<size_t>(blocks * all));
  const auto* values = static_cast<const float*>(x.data);
  for (int64_t t = 0; t < tokens; ++t) {
    const int64_t i = t / block;
    const auto count = static_cast<double>(std::min(block, tokens - i * block));
    for (int64_t c = 0; c < all; ++c)
      pooled[static_cast<size_t>((c / width * blocks + i) * width + c % width)] +=
          values[t * all + c] / count;
  }
  return pooled;
}

}  // namespace runtime

Result<std::vector<float>> block_mass(const RouterSample& sample, int64_t block,
                                      Attention::Causal causal) {
  using runtime::blocks_of;
  LATHE_TRY(const runtime::SampleSizes sizes, runtime::check_sample(sample));
  if (block < 1)
    return fail(ErrorCode::invalid_argument, "block: found {}, expected at least 1", block);
  const int64_t query_blocks = blocks_of(sizes.tokens, block);
  const int64_t key_blocks = blocks_of(sizes.context, block);
  const int64_t shift = causal == Attention::Causal::end ? sizes.context - sizes.tokens : 0;
  const double scale = 1 / std::sqrt(static_cast<double>(sizes.dim));
  std::vector<float> mass(static_cast<size_t>(sizes.kv_heads * query_blocks * key_blocks));
  std::vector<double> weights(static_cast<size_t>(sizes.context));
  std::vector<double> of_block(static_cast<size_t>(key_blocks));
  const auto* q = static_cast<const float*>(sample.q.data);
  const auto* k = static_cast<const float*>(sample.k.data);
  for (int64_t head = 0; head < sizes.heads; ++head) {
    const int64_t kv_head = head / sizes.group();
    for (int64_t t = 0; t < sizes.tokens; ++t) {
      const int64_t end = causal == Attention::Causal::none
                              ? sizes.context
                              : std::clamp<int64_t>(t + shift + 1, 0, sizes.context);
      double largest = -INFINITY;
      for (int64_t s = 0; s < end; ++s) {
        const float* key = k + (s * sizes.kv_heads + kv_head) * sizes.dim;
        const double score =
            scale * runtime::dot(q + (t * sizes.heads + head) * sizes.dim, key, sizes.dim);
        weights[static_cast<size_t>(s)] = score;
        largest = std::max(largest, score);
      }
      double sum = 0;
      std::fill(of_block.begin(), of_block.end(), 0);
      for (int64_t s = 0; s < end; ++s) {
        const double weight = std::exp(weights[static_cast<size_t>(s)] - largest);
        of_block[static_cast<size_t>(s / block)] += weight;
        sum += weight;
      }
      if (end == 0) continue;
      const int64_t i = t / block;
      const auto rows =
          static_cast<double>(std::min(block, sizes.tokens - i * block) * sizes.group());
      float* row = mass.data() + (kv_head * query_blocks + i) * key_blocks;
      for (int64_t j = 0; j < key_blocks; ++j)
        row[j] += static_cast<float>(of_block[static_cast<size_t>(j)] / sum / rows);
    }
  }
  return mass;
}

}  // namespace lathe
