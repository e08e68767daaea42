// Splitting a power at an integer, and the minimax polynomials of the rest (scripts/minimax.py).
#include "compiler/math/exponential.h"

#include <array>
#include <cassert>

namespace lathe::compiler::math {
namespace {

using ir::program::Op;

// Adding it rounds to an integer n, whose low bits then hold n + 127: shifted left by 23 they are
// 2^n.
constexpr float kRounder = 0x1.8p+23F + 127.0F;

constexpr float kLog2E = 0x1.715476p+0F;

// ln 2 = high + low. With fused multiply-adds n * high is exact whatever high is; without, high
// must leave room for n in the product.
constexpr float kLn2High = 0x1.62e43p-1F, kLn2Low = -0x1.05c61p-29F;
constexpr float kLn2Short = 0x1.63p-1F, kLn2ShortRest = -0x1.bd0106p-13F;

// Fits exp5, exp6, exp2_5, expm1 and exp2m1 of scripts/minimax.py.
constexpr std::array kExp5 = {1.0F,           0x1.fffff6p-1F, 0x1.fffdc4p-2F,
                              0x1.555a7ap-3F, 0x1.573afep-5F, 0x1.0fa40cp-7F};
constexpr std::array kExp6 = {1.0F,           1.0F,           0x1.fffffcp-2F, 0x1.555492p-3F,
                              0x1.5558b4p-5F, 0x1.12399ap-7F, 0x1.6a48c8p-10F};
constexpr std::array kExp2 = {1.0F,           0x1.62e42ap-1F, 0x1.ebf9cp-3F,
                              0x1.c6b6d8p-5F, 0x1.3ce984p-7F, 0x1.5bdb72p-10F};
constexpr std::array kExpM1 = {1.0F,           0x1.fffffep-2F, 0x1.5554b4p-3F,
                               0x1.5556f2p-5F, 0x1.122562p-7F, 0x1.6b9ccep-10F};
constexpr std::array kExp2M1 = {0x1.62e43p-1F,  0x1.ebfbdep-3F,  0x1.c6afa4p-5F,
                                0x1.3b2c32p-7F, 0x1.5ef178p-10F, 0x1.42a314p-13F};

// The polynomial in `argument` whose value is the given one's at factor * argument; exact, because
// factors are powers of two.
std::vector<float> stretched(std::span<const float> c, float factor) {
  std::vector<float> result(c.begin(), c.end());
  float power = 1.0F;
  for (float& coefficient : result) {
    coefficient *= power;
    power *= factor;
  }
  return result;
}

// From (e^r - 1) / r at r = factor * argument to (1 - e^r) / argument.
std::vector<float> negated_quotient(std::span<const float> c, float factor) {
  std::vector<float> result = stretched(c, factor);
  for (float& coefficient : result) coefficient *= -factor;
  return result;
}

}  // namespace

Vec horner(Builder& b, Vec x, std::span<const float> c) {
  assert(!c.empty());
  Vec value = b.constant(c.back());
  for (size_t i = c.size() - 1; i-- > 0;) value = b.fma(value, x, b.constant(c[i]));
  return value;
}

Split split_e(Builder& b, Vec x, float factor, Remainder remainder) {
  const Vec rounder = b.constant(kRounder);
  const Vec rounded = b.fma(x, b.constant(factor * kLog2E), rounder);
  const Vec n = b.sub(rounded, rounder);
  Vec argument;
  if (!b.target().fused) {
    argument = b.fnma(n, b.constant(kLn2Short / factor), x);
    argument = b.fnma(n, b.constant(kLn2ShortRest / factor), argument);
  } else {
    argument = b.fnma(n, b.constant(kLn2High / factor), x);
    if (remainder == Remainder::exact) argument = b.fnma(n, b.constant(kLn2Low / factor), argument);
  }
  return {n, b.shift(Op::ishl, rounded, 23), argument};
}

Split split_2(Builder& b, Vec x, Vec w) {
  const Vec rounder = b.constant(kRounder);
  const Vec rounded = b.fnma(x, w, rounder);
  const Vec n = b.sub(rounded, rounder);
  return {n, b.shift(Op::ishl, rounded, 23), b.fma(x, w, n)};
}

Vec exp_polynomial(Builder& b, Vec argument, float factor, int degree) {
  assert(degree == 5 || degree == 6);
  return degree == 5 ? horner(b, argument, stretched(kExp5, factor))
                     : horner(b, argument, stretched(kExp6, factor));
}

Vec exp2_polynomial(Builder& b, Vec argument) {
  return horner(b, argument, stretched(kExp2, -1.0F));
}

Vec one_minus_exp_polynomial(Builder& b, Vec argument, float factor) {
  return horner(b, argument, negated_quotient(kExpM1, factor));
}

Vec one_minus_exp2_polynomial(Builder& b, Vec argument) {
  return horner(b, argument, negated_quotient(kExp2M1, -1.0F));
}

// The constant comes first: min and max give their second operand where either is NaN.
Vec clamp(Builder& b, Vec x, float low, float high) {
  return b.min(b.constant(high), b.max(b.constant(low), x));
}

Vec absolute(Builder& b, Vec x) { return b.bit_and(x, b.constant_bits(0x7fffffff)); }

Vec with_sign_of(Builder& b, Vec magnitude, Vec sign) {
  return b.bit_or(magnitude, b.bit_and(sign, b.constant_bits(0x80000000)));
}

}  // namespace lathe::compiler::math
