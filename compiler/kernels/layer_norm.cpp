// layer_norm: y[r,:] = (h[r,:] - mean) * rsqrt(variance + eps) * weight + bias, h = prologue(x[r,:]
// …).
//
// A mean that is large beside the deviation must not cost accuracy. The statistics are then taken
// of h - pivot for a pivot near the mean; h - pivot is exact where h is near it. Where that pivot
// is not near enough (a row of one value, a mean that overflows) or the squares overflow, a last
// way begins at the row's first value and, as far as needed, shrinks all of them.
#include <algorithm>
#include <functional>
#include <vector>

#include "compiler/kernels/families.h"
#include "compiler/kernels/norm.h"

namespace lathe::compiler::kernels {
namespace {

enum class Variance : uint8_t { guarded, shifted, two_pass };

// The means of d and d^2 serve while the first's square is at most this times the variance: the
// difference then loses a factor of this plus one, less than three bits.
constexpr float kSafeRatio = 4;
// Added to the variance of shrunken rows, where eps is next to nothing: what is 0 stays so, and no
// variance that is not is as small.
constexpr double kLeastEps = 0x1p-120;

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
      "sums of h and h^2, and once more about the mean where that cancels; the same of h less the "
      "mean of the first vector; always about the mean");
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
    const Moments sums = moments(first_pass(), Vec{});
    branch_any(
        b_, is_safe(sums), [&] { write(Vec{}, sums.first, scale_of(sums)); },
        [&] { about(sums.first, again()); });
  }

  void shifted() {
    const auto lanes = static_cast<float>(std::min<int64_t>(norm_.width, b_.lanes()));
    const Vec first = row_.masked(row_.first_vector(), row_.first(), 0);
    about(b_.reduce_add(first) * (1.0F / lanes), first_pass());
  }

  void two_pass() {
    Accumulators sums(b_, row_.accumulators(), 0);
    row_.first_pass(
        0, [&](Vec h, const Span&, int place) { b_.set(sums.of(place), h + sums.of(place)); });
    about(sums.sum() * inverse_width_, again());
  }

 private:
  /// A pass over h.
  struct Pass {
    std::function<void(const NormRow::Visit&)> visit;
    int64_t accumulators;
  };

  /// The means of h - pivot and of its square.
  struct Moments {
    Vec first, second;
    Vec variance;  ///< rounding may leave it below 0
  };

  Pass first_pass() {
    return {[this](const auto& visit) { row_.first_pass(0, visit); }, row_.accumulators()};
  }
  Pass again() {
    return {[this](const auto& visit) { row_.again(visit); }, row_.accumulators()};
  }

  // Without a pivot: of h itself.
  Moments moments(const Pass& pass, Vec pivot) {
    Accumulators differences(b_, static_cast<int>(sums(pass.accumulators)), 0);
    Accumulators squares(b_, static_cast<int>(pass.accumulators), 0);
    pass.visit([&](Vec h, const Span& i, int place) {
      const Vec d = pivot.reg.valid() ? row_.masked(h - pivot, i, 0) : h;
      b_.set(differences.of(place), d + differences.of(place));
      b_.set(squares.of(place), b_.fma(d, d, squares.of(place)));
    });
    const Vec first = differences.sum() * inverse_width_;
    const Vec second = squares.sum() * inverse_width_;
    return {first, second, b_.fnma(first, first, second)};
  }

  // Whether the pivot was near enough and nothing overflowed; not where anything is no number.
  ir::program::Mask is_safe(const Moments& sums) {
    using ir::program::Compare;
    const auto near = b_.compare(Compare::le, sums.first * sums.first, sums.variance * kSafeRatio);
    return b_.both(near, b_.compare(Compare::lt, sums.second, b_.constant(kLargeSquare)));
  }

  Vec scale_of(const Moments& sums) { return math::rsqrt(b_, sums.variance + eps_, options_); }

  void about(Vec pivot, const Pass& pass) {
    const Moments sums = moments(pass, pivot);
    branch_any(
        b_, is_safe(sums), [&] { write(pivot, sums.first, scale_of(sums)); },
        [&] { from_first_value(sums.second); });
  }

  // `square`: about what the mean of (h - pivot)^2 is, or no number. Of one value for the whole row
  // all differences are 0, however large it is.
  void from_first_value(Vec square) {
    const auto usual = b_.compare(ir::program::Compare::lt, square, b_.constant(kLargeSquare));
    const Vec factor = b_.select(usual, b_.constant(1), b_.constant(kShrink));
    const double least = eps_ > 0 ? kLeastEps : 0;
    const double small = std::max(static_cast<double>(eps_) * kShrink * kShrink, least);
    const Vec eps = b_.select(usual, b_.constant(eps_), b_.constant(static_cast<float>(small)));
    const Pass pass{
        [&](const auto& visit) {
          row_.again([&](Vec h, const Span& i, int place) { visit(h * factor, i, place); });
        },
        std::min<int64_t>(row_.accumulators(), kRareAccumulators)};
    const std::vector<uint8_t> lowest_lane(static_cast<size_t>(b_.lanes()), 0);
    const Vec first = b_.permute(row_.first_held(), lowest_lane) * factor;
    Accumulators differences(b_, static_cast<int>(pass.accumulators), 0);
    pass.visit([&](Vec h, const Span& i, int place) {
      b_.set(differences.of(place), row_.masked(h - first, i, 0) + differences.of(place));
    });
    const Vec pivot = b_.fma(differences.sum(), b_.constant(inverse_width_), first);
    const Moments sums = moments(pass, pivot);
    const Vec variance = b_.max(b_.constant(0), sums.variance);
    write(pivot, sums.first, math::rsqrt(b_, variance + eps, options_), factor);
  }

  // y = (h - pivot - shift) * scale, weighted; of h * factor, if given.
  void write(Vec pivot, Vec shift, Vec scale, Vec factor = {}) {
    const Vec shifted = shift * scale;
    const Vec offset = b_.sub(b_.constant(0), shifted);
    row_.last_pass([&](Vec h, const Span& i, int) {
      const Vec value = factor.reg.valid() ? h * factor : h;
      const Vec d = pivot.reg.valid() ? value - pivot : value;
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
    layer_norm.revision = 3;
    layer_norm.parameters = norm_parameters(/*with_weight=*/true, /*with_bias=*/true);
    layer_norm.parameters.push_back(eps_parameter(1e-6));
    layer_norm.limits = float_and_block_limits({4e-6, 4e-6});
    layer_norm.form = CallForm::rows;
    layer_norm.graph_ops = {"layer_norm"};
    layer_norm.smallest = "layer_norm rows=1 width=11";
    layer_norm.variants = {"", "bias=false", "weight=false", "weight=false bias=false",
                           "prologue=add(x,r) keep=true epilogue=relu(y)"};
    layer_norm.validate = validate_norm;
    layer_norm.signature = norm_signature;
    layer_norm.reference = reference;
    layer_norm.space = space;
    layer_norm.build = build;
    layer_norm.work = work;
    return layer_norm;
  }();
  return family;
}

}  // namespace lathe::compiler::kernels
