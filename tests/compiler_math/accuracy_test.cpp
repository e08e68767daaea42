// Every function on every target stays within the limit that docs/numerics.md states for it.
#include <bit>
#include <cmath>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "tests/compiler_math/evaluate.h"

namespace lathe::tests {
namespace {

using compiler::math::Division;
using compiler::math::Function;

// One row of the table in docs/numerics.md.
struct Row {
  std::string function, division;
  double limit = 0;
};

std::vector<Row> documented() {
  std::ifstream file("docs/numerics.md");
  std::vector<Row> rows;
  bool inside = false;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("| function | division | limit |")) {
      inside = true;
    } else if (!line.starts_with("|")) {
      inside = false;
    } else if (inside && !line.starts_with("|---")) {
      std::istringstream cells(line);
      std::string bar;
      Row row;
      cells >> bar >> row.function >> bar >> row.division >> bar >> row.limit;
      rows.push_back(row);
    }
  }
  return rows;
}

// Every `stride`-th bit pattern; zeros, infinities, NaNs and the ends of the subnormals with their
// neighbours; and a dense stretch around every place where a formula changes or is clamped.
std::vector<float> inputs(uint64_t stride) {
  std::vector<float> x;
  for (uint64_t bits = 0; bits < (uint64_t{1} << 32); bits += stride)
    x.push_back(std::bit_cast<float>(static_cast<uint32_t>(bits)));
  const auto around = [&](float centre, int reach) {
    const auto bits = std::bit_cast<uint32_t>(centre);
    for (int i = -reach; i <= reach; ++i)
      for (const uint32_t sign : {0U, 0x80000000U})
        x.push_back(std::bit_cast<float>((bits + static_cast<uint32_t>(i)) ^ sign));
  };
  for (const float edge : {0.0F, 0x1p-149F, 0x1p-126F, 0x1p126F, 0x1.fffffep+127F,
                           std::numeric_limits<float>::infinity()})
    around(edge, 3);
  around(std::numeric_limits<float>::quiet_NaN(), 3);
  x.push_back(std::bit_cast<float>(0xffffffffU));
  const int reach = stride > 100000 ? 20 : 2000;
  for (const float edge :
       {0.34657359F, 0.70710678F, 1.0F, 1.41421356F, 2.0F, 4.0F, 7.0086F, 7.0174F, 9.02F, 10.0F,
        10.0010F, 10.0610F, 87.3365F, 88.0297F, 88.3762F, 88.7228F, 103.9721F, 104.0F})
    around(edge, reach);
  return x;
}

void expect_within(const Row& row, const ir::Target& target, const std::vector<float>& x,
                   const std::vector<float>& y) {
  const Function& function = function_named(row.function);
  const Division division = row.division == "newton" ? Division::newton : Division::exact;
  double worst = 0;
  size_t where = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    if (!compiler::math::measured(function, division, x[i])) continue;
    const double error =
        compiler::math::ulp_error(y[i], function.exact(double{x[i]}), function.floor);
    if (!(error <= worst)) {
      worst = error;
      where = i;
    }
  }
  EXPECT_LE(worst, row.limit) << row.function << " (" << row.division << ") on " << target.name
                              << ": " << x[where] << " gives " << y[where] << ", exact is "
                              << function.exact(double{x[where]});
}

compiler::math::Options options_of(const Row& row) {
  return {row.division == "newton" ? Division::newton : Division::exact};
}

TEST(MathAccuracy, TheTableNamesEveryFunction) {
  const std::vector<Row> rows = documented();
  size_t expected = 0;
  for (const Function& function : compiler::math::functions()) {
    expected += function.divides ? 2 : 1;
    EXPECT_TRUE(std::any_of(rows.begin(), rows.end(),
                            [&](const Row& row) { return row.function == function.name; }))
        << function.name << " is not in docs/numerics.md";
  }
  EXPECT_EQ(rows.size(), expected);
}

TEST(MathAccuracy, NativeCodeStaysWithinTheTable) {
  const std::vector<float> x = inputs(10007);
  for (const std::string& name : native_targets()) {
    const ir::Target target = target_named(name);
    for (const Row& row : documented())
      expect_within(row, target, x,
                    evaluate_natively(compiler::math::unary_program(function_named(row.function),
                                                                    target, options_of(row)),
                                      x));
  }
}

TEST(MathAccuracy, InterpretedProgramsStayWithinTheTable) {
  const std::vector<float> x = inputs(400009);
  for (const char* name : {"scalar", "sse", "avx2", "avx512"}) {
    const ir::Target target = target_named(name);
    for (const Row& row : documented())
      expect_within(
          row, target, x,
          evaluate_by_interpreter(
              compiler::math::unary_program(function_named(row.function), target, options_of(row)),
              x));
  }
}

// The hardware's estimates are each CPU's own; everything else is defined to the bit.
TEST(MathAccuracy, NativeAndInterpretedResultsAreTheSameBits) {
  const std::vector<float> x = inputs(1000003);
  for (const std::string& name : native_targets()) {
    const ir::Target target = target_named(name);
    for (const Function& function : compiler::math::functions()) {
      const auto program = compiler::math::unary_program(function, target);
      const std::vector<float> native = evaluate_natively(program, x),
                               interpreted = evaluate_by_interpreter(program, x);
      for (size_t i = 0; i < x.size(); ++i)
        ASSERT_TRUE(std::bit_cast<uint32_t>(native[i]) == std::bit_cast<uint32_t>(interpreted[i]) ||
                    (std::isnan(native[i]) && std::isnan(interpreted[i])))
            << function.name << "(" << x[i] << ") on " << name << ": " << native[i] << " natively, "
            << interpreted[i] << " interpreted";
    }
  }
}

}  // namespace
}  // namespace lathe::tests
