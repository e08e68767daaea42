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

Status check_same_heads(const char* function, const SampleSizes& found,
                        const SampleSizes& expected) {
  if (found.heads == expected.heads && found.kv_heads == expected.kv_heads &&
      found.dim == expected.dim)
    return {};
  return fail(ErrorCode::invalid_argument,
              "{}: found a sample of {} and {} heads of {}, expected {} and {} of {}, as the first "
              "has",
              function, found.heads, found.kv_heads, found.dim, expected.heads, expected.kv_heads,
              expected.dim);
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

Result<PartsOfHeads> parts_of_samples(const char* function, std::span<const RouterSample> samples,
                                      const SampleSizes& expected, const PartsOf& parts_of) {
  PartsOfHeads of_heads(static_cast<size_t>(expected.kv_heads));
  for (const RouterSample& sample : samples) {
    LATHE_TRY(const SampleSizes sizes, check_sample(sample));
    LATHE_CHECK(check_same_heads(function, sizes, expected));
    std::vector<MassPart> parts = parts_of(sample, sizes);
    for (size_t head = 0; head < parts.size(); ++head)
      of_heads[head].push_back(std::move(parts[head]));
  }
  return of_heads;
}

DenseMass::DenseMass(const RouterSample& sample, const SampleSizes& sizes, int64_t block,
                     Attention::Causal causal)
    : sample_(sample),
      sizes_(sizes),
      block_(block),
      causal_(causal),
      weights_(static_cast<size_t>(sizes.context)) {}

int64_t DenseMass::end_of(int64_t token) const {
  if (causal_ == Attention::Causal::none) return sizes_.context;
  const int64_t shift = causal_ == Attention::Causal::end ? sizes_.context - sizes_.tokens : 0;
  return std::clamp<int64_t>(token + shift + 1, 0, sizes_.context);
}

void DenseMass::add(int64_t head, int64_t token, double factor, std::span<double> to) {
  const int64_t end = end_of(token), kv_head = head / sizes_.group();
  const double scale = 1 / std::sqrt(static_cast<double>(sizes_.dim));
  const float* query =
      static_cast<const float*>(sample_.q.data) + (token * sizes_.heads + head) * sizes_.dim;
  const auto* k = static_cast<const float*>(sample_.k.data);
  double largest = -INFINITY, sum = 0;
  for (int64_t s = 0; s < end; ++s) {
    const double score =
        scale * dot(query, k + (s * sizes_.kv_heads + kv_head) * sizes_.dim, sizes_.dim);
    weights_[static_cast<size_t>(s)] = score;
    largest = std::max(largest, score);
  }
  for (int64_t s = 0; s < end; ++s) {
    double& weight = weights_[static_cast<size_t>(s)];
    weight = std::exp(weight - largest);
    sum += weight;
  }
  for (int64_t s = 0; s < end; ++s)
    to[static_cast<size_t>(s / block_)] += factor * weights_[static_cast<size_t>(s)] / sum;
}

std::vector<Matrix> pooled_blocks(const TensorView& x, int64_t block, int64_t rows) {
  const int64_t tokens = x.shape[0], all = x.shape[1] * x.shape[2], width = all / rows;
  std::vector<Matrix> pooled(static_cast<size_t>(rows), Matrix(blocks_of(tokens, block), width));
  const auto* values = static_cast<const float*>(x.data);
  for (int64_t t = 0; t < tokens; ++t) {
    const int64_t i = t / block;
    const auto count = static_cast<double>(std::min(block, tokens - i * block));
    for (int64_t c = 0; c < all; ++c)
      pooled[static_cast<size_t>(c / width)].row(i)[c % width] +=
          double{values[t * all + c]} / count;
  }
  return pooled;
}

Matrix product_with_means(const SampleSizes& sizes, int64_t features) {
  Matrix form(sizes.group() * sizes.dim, features);
  const double scale =
      1 / (std::sqrt(static_cast<double>(sizes.dim)) * static_cast<double>(sizes.group()));
  for (int64_t i = 0; i < form.rows; ++i) form.row(i)[i % sizes.dim] = scale;
  return form;
}

}  // namespace runtime

Result<std::vector<float>> block_mass(const RouterSample& sample, int64_t block,
                                      Attention::Causal causal) {
  LATHE_TRY(const runtime::SampleSizes sizes, runtime::check_sample(sample));
  if (block < 1)
    return fail(ErrorCode::invalid_argument, "block: found {}, expected at least 1", block);
  const auto query_blocks = static_cast<size_t>(runtime::blocks_of(sizes.tokens, block));
  const auto key_blocks = static_cast<size_t>(runtime::blocks_of(sizes.context, block));
  std::vector<double> mass(static_cast<size_t>(sizes.kv_heads) * query_blocks * key_blocks);
  runtime::DenseMass dense(sample, sizes, block, causal);
  for (int64_t head = 0; head < sizes.heads; ++head) {
    const auto kv_head = static_cast<size_t>(head / sizes.group());
    for (int64_t t = 0; t < sizes.tokens; ++t) {
      const int64_t i = t / block;
      const int64_t rows = std::min(block, sizes.tokens - i * block) * sizes.group();
      const size_t row = kv_head * query_blocks + static_cast<size_t>(i);
      dense.add(head, t, 1 / static_cast<double>(rows),
                std::span(mass).subspan(row * key_blocks, key_blocks));
    }
  }
  return std::vector<float>(mass.begin(), mass.end());
}

}  // namespace lathe
