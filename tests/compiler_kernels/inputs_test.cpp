// Adversarial inputs: rows of every kind, alone and beside each other.
#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

#include "tests/compiler_kernels/every_knob.h"

namespace lathe::tests {
namespace {

constexpr int64_t kRows = 7;  // so that the row far below zero has one before it, which looks ahead
constexpr int64_t kWidth = 75;  // no whole number of vectors

class Inputs : public testing::TestWithParam<InputPattern> {};

TEST_P(Inputs, AgreeWithTheOracle) {
  for (const char* name : {"scalar", "avx2"}) {
    const ir::Target target = *ir::parse_target(name);
    for (const char* type : {"f32", "bf16"}) {
      for (const std::string& line : problem_lines(type, kWidth)) {
        const auto kernel_case = make_case(line, kRows, GetParam());
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

INSTANTIATE_TEST_SUITE_P(Kernels, Inputs, testing::ValuesIn(adversarial_patterns(kRows)),
                         [](const auto& info) {
                           std::string name = info.param.print();
                           std::replace(name.begin(), name.end(), ' ', '_');
                           return name;
                         });

// The maximum of a row that starts too high would go unseen where any value is near 0.
TEST(SoftmaxInputs, EveryKindOfRowByItself) {
  const ir::Target target = *ir::parse_target("sse");
  for (const InputKind kind : compiler::all_input_kinds())
    for (const char* line : {"softmax rows=2 width=20", "softmax rows=2 width=70 type=bf16"})
      check_every_knob_value(line, 3, target, kind);
}

// The same on every target, though one rounds products that another adds up unrounded.
class HugeInputs : public testing::TestWithParam<const char*> {};

TEST_P(HugeInputs, AreNormalisedLikeOthers) {
  const ir::Target target = *ir::parse_target(GetParam());
  for (const char* type : {"f32", "f16", "bf16"})
    for (const int64_t width : {7, 72})
      for (const std::string& line : row_statistics_lines(type, width))
        check_every_knob_value(line, 30, target, InputKind::huge);
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
