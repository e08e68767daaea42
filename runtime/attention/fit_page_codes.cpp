// Fits the weights of page codes to the mass of dense attention, one head of k after the other.
#include <algorithm>

#include <lathe/page_codes.h>

#include "runtime/attention/page_features.h"
#include "runtime/attention/router_sample.h"
#include "runtime/attention/visible_blocks.h"
#include "support/error.h"

namespace lathe {
namespace {

using runtime::MassPart;
using runtime::Matrix;
using runtime::SampleSizes;

/// What is seen of each page of a head's keys; the last page may be short.
Matrix features_of_pages(const RouterSample& sample, const SampleSizes& sizes, int64_t page,
                         int64_t head) {
  const int64_t pages = runtime::blocks_of(sizes.context, page);
  const auto* k = static_cast<const float*>(sample.k.data);
  Matrix features(pages, runtime::kPageFeatures * sizes.dim);
  for (int64_t p = 0; p < pages; ++p) {
    runtime::page_features(
        std::min(page, sizes.context - p * page), sizes.dim,
        [&](int64_t j, int64_t d) {
          return double{k[((p * page + j) * sizes.kv_heads + head) * sizes.dim + d]};
        },
        {features.row(p), static_cast<size_t>(features.columns)});
  }
  return features;
}

/// One sample's, for each head of k: a row for each token that is fitted to, its heads side by
/// side.
std::vector<MassPart> page_parts(const RouterSample& sample, const SampleSizes& sizes,
                                 const PageCodeFit& fit) {
  const int64_t rows = runtime::blocks_of(sizes.tokens, fit.stride);
  const int64_t wide = sizes.group() * sizes.dim;
  const auto* q = static_cast<const float*>(sample.q.data);
  runtime::DenseMass dense(sample, sizes, fit.page, fit.causal);
  std::vector<MassPart> parts;
  for (int64_t head = 0; head < sizes.kv_heads; ++head) {
    Matrix pages = features_of_pages(sample, sizes, fit.page, head);
    MassPart& part = parts.emplace_back(rows, pages.rows);
    part.k = std::move(pages);
    part.q = Matrix(rows, wide);
    for (int64_t i = 0; i < rows; ++i) {
      const int64_t token = i * fit.stride;
      std::copy_n(q + token * sizes.heads * sizes.dim + head * wide, wide, part.q.row(i));
      std::vector<double> mass(static_cast<size_t>(part.k.rows));
      for (int64_t h = head * sizes.group(); h < (head + 1) * sizes.group(); ++h)
        dense.add(h, token, 1 / static_cast<double>(sizes.group()), mass);
      std::vector<char> is_candidate(mass.size());
      const int64_t seen = runtime::blocks_of(dense.end_of(token), fit.page);
      for (int64_t p = fit.sinks; p < seen - fit.local; ++p)
        is_candidate[static_cast<size_t>(p)] = 1;
      part.set_row(i, mass, is_candidate);
    }
  }
  return parts;
}

Status check_code_fit(std::span<const RouterSample> samples, std::span<const RouterSample> held_out,
                      const PageCodeFit& fit) {
  if (samples.empty() || held_out.empty()) {
    return fail(ErrorCode::invalid_argument,
                "fit_page_codes: found {} samples and {} that are held out, expected one or more "
                "of each",
                samples.size(), held_out.size());
  }
  const int64_t dim = samples.front().k.rank == 3 ? samples.front().k.shape[2] : 0;
  if (fit.page < 1 || fit.rank < 1 || fit.rank > dim || fit.sinks < 0 || fit.local < 1 ||
      fit.stride < 1 || fit.steps < 0 || !(fit.learning_rate >= 0) || !(fit.decay >= 0)) {
    return fail(ErrorCode::invalid_argument,
                "fit_page_codes: found page {}, rank {}, sinks {}, local {}, stride {}, steps {}, "
                "learning_rate {}, decay {}; expected page, local and stride from 1 on, a rank of "
                "1 to {}, the size of a head, and nothing negative",
                fit.page, fit.rank, fit.sinks, fit.local, fit.stride, fit.steps, fit.learning_rate,
                fit.decay, dim);
  }
  return {};
}

void append_numbers(const Matrix& matrix, std::vector<float>& to) {
  for (const double value : matrix.values) to.push_back(static_cast<float>(value));
}

}  // namespace

Result<PageCodeWeights> fit_page_codes(std::span<const RouterSample> samples,
                                       std::span<const RouterSample> held_out,
                                       const PageCodeFit& fit) {
  LATHE_CHECK(check_code_fit(samples, held_out, fit));
  LATHE_TRY(const SampleSizes sizes, runtime::check_sample(samples.front()));
  const auto parts_of = [&](const RouterSample& sample, const SampleSizes& these) {
    return page_parts(sample, these, fit);
  };
  LATHE_TRY(runtime::PartsOfHeads of_heads,
            runtime::parts_of_samples("fit_page_codes", samples, sizes, parts_of));
  LATHE_TRY(runtime::PartsOfHeads held_out_of_heads,
            runtime::parts_of_samples("fit_page_codes", held_out, sizes, parts_of));
  const Matrix prior = runtime::product_with_means(sizes, runtime::kPageFeatures * sizes.dim);
  PageCodeWeights weights;
  weights.heads = sizes.heads;
  weights.kv_heads = sizes.kv_heads;
  weights.dim = sizes.dim;
  weights.rank = fit.rank;
  for (size_t head = 0; head < of_heads.size(); ++head) {
    LATHE_TRY(
        const runtime::BilinearForm form,
        runtime::fit_bilinear(std::move(of_heads[head]), std::move(held_out_of_heads[head]), prior,
                              {.rank = fit.rank,
                               .steps = fit.steps,
                               .learning_rate = fit.learning_rate,
                               .decay = fit.decay}));
    append_numbers(form.a, weights.w);
    append_numbers(form.b, weights.wk);
    weights.loss += form.loss / static_cast<double>(sizes.kv_heads);
    weights.held_out_loss += form.held_out_loss / static_cast<double>(sizes.kv_heads);
  }
  return weights;
}

}  // namespace lathe
