// Splitting a power at a rounded exponent, and the minimax polynomials of the rest
// (scripts/minimax.py).
#include "compiler/math/exponential.h"

#include <array>
#include <bit>
#include <cassert>
#include <vector>

namespace lathe::compiler::math {
namespace {

using ir::program::Op;

// Adding it rounds to an integer n, whose low bits then hold n + 127: shifted left by 23 they are
// 2^n.
constexpr float kRounder = 0x1.8p+23F + 127.0F;
// Adding it rounds to a multiple of 1/8; the low bits hold 8n.
constexpr float kEighths = 0x1.8p+20F;

constexpr float kLog2E = 0x1.715476p+0F;

// ln 2 = high + low. With fused multiply-adds n * high is exact whatever high is; without, high
// must leave room for n in the product.
constexpr float kLn2High = 0x1.62e43p-1F, kLn2Low = -0x1.05c61p-29F;
constexpr float kLn2Short = 0x1.63p-1F, kLn2ShortRest = -0x1.bd0106p-13F;

// Fits of scripts/minimax.py.
constexpr std::array kExp5 = {1.0F,           0x1.fffff6p-1F, 0x1.fffdc4p-2F,
                              0x1.555a7ap-3F, 0x1.573afep-5F, 0x1.0fa40cp-7F};
constexpr std::array kExp6 = {1.0F,           1.0F,           0x1.fffffcp-2F, 0x1.555492p-3F,
                              0x1.5558b4p-5F, 0x1.12399ap-7F, 0x1.6a48c8p-10F};
constexpr std::array kExp3Eighth = {1.0F, 1.0F, 0x1.000878p-1F, 0x1.55568p-3F};
constexpr std::array kExp2 = {1.0F,           0x1.62e42ap-1F, 0x1.ebf9cp-3F,
                              0x1.c6b6d8p-5F, 0x1.3ce984p-7F, 0x1.5bdb72p-10F};
constexpr std::array kExp2Eighth = {1.0F, 0x1.62e432p-1F, 0x1.ec0c72p-3F, 0x1.c67d0ap-5F};
constexpr std::array kExpM1 = {1.0F,           0x1.fffffep-2F, 0x1.5554b4p-3F,
                               0x1.5556f2p-5F, 0x1.122562p-7F, 0x1.6b9ccep-10F};
constexpr std::array kExp2M1 = {0x1.62e43p-1F,  0x1.ebfbdep-3F,  0x1.c6afa4p-5F,
                                0x1.3b2c32p-7F, 0x1.5ef178p-10F, 0x1.42a314p-13F};

// 2^(i/8), each less what 8n shifted left by 20 adds for the i in its low bits.
constexpr std::array<uint32_t, 8> kEighthRoots = [] {
  constexpr std::array roots = {1.0F,           0x1.172b84p+0F, 0x1.306fep+0F,  0x1.4bfdaep+0F,
                                0x1.6a09e6p+0F, 0x1.8ace54p+0F, 0x1.ae89fap+0F, 0x1.d5818ep+0F};
  std::array<uint32_t, 8> table{};
  for (uint32_t i = 0; i < 8; ++i) table[i] = std::bit_cast<uint32_t>(roots[i]) - (i << 20);
  return table;
}();

Vec power_of_two(Builder& b, Vec rounded, Step step) {
  if (step == Step::whole) return b.shift(Op::ishl, rounded, 23);
  const Vec root = b.lookup8(rounded, kEighthRoots);
  return b.int_op(Op::iadd, b.shift(Op::ishl, rounded, 20), root);
}

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

}  // namespace

Vec horner(Builder& b, Vec x, std::span<const float> c) {
  assert(!c.empty());
  Vec value = b.constant(c.back());
  for (size_t i = c.size() - 1; i-- > 0;) value = b.fma(value, x, b.constant(c[i]));
  return value;
}

Step cheaper_step(const Builder& b) { return b.lanes() >= 8 ? Step::eighth : Step::whole; }

Split split_e(Builder& b, Vec x, float factor, Remainder remainder, Step step) {
  const Vec rounder = b.constant(step == Step::whole ? kRounder : kEighths);
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
  return {n, power_of_two(b, rounded, step), argument, factor, Split::Base::e, step};
}

Split split_2(Builder& b, Vec x, Vec w, Step step) {
  const Vec rounder = b.constant(step == Step::whole ? kRounder : kEighths);
  const Vec rounded = b.fnma(x, w, rounder);
  const Vec n = b.sub(rounded, rounder);
  const Vec argument = b.fma(x, w, n);  // before the scale: x and w need no register then
  return {n, power_of_two(b, rounded, step), argument, -1.0F, Split::Base::two, step};
}

Vec power_of_rest(Builder& b, const Split& split) {
  const bool e = split.base == Split::Base::e;
  if (split.step == Step::eighth)
    return horner(b, split.argument, stretched(e ? kExp3Eighth : kExp2Eighth, split.factor));
  return horner(b, split.argument, stretched(e ? kExp5 : kExp2, split.factor));
}

// scale + (scale * argument) * q with base^r = 1 + argument * q
Vec joined(Builder& b, const Split& split) {
  assert(split.step == Step::eighth);
  const bool e = split.base == Split::Base::e;
  const std::vector<float> c = stretched(e ? kExp3Eighth : kExp2Eighth, split.factor);
  const Vec q = horner(b, split.argument, std::span(c).subspan(1));
  return b.fma(b.mul(split.scale, split.argument), q, split.scale);
}

Vec precise_power_of_rest(Builder& b, const Split& split) {
  assert(split.base == Split::Base::e && split.step == Step::whole);
  return horner(b, split.argument, stretched(kExp6, split.factor));
}

Vec one_minus_power_of_rest(Builder& b, const Split& split) {
  assert(split.step == Step::whole);
  std::vector<float> c = stretched(split.base == Split::Base::e ? kExpM1 : kExp2M1, split.factor);
  for (float& coefficient : c) coefficient *= -split.factor;
  return horner(b, split.argument, c);
}

// The constant comes first: min and max give their second operand where either is NaN.
Vec clamp(Builder& b, Vec x, float low, float high) {
  const Vec above = b.max(b.constant(low), x);
  return b.min(b.constant(high), above);
}

Vec absolute(Builder& b, Vec x) { return b.bit_and(x, b.constant_bits(0x7fffffff)); }

Vec with_sign_of(Builder& b, Vec magnitude, Vec sign) {
  return b.bit_or(magnitude, b.bit_and(sign, b.constant_bits(0x80000000)));
}

}  // namespace lathe::compiler::math
