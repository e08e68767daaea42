// layer_norm: y[r,:] = (h[r,:] - mean) * rsqrt(variance + eps) * weight + bias, h = prologue(x[r,:]
// …).
//
// Both statistics are taken of h - pivot for a pivot near the mean, and h - pivot is exact where h
// is near it; so a mean that is large beside the deviation costs no accuracy.
#include <algorithm>

#include "compiler/kernels/families.h"
#include "compiler/kernels/norm.h"

namespace lathe::compiler::kernels {
namespace {

enum class Variance : uint8_t { two_pass, shifted };

Result<ir::graph::Graph> reference(const Problem& p) {
  return norm_reference(
      p, [&](ir::graph::GraphBuilder& graph, const std::vector<ir::graph::Var>& given) {
        std::vector<ir::graph::Var> operands =
            given;  // an absent weight before a bias is an omitted operand
        if (!p.flag("weight") && p.flag("bias"))
          operands.insert(operands.begin() + 1, ir::graph::Var{});
        return graph.op("layer_norm", operands, {{"eps", p.number("eps")}});
      });
}

SearchSpace space(const Problem& p, const Target& target) {
  SearchSpace space = norm_space(Norm(p), target);
  space.choice(
      "variance", {"two_pass", "shifted"}, "shifted",
      "the pivot: the row's mean, from a pass of its own, or the mean of its first vector");
  return space;
}

Result<Plan> build(const Problem& p, const Schedule& s, const Target& target) {
  return build_norm(
      p, space(p, target), s, target, [&](NormRow& row, const Norm& norm, Builder& b) {
        const float count = 1.0F / static_cast<float>(norm.width);
        Accumulators differences(b, row.accumulators(), 0);
        Accumulators squares(b, row.accumulators(), 0);
        Vec pivot;
        const auto add = [&](Vec h, const Span& i, int place) {
          const Vec d = row.masked(h - pivot, i, 0);
          b.set(differences.of(place), d + differences.of(place));
          b.set(squares.of(place), b.fma(d, d, squares.of(place)));
        };
        if (static_cast<Variance>(s["variance"]) == Variance::two_pass) {
          Accumulators sums(b, row.accumulators(), 0);
          row.first_pass(
              0, [&](Vec h, const Span&, int place) { b.set(sums.of(place), h + sums.of(place)); });
          pivot = sums.sum() * count;
          row.again(add);
        } else {
          const auto lanes = static_cast<float>(std::min<int64_t>(norm.width, b.lanes()));
          pivot = b.reduce_add(row.masked(row.first_vector(), row.first(), 0)) * (1.0F / lanes);
          row.first_pass(0, add);
        }
        const Vec shift = differences.sum() * count;
        const Vec raw = b.fnma(shift, shift, squares.sum() * count);
        const Vec variance = b.max(b.constant(0), raw);  // rounding may leave it below 0
        const Vec scale = math::rsqrt(b, variance + static_cast<float>(p.number("eps")));
        const Vec shifted = shift * scale;
        const Vec offset = b.sub(b.constant(0), shifted);
        row.last_pass([&](Vec h, const Span& i, int) {
          return row.weighted(b.fma(h - pivot, scale, offset), i);
        });
      });
}

Work work(const Problem& p, const Sizes& sizes) {
  const Norm norm(p);
  // Sum; difference, square and sum; scale. Then mean, variance, eps and root of each row.
  return work_of(norm.signature, sizes,
                 (5 + norm.fragment_flops()) * static_cast<double>(norm.width) + 4);
}

}  // namespace

const Family& layer_norm() {
  static const Family family = [] {
    Family layer_norm;
    layer_norm.name = "layer_norm";
    layer_norm.summary = "y = (h - mean) * rsqrt(variance + eps) * weight + bias, h = prologue";
    layer_norm.example = "layer_norm rows=512..2047 width=1152";
    layer_norm.parameters = norm_parameters(/*with_weight=*/true, /*with_bias=*/true);
    layer_norm.parameters.push_back(eps_parameter(1e-6));
    layer_norm.validate = validate_norm;
    layer_norm.reference = reference;
    layer_norm.space = space;
    layer_norm.build = build;
    layer_norm.work = work;
    return layer_norm;
  }();
  return family;
}

}  // namespace lathe::compiler::kernels
