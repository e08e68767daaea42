// tanh x = g / (2 - g) with g = 1 - e^(-2|x|), computed without cancellation near 0.
#include "compiler/math/exponential.h"
#include "compiler/math/math.h"

namespace lathe::compiler::math {

Vec tanh(Builder& b, Vec x, const Options& options) {
  const Vec magnitude = absolute(b, x);
  const Vec a = b.min(b.constant(10.0F), magnitude);  // tanh 9.02 rounds to 1
  const Split e = split_e(b, a, -2.0F, Remainder::short_constant, Step::whole);
  // 1 - 2^n e^r = (1 - 2^n) + 2^n (1 - e^r)
  const Vec rest = b.sub(b.constant(1.0F), e.scale);
  const Vec q = one_minus_power_of_rest(b, e);
  const Vec g = b.fma(b.mul(e.scale, e.argument), q, rest);
  return with_sign_of(b, divide(b, g, b.sub(b.constant(2.0F), g), options), x);
}

}  // namespace lathe::compiler::math
