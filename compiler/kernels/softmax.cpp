// softmax: y[r,:] = exp(h[r,:] - max) / sum(exp(h[r,:] - max)), h = prologue(x[r,:] …).
//
// NaN and infinity as in PyTorch: a NaN or +inf in a row, or nothing but -inf, makes the row NaN.
#include <limits>
#include <optional>

#include "compiler/kernels/families.h"
#include "compiler/kernels/norm.h"
#include "compiler/kernels/softmax_statistics.h"

namespace lathe::compiler::kernels {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

bool looks_ahead(const Schedule& s) { return s.has("ahead") && s["ahead"] == 1; }

Result<ir::graph::Graph> reference(const Problem& p) {
  return norm_reference(
      p, [&](ir::graph::GraphBuilder& graph, const std::vector<ir::graph::Var>& operands) {
        return graph.op("softmax", operands);
      });
}

SearchSpace space(const Problem& p, const Target& target) {
  const Norm norm(p);
  const bool ahead = norm.is_plain() && norm.rows.high > 1;
  // A few rows lie in the first cache anyway; conversions of f16 by hand leave too few registers.
  const bool converts = (norm.type == Type::f16 || norm.out == Type::f16) && !target.f16c;
  const bool usually_ahead = ahead && norm.rows.low >= 8 && !converts;
  SearchSpace space = norm_space(norm, target, usually_ahead ? 2 : 4, /*buffered=*/true);
  add_passes(space,
             "maximum, exponentials and their sum, quotients; or maximum and sum in one pass");
  space.require(
      [](const Schedule& s) {
        return passes_of(s) != SoftmaxPasses::two || static_cast<Hold>(s["hold"]) == Hold::reread;
      },
      "the two passes have no exponentials to hold: the sum's are relative to a maximum that may "
      "rise");
  if (ahead) {
    space.choice("ahead", {"off", "on"}, usually_ahead ? "on" : "off",
                 "whether the pass of the exponentials finds the next row's maximum on its way");
    space.require(
        [](const Schedule& s) {
          return s["ahead"] == 0 || (passes_of(s) == SoftmaxPasses::three &&
                                     static_cast<Hold>(s["hold"]) == Hold::buffer &&
                                     static_cast<Prefetch>(s["prefetch"]) == Prefetch::off);
        },
        "the next row's maximum is found where exponentials go to the buffer, and asks for the row "
        "itself");
  }
  limit_accumulators(
      space, norm, target,
      [](const Schedule& s) {
        const bool both = passes_of(s) == SoftmaxPasses::two || looks_ahead(s);
        return both ? 2 : 1;
      },
      12);
  return space;
}

// With `ahead`, the row's maximum is there already and becomes that of the next row.
SoftmaxStatistics in_two_passes(NormRow& row, Builder& b, Accumulators* ahead) {
  // The second pass may as well read a plain row itself.
  const bool from_input = row.is_plain() && row.holds_in_buffer();
  Vec top;
  if (ahead != nullptr) {
    top = ahead->largest();
    ahead->reset(-kInfinity);
  } else {
    Accumulators largest(b, row.accumulators(), -kInfinity);
    row.first_pass(-kInfinity, raising(b, largest), !from_input);
    top = largest.largest();
  }
  Accumulators sums(b, row.accumulators(), 0);
  const auto exponential = [&](Vec h, const Span& i, int place) {
    const Vec e = row.masked(math::exp_nonpositive(b, h - top), i, 0);
    b.set(sums.of(place), e + sums.of(place));
    return e;
  };
  if (from_input) {
    row.replace_from_input(exponential, -kInfinity,
                           ahead == nullptr ? NormRow::Visit() : raising(b, *ahead));
  } else if (row.holds_row()) {
    row.replace(exponential);
  } else {
    row.again([&](Vec h, const Span& i, int place) { exponential(h, i, place); });
  }
  return {top, sums.sum()};
}

Result<Plan> build(const Problem& p, const Schedule& s, const Target& target) {
  std::optional<Accumulators> ahead;
  const auto body = [&](NormRow& row, const Norm&, Builder& b) {
    const bool online = passes_of(s) == SoftmaxPasses::two;
    const SoftmaxStatistics statistics = online ? maximum_and_sum_in_one_pass(row, b)
                                                : in_two_passes(row, b, ahead ? &*ahead : nullptr);
    const Vec scale = math::reciprocal(b, statistics.sum);
    row.last_pass([&](Vec h, const Span&, int) {
      const bool is_exponential = !online && row.holds_row();
      return (is_exponential ? h : math::exp_nonpositive(b, h - statistics.largest)) * scale;
    });
  };
  if (!looks_ahead(s)) return build_norm(p, space(p, target), s, target, body);
  return build_norm(p, space(p, target), s, target, body, [&](NormRow& row, Builder& b) {
    ahead.emplace(b, row.accumulators(), -kInfinity);
    row.first_pass(-kInfinity, raising(b, *ahead), /*held=*/false);
  });
}

Work work(const Problem& p, const Sizes& sizes) {
  const Norm norm(p);
  // Maximum, difference, exponential, sum, quotient.
  return work_of(norm.signature, sizes,
                 (5 + norm.fragment_flops()) * static_cast<double>(norm.width));
}

}  // namespace

const Family& softmax() {
  static const Family family = [] {
    Family softmax;
    softmax.name = "softmax";
    softmax.summary = "y = exp(h - max(h)) / sum(exp(h - max(h))), h = prologue";
    softmax.example = "softmax rows=512..2047 width=2048";
    softmax.revision = 2;
    softmax.parameters = norm_parameters(/*with_weight=*/false, /*with_bias=*/false);
    softmax.limits = float_and_block_limits({1e-7, 2e-5});
    softmax.form = CallForm::rows;
    softmax.graph_ops = {"softmax"};
    softmax.smallest = "softmax rows=1 width=8";
    softmax.variants = {"", "prologue=fma(x,0.125,vec(mask)) epilogue=mul(y,col(s))"};
    softmax.validate = validate_norm;
    softmax.signature = norm_signature;
    softmax.reference = reference;
    softmax.space = space;
    softmax.build = build;
    softmax.work = work;
    return softmax;
  }();
  return family;
}

}  // namespace lathe::compiler::kernels
