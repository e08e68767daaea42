// rms_norm: y[r,:] = h[r,:] * rsqrt(mean(h[r,:]^2) + eps) * weight, h = prologue(x[r,:] …).
#include "compiler/kernels/families.h"
#include "compiler/kernels/norm.h"

namespace lathe::compiler::kernels {
namespace {

Result<ir::graph::Graph> reference(const Problem& p) {
  return norm_reference(
      p, [&](ir::graph::GraphBuilder& graph, const std::vector<ir::graph::Var>& operands) {
        return graph.op("rms_norm", operands, {{"eps", p.number("eps")}});
      });
}

SearchSpace space(const Problem& p, const Target& target) {
  SearchSpace space = norm_space(Norm(p), target, 8);
  add_division(space);
  limit_accumulators(space, Norm(p), target, [](const Schedule&) { return 1; }, 8);
  return space;
}

Result<Plan> build(const Problem& p, const Schedule& s, const Target& target) {
  return build_norm(
      p, space(p, target), s, target, [&](NormRow& row, const Norm& norm, Builder& b) {
        Accumulators squares(b, row.accumulators(), 0);
        row.first_pass(0, [&](Vec h, const Span&, int place) {
          b.set(squares.of(place), b.fma(h, h, squares.of(place)));
        });
        const double eps = p.number("eps");
        const float inverse_width = 1.0F / static_cast<float>(norm.width);
        const auto root = [&](Vec mean, double added) {
          const auto addend = static_cast<float>(added);
          return math::rsqrt(b, addend > 0 ? mean + addend : mean, options_of(s));
        };
        const Vec mean_square = squares.sum() * inverse_width;
        const Vec scale = b.vector();
        b.set(scale, root(mean_square, eps));
        row.where_large(mean_square, [&](Vec sum) {
          b.set(scale, root(sum * inverse_width, eps * kShrink * kShrink) * kShrink);
        });
        row.last_pass([&](Vec h, const Span& i, int) { return row.weighted(h * scale, i); });
      });
}

Work work(const Problem& p, const Sizes& sizes) {
  const Norm norm(p);
  // Square and sum, scale; then one mean, eps and root a row.
  return work_of(norm.signature, sizes,
                 (3 + norm.fragment_flops()) * static_cast<double>(norm.width) + 3);
}

}  // namespace

const Family& rms_norm() {
  static const Family family = [] {
    Family rms_norm;
    rms_norm.name = "rms_norm";
    rms_norm.summary = "y = h * rsqrt(mean(h^2) + eps) * weight, h = prologue";
    rms_norm.example = "rms_norm rows=512..2047 width=2048 prologue=add(x,r) keep=true";
    rms_norm.revision = 3;
    rms_norm.parameters = norm_parameters(/*with_weight=*/true, /*with_bias=*/false);
    rms_norm.parameters.push_back(eps_parameter(1e-6));
    rms_norm.limits = float_and_block_limits({1e-6, 4e-6});
    rms_norm.form = CallForm::rows;
    rms_norm.graph_ops = {"rms_norm"};
    rms_norm.smallest = "rms_norm rows=1 width=11";
    rms_norm.variants = {"", "weight=false eps=0.01", "prologue=add(x,r) keep=true",
                         "prologue=mul(silu(x),u) epilogue=fma(y,vec(scale),g)"};
    rms_norm.validate = validate_norm;
    rms_norm.signature = norm_signature;
    rms_norm.reference = reference;
    rms_norm.space = space;
    rms_norm.build = build;
    rms_norm.work = work;
    return rms_norm;
  }();
  return family;
}

}  // namespace lathe::compiler::kernels
