// log_softmax: y[r,:] = h[r,:] - max - log(sum(exp(h[r,:] - max))), h = prologue(x[r,:] …).
//
// NaN and infinity as in PyTorch: a NaN or +inf in a row, or nothing but -inf, makes the row NaN.
#include <limits>

#include "compiler/kernels/families.h"
#include "compiler/kernels/norm.h"
#include "compiler/kernels/softmax_statistics.h"

namespace lathe::compiler::kernels {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

Result<ir::graph::Graph> reference(const Problem& p) {
  return norm_reference(
      p, [&](ir::graph::GraphBuilder& graph, const std::vector<ir::graph::Var>& operands) {
        return graph.op("log_softmax", operands);
      });
}

SearchSpace space(const Problem& p, const Target& target) {
  SearchSpace space = norm_space(Norm(p), target, 4);
  add_passes(space, "maximum, sum of exponentials, differences; or maximum and sum in one pass");
  limit_accumulators(
      space, Norm(p), target,
      [](const Schedule& s) { return passes_of(s) == SoftmaxPasses::two ? 2 : 1; }, 12);
  return space;
}

// [docs:statistics]
SoftmaxStatistics maximum_then_sum(NormRow& row, Builder& b) {
  Accumulators largest(b, row.accumulators(), -kInfinity);
  row.first_pass(-kInfinity, raising(b, largest));
  const Vec top = largest.largest();
  Accumulators sums(b, row.accumulators(), 0);
  row.again([&](Vec h, const Span& i, int place) {
    const Vec e = row.masked(math::exp_nonpositive(b, h - top), i, 0);
    b.set(sums.of(place), e + sums.of(place));
  });
  return {top, sums.sum()};
}
// [/docs:statistics]

Result<Plan> build(const Problem& p, const Schedule& s, const Target& target) {
  return build_norm(p, space(p, target), s, target, [&](NormRow& row, const Norm&, Builder& b) {
    const SoftmaxStatistics statistics = passes_of(s) == SoftmaxPasses::two
                                             ? maximum_and_sum_in_one_pass(row, b)
                                             : maximum_then_sum(row, b);
    const Vec logarithm = math::log(b, statistics.sum);
    // Two differences: the sum of what is taken away may round away what a row of large values has
    // left.
    row.last_pass([&](Vec h, const Span&, int) { return h - statistics.largest - logarithm; });
  });
}

Work work(const Problem& p, const Sizes& sizes) {
  const Norm norm(p);
  // Maximum, difference, exponential, sum, difference.
  return work_of(norm.signature, sizes,
                 (5 + norm.fragment_flops()) * static_cast<double>(norm.width));
}

}  // namespace

const Family& log_softmax() {
  static const Family family = [] {
    Family log_softmax;
    log_softmax.name = "log_softmax";
    log_softmax.summary = "y = h - max(h) - log(sum(exp(h - max(h)))), h = prologue";
    log_softmax.example = "log_softmax rows=1 width=151936";
    log_softmax.revision = 1;
    log_softmax.parameters = norm_parameters(/*with_weight=*/false, /*with_bias=*/false);
    log_softmax.limits = float_and_block_limits({1e-6, 4e-6});
    log_softmax.form = CallForm::rows;
    log_softmax.graph_ops = {"log_softmax"};
    log_softmax.smallest = "log_softmax rows=1 width=8";
    log_softmax.variants = {"", "prologue=mul(x,0.25) epilogue=max(y,vec(floor))"};
    log_softmax.validate = validate_norm;
    log_softmax.signature = norm_signature;
    log_softmax.reference = reference;
    log_softmax.space = space;
    log_softmax.build = build;
    log_softmax.work = work;
    return log_softmax;
  }();
  return family;
}

}  // namespace lathe::compiler::kernels
