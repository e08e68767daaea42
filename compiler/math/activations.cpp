// Activations as x / (1 + 2^n e^r): one exponential and one division each; the sum that the
// quotient needs anyway also multiplies by 2^n.
#include <array>

#include "compiler/math/exponential.h"
#include "compiler/math/math.h"

namespace lathe::compiler::math {
namespace {

// 1 + e^-x for sigmoid and silu: 1 from x = 127 ln 2, inf from x = -128 ln 2.
Vec one_plus_exp_minus(Builder& b, Vec x, Remainder remainder) {
  const Vec kept = clamp(b, x, -0x1.62e43p+6F, 0x1.601e68p+6F);
  const Split e = split_e(b, kept, -1.0F, remainder, cheaper_step(b));
  const Vec one = b.constant(1.0F);
  return b.fma(power_of_rest(b, e), e.scale, one);
}

// 1 + 2^(-x W(x^2)) with W given by its coefficients. `low` and `high` are where the exponent
// reaches 128 and -126.
Vec one_plus_exp2_odd(Builder& b, Vec x, std::span<const float> w, float low, float high) {
  const Vec kept = clamp(b, x, low, high);
  const Split e = split_2(b, kept, horner(b, b.mul(kept, kept), w), cheaper_step(b));
  const Vec one = b.constant(1.0F);
  return b.fma(power_of_rest(b, e), e.scale, one);
}

// 2 sqrt(2/pi) (1 + 0.044715 u), in units of ln 2.
constexpr std::array kGeluTanh = {0x1.26aec2p+1F, 0x1.a5a7dp-4F};

// Fit gelu of scripts/minimax.py: the normal distribution function is 1 / (1 + 2^(-x W(x^2))).
constexpr std::array kGeluErf = {0x1.26aeb4p+1F,   0x1.ad6c7ap-4F, -0x1.939f18p-14F,
                                 -0x1.4df256p-13F, 0x1.7fb0p-17F,  -0x1.9c6222p-22F,
                                 0x1.6499dap-28F};

}  // namespace

Vec sigmoid(Builder& b, Vec x, const Options& options) {
  return reciprocal(b, one_plus_exp_minus(b, x, Remainder::exact), options);
}

Vec silu(Builder& b, Vec x, const Options& options) {
  return divide(b, x, one_plus_exp_minus(b, x, Remainder::short_constant), options);
}

Vec gelu_tanh(Builder& b, Vec x, const Options& options) {
  // (1 + tanh z) / 2 = 1 / (1 + e^(-2z))
  return divide(b, x, one_plus_exp2_odd(b, x, kGeluTanh, -0x1.41f37p+3F, 0x1.40089p+3F), options);
}

Vec gelu_erf(Builder& b, Vec x, const Options& options) {
  return divide(b, x, one_plus_exp2_odd(b, x, kGeluErf, -0x1.c11d22p+2F, 0x1.c08b9cp+2F), options);
}

Vec relu(Builder& b, Vec x) { return b.max(b.constant(0.0F), x); }

}  // namespace lathe::compiler::math
