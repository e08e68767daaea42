// Infinities, NaN, zeros and results beyond the range, as docs/numerics.md lists them.
#include <bit>
#include <cmath>

#include <gtest/gtest.h>

#include "tests/compiler_math/evaluate.h"

namespace lathe::tests {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

struct Case {
  const char* function;
  float x, expected;
};

constexpr Case kCases[] = {
    {"exp", kInf, kInf},
    {"exp", -kInf, 0},
    {"exp", 88.8F, kInf},
    {"exp", -104.0F, 0},
    {"exp", 0, 1},
    {"exp", -0.0F, 1},
    {"exp", 1e38F, kInf},
    {"exp", -1e38F, 0},
    {"exp_nonpositive", -kInf, 0},
    {"exp_nonpositive", 0, 1},
    {"exp_nonpositive", -1e30F, 0},
    {"log", kInf, kInf},
    {"log", 0, -kInf},
    {"log", -0.0F, -kInf},
    {"log", -0x1p-149F, kNaN},
    {"log", -1, kNaN},
    {"log", -kInf, kNaN},
    {"log", 1, 0},
    {"tanh", kInf, 1},
    {"tanh", -kInf, -1},
    {"tanh", -0.0F, -0.0F},
    {"erf", kInf, 1},
    {"erf", -kInf, -1},
    {"erf", -0.0F, -0.0F},
    {"sigmoid", kInf, 1},
    {"sigmoid", -kInf, 0},
    {"sigmoid", 0, 0.5F},
    {"silu", kInf, kInf},
    {"silu", -kInf, kNaN},
    {"silu", -100, -0.0F},
    {"silu", -3e38F, -0.0F},
    {"silu", 3e38F, 3e38F},
    {"silu", -0.0F, -0.0F},
    {"gelu_tanh", kInf, kInf},
    {"gelu_tanh", -kInf, kNaN},
    {"gelu_tanh", -100, -0.0F},
    {"gelu_tanh", -3e38F, -0.0F},
    {"gelu_tanh", 3e38F, 3e38F},
    {"gelu_tanh", -0.0F, -0.0F},
    {"gelu_erf", kInf, kInf},
    {"gelu_erf", -kInf, kNaN},
    {"gelu_erf", -100, -0.0F},
    {"gelu_erf", -3e38F, -0.0F},
    {"gelu_erf", 3e38F, 3e38F},
    {"gelu_erf", -0.0F, -0.0F},
    {"relu", kInf, kInf},
    {"relu", -kInf, 0},
    {"relu", -1, 0},
    {"rsqrt", kInf, 0},
    {"rsqrt", 0, kInf},
    {"rsqrt", -1, kNaN},
    {"reciprocal", kInf, 0},
    {"reciprocal", 0, kInf},
    {"reciprocal", -0.0F, -kInf},
};

void expect_same(float found, float expected, const std::string& what) {
  if (std::isnan(expected)) {
    EXPECT_TRUE(std::isnan(found)) << what << " gives " << found;
  } else {
    EXPECT_EQ(std::bit_cast<uint32_t>(found), std::bit_cast<uint32_t>(expected))
        << what << " gives " << found << ", expected " << expected;
  }
}

TEST(MathSpecialValues, AreTheOnesListed) {
  using compiler::math::Division;
  for (const std::string& name : native_targets())
    for (const Case& one : kCases)
      for (const Division division : {Division::exact, Division::newton}) {
        const auto program = compiler::math::unary_program(function_named(one.function),
                                                           target_named(name), {division});
        const float found = evaluate_natively(program, {one.x}).front();
        const std::string what =
            std::string(one.function) + "(" + std::to_string(one.x) + ") on " + name;
        if (division == Division::newton && std::isfinite(one.expected) && one.expected != 0)
          EXPECT_LE(compiler::math::ulp_error(found, one.expected, 0), 4) << what;
        else
          expect_same(found, one.expected, what);
      }
}

// Payloads must not leak into the exponent arithmetic.
TEST(MathSpecialValues, EveryNaNStaysNaN) {
  std::vector<float> x;
  for (uint32_t bits = 0x7f800001; bits <= 0x7fffffff; bits += 4099)
    for (const uint32_t sign : {0U, 0x80000000U}) x.push_back(std::bit_cast<float>(bits | sign));
  for (uint32_t low = 1; low < 1024; ++low) x.push_back(std::bit_cast<float>(0x7fc00000U | low));
  for (const std::string& name : native_targets())
    for (const auto& function : compiler::math::functions()) {
      const auto y =
          evaluate_natively(compiler::math::unary_program(function, target_named(name)), x);
      for (size_t i = 0; i < x.size(); ++i)
        ASSERT_TRUE(std::isnan(y[i])) << function.name << " of NaN with bits "
                                      << std::bit_cast<uint32_t>(x[i]) << " on " << name;
    }
}

}  // namespace
}  // namespace lathe::tests
