// The natural logarithm: the exponent apart, a polynomial of what is left of the mantissa.
#include <array>
#include <limits>

#include "compiler/math/exponential.h"
#include "compiler/math/math.h"

namespace lathe::compiler::math {
namespace {

using ir::program::Compare;
using ir::program::Op;

// A fit of scripts/minimax.py.
constexpr std::array kLog = {0x1.555554p-2F, -0x1.000226p-2F, 0x1.99a01cp-3F, -0x1.54728ap-3F,
                             0x1.22d930p-3F, -0x1.0d824ap-3F, 0x1.055eb4p-3F, -0x1.38c95ep-4F};

// ln 2 = high + low; n * high is exact for every exponent n.
constexpr float kLn2High = 0x1.63p-1F, kLn2Low = -0x1.bd0106p-13F;

constexpr uint32_t kRootHalf = 0x3f3504f3;  // the bits of 1/sqrt 2, from which mantissas count

}  // namespace

Vec log(Builder& b, Vec x) {
  const Vec zero = b.constant(0.0F);
  const Vec infinity = b.constant(std::numeric_limits<float>::infinity());
  // Subnormal numbers are read as normal ones 2^23 times as large.
  const auto is_small = b.compare(Compare::lt, x, b.constant(0x1p-126F));
  const Vec scaled = b.mul(x, b.constant(0x1p23F));
  const Vec normal = b.select(is_small, scaled, x);
  const Vec missing = b.select(is_small, b.constant(-23.0F), zero);

  // x = m 2^n with 1/sqrt 2 <= m < sqrt 2; f = m - 1.
  const Vec above = b.int_op(Op::isub, normal, b.constant_bits(kRootHalf));
  const Vec exponent = b.shift(Op::isar, above, 23);
  const Vec power = b.shift(Op::ishl, exponent, 23);
  const Vec mantissa = b.int_op(Op::isub, normal, power);
  const Vec n = b.add(b.to_float(exponent), missing);
  const Vec f = b.sub(mantissa, b.constant(1.0F));

  // ln m = f - f^2/2 + f^3 P(f), the small terms first.
  const Vec square = b.mul(f, f);
  const Vec polynomial = horner(b, f, kLog);
  const Vec cube = b.mul(square, f);
  const Vec low = b.mul(n, b.constant(kLn2Low));
  const Vec rest = b.fma(cube, polynomial, low);
  const Vec tail = b.fma(square, b.constant(-0.5F), rest);
  const Vec of_mantissa = b.add(f, tail);
  const Vec regular = b.fma(n, b.constant(kLn2High), of_mantissa);

  // inf and NaN stay; 0 gives -inf, what is below it NaN.
  const Vec of_positive = b.select(b.compare(Compare::lt, x, infinity), regular, x);
  const Vec not_a_number = b.constant(std::numeric_limits<float>::quiet_NaN());
  const Vec of_negative =
      b.select(b.compare(Compare::eq, x, zero), b.constant(-std::numeric_limits<float>::infinity()),
               not_a_number);
  return b.select(b.compare(Compare::le, x, zero), of_negative, of_positive);
}

}  // namespace lathe::compiler::math
