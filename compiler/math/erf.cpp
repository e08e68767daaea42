// erf x = 1 - 2^(-a Z(a)) with a = |x|: Z is smooth, so that a polynomial serves the whole range.
#include <array>

#include "compiler/math/exponential.h"
#include "compiler/math/math.h"

namespace lathe::compiler::math {
namespace {

// Fit erf of scripts/minimax.py: -log2(erfc(a)) / a on 0 < a <= 4, error of erf 4.1e-8 relative.
constexpr std::array kErf = {0x1.a0be84p+0F,  0x1.d63e62p-1F,  0x1.2fc19cp-3F,   -0x1.c810dcp-6F,
                             0x1.ed2aaep-13F, 0x1.e5d5acp-10F, -0x1.29508cp-11F, 0x1.008406p-14F};

}  // namespace

Vec erf(Builder& b, Vec x) {
  const Vec magnitude = absolute(b, x);
  const Vec a = b.min(b.constant(4.0F), magnitude);  // erf 3.92 rounds to 1
  const Split e = split_2(b, a, horner(b, a, kErf), Step::whole);
  const Vec rest = b.sub(b.constant(1.0F), e.scale);
  const Vec q = one_minus_power_of_rest(b, e);
  const Vec value = b.fma(b.mul(e.scale, e.argument), q, rest);
  return with_sign_of(b, value, x);
}

}  // namespace lathe::compiler::math
