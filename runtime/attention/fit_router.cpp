// Fits a router's weights to the mass of dense attention, one head of k after the other.
#include <cmath>

#include "runtime/attention/router_sample.h"
#include "runtime/attention/visible_blocks.h"
#include "support/error.h"

namespace lathe {
namespace {

using runtime::MassPart;
using runtime::Matrix;
using runtime::SampleSizes;

/// One sample's, for each head of k: pooled blocks, and what those of tokens give to those of keys.
std::vector<MassPart> router_parts(const RouterSample& sample, const SampleSizes& sizes,
                                   const RouterFit& fit) {
  const int64_t query_blocks = runtime::blocks_of(sizes.tokens, fit.block);
  const int64_t key_blocks = runtime::blocks_of(sizes.context, fit.block);
  std::vector<Matrix> q = runtime::pooled_blocks(sample.q, fit.block, sizes.kv_heads);
  std::vector<Matrix> k = runtime::pooled_blocks(sample.k, fit.block, sizes.kv_heads);
  const BlockSelection selection{.block = fit.block,
                                 .tokens = sizes.tokens,
                                 .context = sizes.context,
                                 .causal = fit.causal,
                                 .sinks = fit.sinks,
                                 .local = fit.local};
  runtime::DenseMass dense(sample, sizes, fit.block, fit.causal);
  std::vector<MassPart> parts;
  for (int64_t head = 0; head < sizes.kv_heads; ++head) {
    MassPart& part = parts.emplace_back(query_blocks, key_blocks);
    part.q = std::move(q[static_cast<size_t>(head)]);
    part.k = std::move(k[static_cast<size_t>(head)]);
    for (int64_t i = 0; i < query_blocks; ++i) {
      const runtime::VisibleBlocks visible(selection, i);
      const int64_t end = std::min((i + 1) * fit.block, sizes.tokens);
      const double share = 1 / static_cast<double>((end - i * fit.block) * sizes.group());
      std::vector<double> mass(static_cast<size_t>(key_blocks));
      for (int64_t t = i * fit.block; t < end; ++t) {
        for (int64_t h = head * sizes.group(); h < (head + 1) * sizes.group(); ++h)
          dense.add(h, t, share, mass);
      }
      std::vector<char> is_candidate(mass.size());
      for (int64_t j = 0; j < visible.end; ++j)
        is_candidate[static_cast<size_t>(j)] = visible.is_kept(j) ? 0 : 1;
      part.set_row(i, mass, is_candidate);
    }
  }
  return parts;
}

Status check_fit(std::span<const RouterSample> samples, const RouterFit& fit) {
  if (samples.empty())
    return fail(ErrorCode::invalid_argument, "fit_router: found no samples, expected one or more");
  const int64_t dim = samples.front().k.rank == 3 ? samples.front().k.shape[2] : 0;
  if (fit.block < 1 || fit.rank < 1 || fit.rank > dim || fit.sinks < 0 || fit.local < 1 ||
      fit.steps < 0 || !(fit.learning_rate >= 0) || !(fit.decay >= 0)) {
    return fail(ErrorCode::invalid_argument,
                "fit_router: found block {}, rank {}, sinks {}, local {}, steps {}, learning_rate "
                "{}, decay {}; expected block and local from 1 on, a rank of 1 to {}, the size of "
                "a head, and nothing negative",
                fit.block, fit.rank, fit.sinks, fit.local, fit.steps, fit.learning_rate, fit.decay,
                dim);
  }
  return {};
}

void append(const Matrix& matrix, double factor, std::vector<float>& to) {
  for (const double value : matrix.values) to.push_back(static_cast<float>(value * factor));
}

}  // namespace

Result<RouterWeights> fit_router(std::span<const RouterSample> samples, const RouterFit& fit,
                                 std::span<const RouterSample> held_out) {
  LATHE_CHECK(check_fit(samples, fit));
  LATHE_TRY(const SampleSizes sizes, runtime::check_sample(samples.front()));
  const auto parts_of = [&](const RouterSample& sample, const SampleSizes& these) {
    return router_parts(sample, these, fit);
  };
  LATHE_TRY(runtime::PartsOfHeads of_heads,
            runtime::parts_of_samples("fit_router", samples, sizes, parts_of));
  LATHE_TRY(runtime::PartsOfHeads held_out_of_heads,
            runtime::parts_of_samples("fit_router", held_out, sizes, parts_of));
  // Without samples that are held out it would be chosen by how well it is learned by heart.
  const Matrix prior = held_out.empty() ? Matrix() : runtime::product_with_means(sizes, sizes.dim);
  RouterWeights weights;
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
    // The router divides its scores by the root of a head's size.
    append(form.a, std::sqrt(static_cast<double>(sizes.dim)), weights.wq);
    append(form.b, 1, weights.wk);
    weights.loss += form.loss / static_cast<double>(sizes.kv_heads);
    weights.held_out_loss += form.held_out_loss / static_cast<double>(sizes.kv_heads);
  }
  return weights;
}

}  // namespace lathe
