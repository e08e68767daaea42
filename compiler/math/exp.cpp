// e^x over all of f32, and the shorter form for x <= 0.
#include "compiler/math/exponential.h"
#include "compiler/math/math.h"

namespace lathe::compiler::math {

Vec exp(Builder& b, Vec x) {
  // Beyond these results are 0 and inf anyway; within, n stays where it can be represented.
  const Vec kept = clamp(b, x, -104.0F, 89.0F);
  if (b.target().isa == ir::Isa::avx512) {  // scales in one instruction, with gradual underflow
    const Split e = split_e(b, kept, 1.0F, Remainder::exact);
    return b.scale(exp_polynomial(b, e.argument, 1.0F, 6), e.n);
  }
  // (e^(x/2))^2: the square overflows and underflows as it should, which 2^n in one factor cannot.
  const Split e = split_e(b, kept, 0.5F, Remainder::exact);
  const Vec root = b.mul(exp_polynomial(b, e.argument, 0.5F, 6), e.scale);
  return b.mul(root, root);
}

Vec exp_nonpositive(Builder& b, Vec x) {
  // -127 ln 2, where the scale becomes 0.
  const Vec kept = b.max(b.constant(-0x1.601e68p+6F), x);
  const Split e = split_e(b, kept, 1.0F, Remainder::short_constant);
  return b.mul(exp_polynomial(b, e.argument, 1.0F), e.scale);
}

}  // namespace lathe::compiler::math
