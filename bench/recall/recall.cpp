// Scores by the library's kernels, lists by its selection, shares by dense attention.
#include "bench/recall/recall.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>

#include "runtime/attention/router_sample.h"
#include "support/error.h"

namespace lathe::bench {
namespace {

constexpr AlwaysRead kAlways = {.sinks = 1, .local = 1};

Status check_square(const runtime::SampleSizes& sizes, int64_t block) {
  if (sizes.tokens == sizes.context && block > 0 && sizes.context % block == 0) return {};
  return fail(
      ErrorCode::invalid_argument,
      "found {} tokens, {} keys and blocks of {}, expected as many tokens as keys, in whole "
      "blocks",
      sizes.tokens, sizes.context, block);
}

/// w and wk for scores that are products with the means of pages.
PageCodeWeights weights_of_means(int64_t heads, int64_t kv_heads, int64_t dim) {
  PageCodeWeights weights;
  weights.heads = heads;
  weights.kv_heads = kv_heads;
  weights.dim = weights.rank = dim;
  weights.w.resize(static_cast<size_t>(heads * dim * dim));
  weights.wk.resize(static_cast<size_t>(kv_heads * 3 * dim * dim));
  for (int64_t i = 0; i < heads * dim; ++i) weights.w[static_cast<size_t>(i * dim + i % dim)] = 1;
  for (int64_t head = 0; head < kv_heads; ++head)
    for (int64_t d = 0; d < dim; ++d)
      weights.wk[static_cast<size_t>((head * 3 * dim + d) * dim + d)] = 1;
  return weights;
}

}  // namespace

Result<PageRecall> PageRecall::of(const Library& library, const RouterSample& sample, int64_t page,
                                  double density, int64_t stride) {
  LATHE_TRY(const runtime::SampleSizes sizes, runtime::check_sample(sample));
  LATHE_CHECK(check_square(sizes, page));
  PageRecall recall(library, sample, page, density);
  runtime::DenseMass dense(sample, sizes, page, Attention::Causal::end);
  for (int64_t t = sizes.tokens / 2; t < sizes.tokens; t += stride) {
    Token& token = recall.tokens_.emplace_back();
    token.token = t;
    for (int64_t kv_head = 0; kv_head < sizes.kv_heads; ++kv_head) {
      std::vector<double> mass(static_cast<size_t>(recall.pages()));
      for (int64_t h = kv_head * sizes.group(); h < (kv_head + 1) * sizes.group(); ++h)
        dense.add(h, t, 1 / static_cast<double>(sizes.group()), mass);
      token.mass.insert(token.mass.end(), mass.begin(), mass.end());
    }
  }
  return recall;
}

Result<double> PageRecall::kept_by(const Scorer& scorer) const {
  std::vector<float> scores(static_cast<size_t>(kv_heads() * pages()));
  const TensorView of_scores(scores.data(), {1, kv_heads(), pages()});
  double sum = 0;
  for (const Token& token : tokens_) {
    LATHE_CHECK(scorer(token.token, of_scores));
    const auto length = static_cast<int32_t>(token.token + 1);
    const int64_t seen = (length + page_ - 1) / page_;
    const auto wanted = std::llround(density_ * static_cast<double>(seen));
    const int64_t kept = std::max<int64_t>(wanted, kAlways.sinks + kAlways.local);
    std::vector<int32_t> list(static_cast<size_t>(kv_heads() * kept));
    LATHE_CHECK(select_pages(of_scores, {&length, {1}}, page_, kAlways,
                             {list.data(), {1, kv_heads(), kept}}));
    for (size_t i = 0; i < list.size(); ++i) {
      // A list that is longer than there are pages repeats the last.
      if (i % static_cast<size_t>(kept) > 0 && list[i] == list[i - 1]) continue;
      const int64_t kv_head = static_cast<int64_t>(i) / kept;
      sum += double{token.mass[static_cast<size_t>(kv_head * pages() + list[i])]};
    }
  }
  return sum / static_cast<double>(static_cast<int64_t>(tokens_.size()) * kv_heads());
}

Result<double> PageRecall::kept_by_kernel(const AttentionPageScores& op, const TensorView& w,
                                          const TensorView& codes) const {
  LATHE_TRY(const Kernel kernel, library_.fetch(op));
  const auto* q = static_cast<const float*>(sample_.q.data);
  return kept_by([&](int64_t token, const TensorView& scores) -> Status {
    std::vector<TensorView> inputs = {{q + token * heads() * dim(), {1, 1, heads(), dim()}}};
    if (w.data != nullptr) inputs.push_back(w);
    inputs.push_back(codes);
    return kernel(inputs, std::span(&scores, 1));
  });
}

Result<double> PageRecall::oracle() const {
  size_t next = 0;
  return kept_by([&](int64_t, const TensorView& scores) -> Status {
    const std::vector<float>& mass = tokens_[next++].mass;
    std::copy(mass.begin(), mass.end(), static_cast<float*>(scores.data));
    return {};
  });
}

Result<double> PageRecall::bounds() const {
  LATHE_TRY(const Kernel kernel,
            library_.fetch(AttentionPageBounds{
                .kv_heads = kv_heads(), .dim = dim(), .page = page_, .pages = pages()}));
  std::vector<float> bounds(static_cast<size_t>(pages() * kv_heads() * 2 * dim()));
  const TensorView of_bounds(bounds.data(), {1, pages(), kv_heads(), 2 * dim()});
  LATHE_CHECK(kernel({keys_by_page()}, {of_bounds}));
  return kept_by_kernel({.heads = heads(), .kv_heads = kv_heads(), .dim = dim(), .pages = pages()},
                        {}, of_bounds);
}

Result<double> PageRecall::means() const {
  return codes(weights_of_means(heads(), kv_heads(), dim()));
}

Result<double> PageRecall::codes(const PageCodeWeights& weights) const {
  std::vector<float> codes(static_cast<size_t>(pages() * kv_heads() * weights.rank));
  const TensorView of_codes(codes.data(), {1, pages(), kv_heads(), weights.rank});
  LATHE_CHECK(page_codes(keys_by_page(), weights, of_codes));
  return kept_by_kernel({.select = AttentionPageScores::Select::learned,
                         .heads = heads(),
                         .kv_heads = kv_heads(),
                         .dim = dim(),
                         .rank = weights.rank,
                         .pages = pages()},
                        weights.w_view(), of_codes);
}

Result<BlockRecall> BlockRecall::of(const Library& library, const RouterSample& sample,
                                    int64_t block, double density) {
  LATHE_TRY(const runtime::SampleSizes sizes, runtime::check_sample(sample));
  LATHE_CHECK(check_square(sizes, block));
  BlockRecall recall(library, sample, block);
  LATHE_TRY(recall.mass_, block_mass(sample, block, Attention::Causal::end));
  // Pairs that lists of `kept` have, of those that are seen.
  const auto density_of = [&](int64_t kept) {
    double sum = 0, all = 0;
    for (int64_t i = 1; i <= recall.blocks(); ++i) {
      sum += static_cast<double>(std::min(i, kept));
      all += static_cast<double>(i);
    }
    return sum / all;
  };
  recall.kept_ = std::min<int64_t>(2, recall.blocks());
  while (recall.kept_ < recall.blocks() && std::fabs(density_of(recall.kept_ + 1) - density) <=
                                               std::fabs(density_of(recall.kept_) - density))
    ++recall.kept_;
  return recall;
}

Result<double> BlockRecall::kept_by(const TensorView& scores) const {
  const int64_t rows = kv_heads() * blocks();
  std::vector<int32_t> counts(static_cast<size_t>(rows));
  std::vector<int32_t> lists(static_cast<size_t>(rows * kept_));
  const int64_t tokens = sample_.q.shape[0];
  LATHE_CHECK(select_blocks(scores, {.block = block_, .tokens = tokens, .context = tokens},
                            {counts.data(), {1, kv_heads(), blocks()}},
                            {lists.data(), {1, kv_heads(), blocks(), kept_}}));
  double sum = 0;
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t i = 0; i < counts[static_cast<size_t>(row)]; ++i) {
      const int32_t chosen = lists[static_cast<size_t>(row * kept_ + i)];
      sum += double{mass_[static_cast<size_t>(row * blocks() + chosen)]};
    }
  }
  return sum / static_cast<double>(rows);
}

Result<double> BlockRecall::oracle() const {
  return kept_by({mass_.data(), {1, kv_heads(), blocks(), blocks()}});
}

Result<double> BlockRecall::router(const RouterWeights* weights) const {
  const int64_t tokens = sample_.q.shape[0], heads = sample_.q.shape[1], dim = sample_.q.shape[2];
  LATHE_TRY(const Kernel kernel,
            library_.fetch(AttentionRouter{.block = block_,
                                           .heads = heads,
                                           .kv_heads = kv_heads(),
                                           .dim = dim,
                                           .rank = weights == nullptr ? 0 : weights->rank,
                                           .tokens = tokens,
                                           .context = tokens}));
  std::vector<TensorView> inputs = {
      {static_cast<const float*>(sample_.q.data), {1, tokens, heads, dim}},
      {static_cast<const float*>(sample_.k.data), {1, tokens, kv_heads(), dim}}};
  if (weights != nullptr) {
    inputs.push_back(weights->wq_view());
    inputs.push_back(weights->wk_view());
  }
  std::vector<float> scores(mass_.size());
  const TensorView of_scores(scores.data(), {1, kv_heads(), blocks(), blocks()});
  LATHE_CHECK(kernel(inputs, std::span(&of_scores, 1)));
  return kept_by(of_scores);
}

}  // namespace lathe::bench
