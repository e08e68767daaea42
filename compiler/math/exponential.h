// What every function made of an exponential shares: n and 2^n by the rounding constant, and the
// polynomials of the remainder. Internal to this folder.
#pragma once

#include <span>
#include <vector>

#include "ir/program/builder.h"

namespace lathe::compiler::math {

using ir::program::Builder;
using ir::program::Vec;

/// c[0] + c[1] x + c[2] x^2 + …, by Horner's rule: the fewest instructions, and loops over vectors
/// hide its latency.
Vec horner(Builder& b, Vec x, std::span<const float> c);

/// A power split at an integer n: base^y = 2^n * base^r. `scale` is 2^n for -126 <= n <= 127, 0 for
/// n = -127 and inf for n = 128; callers keep n in that range. For a NaN only `argument` says so.
struct Split {
  Vec n;
  Vec scale;
  Vec argument;  ///< r divided by the factor that the splitting function names
};

enum class Remainder {
  short_constant,  ///< ln 2 in 24 bits: the result drifts by 2.8e-9 |n| relative
  exact,           ///< the rest of ln 2 too, for one more instruction
};

/// Splits e^(factor x), factor a power of two or its negative: r = factor * argument, |r| <= ln2
/// / 2.
Split split_e(Builder& b, Vec x, float factor, Remainder remainder);

/// Splits 2^(-x w): r = -argument, |r| <= 1/2.
Split split_2(Builder& b, Vec x, Vec w);

/// e^(factor argument) within 9.3e-8 (degree 5) or 3.2e-9 (degree 6), |factor argument| <= ln2 / 2.
Vec exp_polynomial(Builder& b, Vec argument, float factor, int degree = 5);
/// 2^(-argument) within 9.4e-8, |argument| <= 1/2.
Vec exp2_polynomial(Builder& b, Vec argument);
/// (1 - e^(factor argument)) / argument within 1.4e-8, |factor argument| <= ln2 / 2.
Vec one_minus_exp_polynomial(Builder& b, Vec argument, float factor);
/// (1 - 2^(-argument)) / argument within 1.3e-8, |argument| <= 1/2.
Vec one_minus_exp2_polynomial(Builder& b, Vec argument);

/// x kept within [low, high]; NaN stays NaN.
Vec clamp(Builder& b, Vec x, float low, float high);

Vec absolute(Builder& b, Vec x);
Vec with_sign_of(Builder& b, Vec magnitude, Vec sign);  ///< magnitude >= 0

}  // namespace lathe::compiler::math
