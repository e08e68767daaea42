// Padded rows, outputs in the memory of inputs, any number of threads and rows.
#include <gtest/gtest.h>

#include "tests/support/kernel_cases.h"

namespace lathe::tests {
namespace {

class Layout : public testing::TestWithParam<std::string> {
 protected:
  void check(const std::string& line, int64_t rows, const CaseOptions& options) {
    const ir::Target target = *ir::parse_target(GetParam());
    const auto kernel_case = make_case(line, rows);
    ASSERT_TRUE(kernel_case) << line << ": " << kernel_case.error().message;
    const auto space = kernel_case->problem.family().space(kernel_case->problem, target);
    for (const compiler::Schedule& schedule : every_knob_value(space)) {
      const Status status = run_case(*kernel_case, schedule, target, interpreted(), options);
      EXPECT_TRUE(status) << line << " with " << space.print(schedule) << ": "
                          << status.error().message;
    }
  }
};

TEST_P(Layout, PaddedRowsAgreeAndGapsStay) {
  for (const int64_t padding : {1, 64}) {
    for (const std::string& line : problem_lines("f32", 72)) check(line, 3, {.padding = padding});
  }
  for (const std::string& line : problem_lines("f16", 7)) check(line, 3, {.padding = 3});
}

TEST_P(Layout, OutputsInTheMemoryOfInputsAgree) {
  for (const std::string& line : problem_lines("f32", 72)) check(line, 3, {.in_place = true});
  for (const std::string& line : problem_lines("bf16", 7)) check(line, 3, {.in_place = true});
}

TEST_P(Layout, AnyNumberOfRowsAndThreadsAgrees) {
  for (const int64_t rows : {1, 2, 7}) {
    for (const int threads : {1, 3, 16}) {
      check("rms_norm rows=8 width=2048", rows, {.threads = threads});
      check("softmax rows=8 width=2048", rows, {.threads = threads});
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Kernels, Layout, testing::Values("scalar", "avx2", "avx512"));

}  // namespace
}  // namespace lathe::tests
