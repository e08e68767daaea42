// Vector mathematics written in the kernel IR: what every family's formulas are made of. Errors in
// ULP, measured over all of f32, stand in docs/numerics.md.
#pragma once

#include "ir/program/builder.h"

namespace lathe::compiler::math {

using ir::program::Builder;
using ir::program::Vec;

/// How a quotient is computed. newton: the hardware's estimate and one Newton step (within 4 ULP,
/// right for 0 and infinity; the estimate takes divisors below 2^-126 for 0 and above 2^126 for
/// infinity), for where the divider is the bottleneck.
enum class Division { exact, newton };

struct Options {
  Division division = Division::exact;
};

Vec reciprocal(Builder& b, Vec x, const Options& options = {});     ///< 1 / x
Vec divide(Builder& b, Vec x, Vec y, const Options& options = {});  ///< x / y
Vec rsqrt(Builder& b, Vec x, const Options& options = {});          ///< 1 / sqrt(x)

/// e^x over all of f32: inf above 88.7228, gradual underflow to 0, NaN for NaN.
Vec exp(Builder& b, Vec x);
/// e^x for x <= 0 (softmax after its maximum is taken away), also for -inf and NaN; results below
/// the smallest normal number may be 0.
Vec exp_nonpositive(Builder& b, Vec x);
Vec log(Builder& b, Vec x);  ///< the natural logarithm: -inf of 0, NaN below
Vec tanh(Builder& b, Vec x, const Options& options = {});
Vec erf(Builder& b, Vec x);
Vec sigmoid(Builder& b, Vec x, const Options& options = {});  ///< 1 / (1 + e^-x)
Vec silu(Builder& b, Vec x, const Options& options = {});     ///< x * sigmoid(x)
Vec gelu_tanh(Builder& b, Vec x, const Options& options = {});
Vec gelu_erf(Builder& b, Vec x, const Options& options = {});  ///< x/2 * (1 + erf(x/sqrt 2))
Vec relu(Builder& b, Vec x);                                   ///< max(0, x), NaN stays NaN

}  // namespace lathe::compiler::math
