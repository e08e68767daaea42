// layer_norm: y[r,:] = (h[r,:] - mean) * rsqrt(variance + eps) * weight + bias, h = prologue(x[r,:]
// …).
//
// A mean that is large beside the deviation must not cost accuracy. The statistics are then taken
// of h - pivot for a pivot near the mean; h - pivot is exact where h is near it.
#include <algorithm>

#include "compiler/kernels/families.h"
#include "compiler/kernels/norm.h"

namespace lathe::compiler::kernels {
namespace {

enum class Variance : uint8_t { guarded, shifted, two_pass };

// Plain sums of h and h^2 are taken as they are while mean^2 is at most this times the variance:
// the difference then loses a factor of this plus one, less than three bits.
constexpr float kSafeRatio = 4;

// Running sums of h beside `accumulators` of h^2: an addition takes half as long as a multiply-add.
int64_t sums(int64_t accumulators) { return std::max<int64_t>(accumulators / 2, 1); }

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
  const Norm norm(p);
  const bool is_roomy = norm.is_light() && norm.type == Type::f32;
  SearchSpace space = norm_space(norm, target, is_roomy ? 8 : 4);
  space.choice(
      "variance", {"guarded", "shifted", "two_pass"}, "guarded",
      "sums of h and h^2, and once more about the mean where that cancels; about the mean of "
      "the first vector; always about the mean");
  add_division(space);
  const bool converts = (norm.type == Type::f16 || norm.out == Type::f16) && !target.f16c;
  const int64_t left = target.vector_registers - (is_roomy ? 4 : 8) - (converts ? 2 : 0);
  space.require(
      [=](const Schedule& s) { return s["accumulators"] + sums(s["accumulators"]) <= left; },
      "the running values and a pass's temporaries must fit the vector registers");
  return space;
}

/// Writes the passes of one row.
class LayerNormRow {
 public:
  LayerNormRow(NormRow& row, const Norm& norm, Builder& b, math::Options options, float eps)
      : row_(row),
        norm_(norm),
        b_(b),
        options_(options),
        eps_(eps),
        inverse_width_(1.0F / static_cast<float>(norm.width)) {}

  void guarded() {
    const Moments sums = moments(Vec{}, /*first=*/true);
    const Vec mean = sums.first;
    const Vec variance = b_.fnma(mean, mean, sums.second);
    const Vec most = variance * kSafeRatio;
    ir::program::Instr bits{.op = ir::program::Op::sbits};
    bits.src[0] = b_.compare(ir::program::Compare::gt, mean * mean, most).reg;
    Scalar cancels;
    cancels.reg = b_.emit(bits);
    cancels.builder = &b_;
    b_.branch(
        ir::program::Compare::eq, cancels, 0,
        [&] {
          const Vec scale = math::rsqrt(b_, variance + eps_, options_);
          write(Vec{}, mean, scale);
        },
        [&] { about(mean, /*first=*/false); });
  }

  void shifted() {
    const auto lanes = static_cast<float>(std::min<int64_t>(norm_.width, b_.lanes()));
    const Vec first = row_.masked(row_.first_vector(), row_.first(), 0);
    about(b_.reduce_add(first) * (1.0F / lanes), /*first=*/true);
  }

  void two_pass() {
    Accumulators sums(b_, row_.accumulators(), 0);
    row_.first_pass(
        0, [&](Vec h, const Span&, int place) { b_.set(sums.of(place), h + sums.of(place)); });
    about(sums.sum() * inverse_width_, /*first=*/false);
  }

 private:
  /// The means of h - pivot and of its square.
  struct Moments {
    Vec first, second;
  };

  // Without a pivot: of h itself.
  Moments moments(Vec pivot, bool first) {
    Accumulators differences(b_, static_cast<int>(sums(row_.accumulators())), 0);
    Accumulators squares(b_, row_.accumulators(), 0);
    const auto add = [&](Vec h, const Span& i, int place) {
      const Vec d = pivot.reg.valid() ? row_.masked(h - pivot, i, 0) : h;
      b_.set(differences.of(place), d + differences.of(place));
      b_.set(squares.of(place), b_.fma(d, d, squares.of(place)));
    };
    if (first) {
      row_.first_pass(0, add);
    } else {
      row_.again(add);
    }
    const Vec mean = differences.sum() * inverse_width_;
    return {mean, squares.sum() * inverse_width_};
  }

  void about(Vec pivot, bool first) {
    const Moments sums = moments(pivot, first);
    const Vec raw = b_.fnma(sums.first, sums.first, sums.second);
    const Vec variance = b_.max(b_.constant(0), raw);  // rounding may leave it below 0
    write(pivot, sums.first, math::rsqrt(b_, variance + eps_, options_));
  }

  // y = (h - pivot - shift) * scale, weighted.
  void write(Vec pivot, Vec shift, Vec scale) {
    const Vec shifted = shift * scale;
    const Vec offset = b_.sub(b_.constant(0), shifted);
    row_.last_pass([&](Vec h, const Span& i, int) {
      const Vec d = pivot.reg.valid() ? h - pivot : h;
      return row_.weighted(b_.fma(d, scale, offset), i);
    });
  }

  NormRow& row_;
  const Norm& norm_;
  Builder& b_;
  math::Options options_;
  float eps_;
  float inverse_width_;
};

Result<Plan> build(const Problem& p, const Schedule& s, const Target& target) {
  const auto eps = static_cast<float>(p.number("eps"));
  return build_norm(p, space(p, target), s, target,
                    [&](NormRow& row, const Norm& norm, Builder& b) {
                      LayerNormRow passes(row, norm, b, options_of(s), eps);
                      switch (static_cast<Variance>(s["variance"])) {
                        case Variance::guarded: return passes.guarded();
                        case Variance::shifted: return passes.shifted();
                        case Variance::two_pass: return passes.two_pass();
                      }
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
    layer_norm.revision = 2;
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
