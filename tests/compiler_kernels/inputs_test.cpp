// Adversarial inputs: offsets, large and tiny magnitudes, up to the largest, NaN and infinity,
// rows of -inf.
#include <cmath>

#include <gtest/gtest.h>

#include "tests/support/kernel_cases.h"

namespace lathe::tests {
namespace {

class Inputs : public testing::TestWithParam<InputKind> {};

TEST_P(Inputs, AgreeWithTheOracle) {
  for (const char* name : {"scalar", "avx2"}) {
    const ir::Target target = *ir::parse_target(name);
    for (const char* type : {"f32", "bf16"}) {
      for (const std::string& line : problem_lines(type, 72)) {
        const auto kernel_case = make_case(line, 6, GetParam());
        ASSERT_TRUE(kernel_case) << line << ": " << kernel_case.error().message;
        const auto space = kernel_case->problem.family().space(kernel_case->problem, target);
        for (const compiler::Schedule& schedule : every_knob_value(space)) {
          const Status status = run_case(*kernel_case, schedule, target, interpreted());
          EXPECT_TRUE(status) << name << " " << line << " with " << space.print(schedule) << ": "
                              << status.error().message;
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Kernels, Inputs,
                         testing::Values(InputKind::offset, InputKind::large, InputKind::tiny,
                                         InputKind::special, InputKind::masked),
                         [](const auto& info) { return std::string(to_string(info.param)); });

// The same on every target, though one rounds products that another adds up unrounded.
class HugeInputs : public testing::TestWithParam<const char*> {};

TEST_P(HugeInputs, AreNormalisedLikeOthers) {
  const ir::Target target = *ir::parse_target(GetParam());
  for (const char* type : {"f32", "f16", "bf16"}) {
    for (const int64_t width : {7, 72}) {
      for (const std::string& line : row_statistics_lines(type, width)) {
        const auto kernel_case = make_case(line, 30, InputKind::huge);
        ASSERT_TRUE(kernel_case) << line << ": " << kernel_case.error().message;
        const auto space = kernel_case->problem.family().space(kernel_case->problem, target);
        for (const compiler::Schedule& schedule : every_knob_value(space)) {
          const Status status = run_case(*kernel_case, schedule, target, interpreted());
          EXPECT_TRUE(status) << line << " with " << space.print(schedule) << ": "
                              << status.error().message;
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Kernels, HugeInputs, testing::Values("scalar", "sse", "avx2", "avx512"));

TEST(SoftmaxInputs, ARowOfMinusInfinityIsNaN) {
  const auto kernel_case = make_case("softmax rows=2 width=20", 2, InputKind::masked);
  ASSERT_TRUE(kernel_case);
  EXPECT_FALSE(std::isnan(kernel_case->expected[0].values[0]));
  EXPECT_TRUE(std::isnan(kernel_case->expected[0].values[20]));
}

}  // namespace
}  // namespace lathe::tests
