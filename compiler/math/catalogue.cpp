// The table of functions, and the unit that their errors are told in.
#include "compiler/math/catalogue.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

namespace lathe::compiler::math {
namespace {

using ir::Type;
using ir::program::BufferAccess;
using ir::program::Pointer;
using ir::program::Scalar;
using ir::program::Span;

template <Vec (*function)(Builder&, Vec)>
Vec without_options(Builder& b, Vec x, const Options&) {
  return function(b, x);
}

double exact_reciprocal(double x) { return 1 / x; }
double exact_rsqrt(double x) { return 1 / std::sqrt(x); }
double exact_exp(double x) { return std::exp(x); }
double exact_log(double x) { return std::log(x); }
double exact_tanh(double x) { return std::tanh(x); }
double exact_erf(double x) { return std::erf(x); }
double exact_sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double exact_silu(double x) { return x / (1 + std::exp(-x)); }
double exact_gelu_tanh(double x) {
  const double z = 2 * std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x);
  return x / (1 + std::exp(-z));
}
double exact_gelu_erf(double x) { return x * 0.5 * std::erfc(-x * M_SQRT1_2); }
double exact_relu(double x) { return x < 0 ? 0 : x; }

constexpr float kInf = std::numeric_limits<float>::infinity();

constexpr std::array kFunctions = {
    Function{"reciprocal", reciprocal, exact_reciprocal, 0x1p-126, kInf, true, 0x1p-126F, 0x1p125F},
    Function{"rsqrt", rsqrt, exact_rsqrt, 0x1p-126, kInf, true, 0x1p-126F},
    Function{"exp", without_options<exp>, exact_exp, 0, kInf, false},
    Function{"exp_nonpositive", without_options<exp_nonpositive>, exact_exp, 0x1p-102, 0.0F, false},
    Function{"log", without_options<log>, exact_log, 0, kInf, false},
    Function{"tanh", tanh, exact_tanh, 0, kInf, true},
    Function{"erf", without_options<erf>, exact_erf, 0, kInf, false},
    Function{"sigmoid", sigmoid, exact_sigmoid, 0x1p-102, kInf, true},
    Function{"silu", silu, exact_silu, 0x1p-100, kInf, true},
    Function{"gelu_tanh", gelu_tanh, exact_gelu_tanh, 0x1p-6, kInf, true},
    Function{"gelu_erf", gelu_erf, exact_gelu_erf, 0x1p-3, kInf, true},
    Function{"relu", without_options<relu>, exact_relu, 0, kInf, false},
};

}  // namespace

std::span<const Function> functions() { return kFunctions; }

bool measured(const Function& function, Division division, float x) {
  if (x > function.high) return false;
  const float size = std::abs(x);
  if (division == Division::exact || size == 0 || std::isinf(size)) return true;
  return !(size < function.newton_low || size > function.newton_high);
}

ir::program::Program unary_program(const Function& function, const ir::Target& target,
                                   const Options& options) {
  Builder b("math_" + std::string(function.name), target);
  const Pointer x = b.buffer("x", Type::f32, BufferAccess::read);
  const Pointer y = b.buffer("y", Type::f32, BufferAccess::write);
  const Scalar vectors = b.parameter("vectors");
  b.loop(0, vectors, 1, [&](Scalar) {
    b.store(y, Span{}, function.build(b, b.load(x, Span{}), options));
    b.advance(x, target.vector_bytes());
    b.advance(y, target.vector_bytes());
  });
  return b.finish();
}

double ulp_error(float result, double exact, double floor) {
  constexpr double inf = std::numeric_limits<double>::infinity();
  if (std::isnan(result) || std::isnan(exact))
    return std::isnan(result) == std::isnan(exact) ? 0 : inf;
  const auto rounded = static_cast<float>(exact);
  if (std::isinf(result) || std::isinf(rounded)) return result == rounded ? 0 : inf;
  const double size = std::max({std::abs(exact), floor, 0x1p-126});
  // The power of two at or below `size`, from its exponent bits alone: this runs billions of times.
  const auto power = std::bit_cast<double>(std::bit_cast<uint64_t>(size) & 0x7ff0000000000000U);
  return std::abs(result - exact) / power * 0x1p23;
}

}  // namespace lathe::compiler::math
