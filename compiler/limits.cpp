// What limits have in common; docs/numerics.md says where the numbers of each family come from.
#include "compiler/limits.h"

#include <algorithm>
#include <cmath>

#include "compiler/family.h"

namespace lathe::compiler {
namespace {

using ir::Type;

// A 16-bit result is the f32 one rounded: the limit gains one unit in the last place, and for f16
// the step of its subnormal numbers.
constexpr double kF16Step = 0x1p-10;
constexpr double kF16Smallest = 0x1p-24;
constexpr double kBf16Step = 0x1p-7;

// A value at the edge of a code falls to either side of it: one step of a block, which is at most
// 1/127 of its row's largest, and what rounding the step to f16 makes of 127 of them.
constexpr double kQ8Step = 1.0 / 127 + 0x1p-10;

}  // namespace

Limits float_limits(Limit f32) {
  return {{Type::f32, f32},
          {Type::f16, {f32.absolute + kF16Smallest, f32.relative + kF16Step}},
          {Type::bf16, {f32.absolute, f32.relative + kBf16Step}}};
}

Limits float_and_block_limits(Limit f32) {
  Limits limits = float_limits(f32);
  limits.push_back({Type::q8_0, {kQ8Step, 0}});
  return limits;
}

Limits exact_block_limits() { return {{Type::q8_0, {}}}; }

double Limit::allowed(double expected, double scale) const {
  return absolute * std::max(scale, 1.0) + relative * std::fabs(expected);
}

Limit limit_of(const Problem& problem, Type output) {
  for (const OutputLimit& entry : problem.family().limits)
    if (entry.type == output) return entry.limit;
  return {};
}

}  // namespace lathe::compiler
