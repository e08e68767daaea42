// What every function made of an exponential shares: the power split at a rounded exponent, and the
// polynomials of the rest. Internal to this folder.
#pragma once

#include <span>

#include "ir/program/builder.h"

namespace lathe::compiler::math {

using ir::program::Builder;
using ir::program::Vec;

/// c[0] + c[1] x + c[2] x^2 + …, by Horner's rule: the fewest instructions, and loops over vectors
/// hide its latency.
Vec horner(Builder& b, Vec x, std::span<const float> c);

enum class Step {
  whole,   ///< n is an integer
  eighth,  ///< n is a multiple of 1/8: a table of 2^(i/8) saves half of the polynomial
};

/// The step that costs less here: a table look-up is one instruction from 8 lanes on.
Step cheaper_step(const Builder& b);

enum class Remainder {
  short_constant,  ///< ln 2 in 24 bits: the result drifts by 2.8e-9 |n| relative
  exact,           ///< the rest of ln 2 too, for one more instruction
};

/// A power base^y as 2^n * base^r. `scale` is 2^n for -126 <= n <= 127 (2^(i/8) in it is rounded),
/// 0 for n = -127 and inf for n = 128; callers keep n in that range. A NaN shows in `argument`
/// alone.
struct Split {
  enum class Base { e, two };
  Vec n;
  Vec scale;
  Vec argument;  ///< r = factor * argument
  float factor;  ///< a power of two or its negative
  Base base;
  Step step;
};

/// Splits e^(factor x).
Split split_e(Builder& b, Vec x, float factor, Remainder remainder, Step step);

/// Splits 2^(-x w), with factor -1.
Split split_2(Builder& b, Vec x, Vec w, Step step);

/// scale * base^r with one rounding after that of the scale, for steps of 1/8; NaN stays NaN.
Vec joined(Builder& b, const Split& split);
/// base^r within 2.6e-8 relative for steps of 1/8, 9.4e-8 for whole ones.
Vec power_of_rest(Builder& b, const Split& split);
/// e^r within 3.2e-9, for a split of e^… in whole steps.
Vec precise_power_of_rest(Builder& b, const Split& split);
/// (1 - base^r) / argument within 1.4e-8 relative, for whole steps.
Vec one_minus_power_of_rest(Builder& b, const Split& split);

/// x kept within [low, high]; NaN stays NaN.
Vec clamp(Builder& b, Vec x, float low, float high);

Vec absolute(Builder& b, Vec x);
Vec with_sign_of(Builder& b, Vec magnitude, Vec sign);  ///< magnitude >= 0

}  // namespace lathe::compiler::math
