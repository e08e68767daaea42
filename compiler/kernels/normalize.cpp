// normalize: y[r,:] = h[r,:] / max(||h[r,:]||, eps), h = prologue(x[r,:] …).
#include "compiler/kernels/families.h"
#include "compiler/kernels/norm.h"

namespace lathe::compiler::kernels {
namespace {

Result<ir::graph::Graph> reference(const Problem& p) {
  return norm_reference(
      p, [&](ir::graph::GraphBuilder& graph, const std::vector<ir::graph::Var>& operands) {
        return graph.op("normalize", operands, {{"eps", p.number("eps")}});
      });
}

SearchSpace space(const Problem& p, const Target& target) {
  SearchSpace space = norm_space(Norm(p), target, 8);
  limit_accumulators(space, Norm(p), target, [](const Schedule&) { return 1; }, 8);
  return space;
}

Result<Plan> build(const Problem& p, const Schedule& s, const Target& target) {
  return build_norm(p, space(p, target), s, target, [&](NormRow& row, const Norm&, Builder& b) {
    Accumulators squares(b, row.accumulators(), 0);
    row.first_pass(0, [&](Vec h, const Span&, int place) {
      b.set(squares.of(place), b.fma(h, h, squares.of(place)));
    });
    const double eps = p.number("eps");
    const auto inverse_norm = [&](Vec sum, double least) {
      // A NaN norm stays: max() gives its second operand then.
      return math::reciprocal(b, b.max(b.constant(static_cast<float>(least)), b.sqrt(sum)));
    };
    const Vec sum = squares.sum();
    const Vec scale = b.vector();
    b.set(scale, inverse_norm(sum, eps));
    row.where_large(sum,
                    [&](Vec small) { b.set(scale, inverse_norm(small, eps * kShrink) * kShrink); });
    row.last_pass([&](Vec h, const Span&, int) { return h * scale; });
  });
}

Work work(const Problem& p, const Sizes& sizes) {
  const Norm norm(p);
  return work_of(norm.signature, sizes,
                 (3 + norm.fragment_flops()) * static_cast<double>(norm.width) + 3);
}

}  // namespace

const Family& normalize() {
  static const Family family = [] {
    Family normalize;
    normalize.name = "normalize";
    normalize.summary = "y = h / max(||h||, eps), h = prologue";
    normalize.example = "normalize rows=512..2047 width=2048";
    normalize.revision = 3;
    normalize.parameters = norm_parameters(/*with_weight=*/false, /*with_bias=*/false);
    normalize.parameters.push_back(eps_parameter(1e-12));
    normalize.limits = float_and_block_limits({1e-7, 4e-6});
    normalize.form = CallForm::rows;
    normalize.graph_ops = {"normalize"};
    normalize.smallest = "normalize rows=1 width=11";
    normalize.variants = {"", "prologue=mul(x,col(s)) keep=true"};
    normalize.validate = validate_norm;
    normalize.signature = norm_signature;
    normalize.reference = reference;
    normalize.space = space;
    normalize.build = build;
    normalize.work = work;
    return normalize;
  }();
  return family;
}

}  // namespace lathe::compiler::kernels
