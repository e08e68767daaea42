// e^x over all of f32, and the shorter form for x <= 0.
#include "compiler/math/exponential.h"
#include "compiler/math/math.h"

namespace lathe::compiler::math {

Vec exp(Builder& b, Vec x) {
  // Beyond these the result is 0 or inf anyway; within, n stays where it can be represented.
  const Vec kept = clamp(b, x, -104.0F, 89.0F);
  if (b.target().isa == ir::Isa::avx512) {  // scales in one instruction, with gradual underflow
    const Split e = split_e(b, kept, 1.0F, Remainder::exact, Step::whole);
    return b.scale(precise_power_of_rest(b, e), e.n);
  }
  // (e^(x/2))^2: the square overflows and underflows as it should, which 2^n in one factor cannot.
  const Step step = cheaper_step(b);
  const Split e = split_e(b, kept, 0.5F, Remainder::exact, step);
  const Vec root =
      step == Step::eighth ? joined(b, e) : b.mul(precise_power_of_rest(b, e), e.scale);
  return b.mul(root, root);
}

Vec exp_nonpositive(Builder& b, Vec x) {
  // -127 ln 2, where the scale becomes 0.
  const Vec kept = b.max(b.constant(-0x1.601e68p+6F), x);
  const Step step = cheaper_step(b);
  const Split e = split_e(b, kept, 1.0F, Remainder::short_constant, step);
  if (step == Step::eighth) return joined(b, e);
  return b.mul(power_of_rest(b, e), e.scale);
}

}  // namespace lathe::compiler::math
