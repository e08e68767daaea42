// Every family, lane count and element type on awkward widths.
#include <gtest/gtest.h>

#include "tests/support/kernel_cases.h"

namespace lathe::tests {
namespace {

struct Point {
  std::string target;
  std::string type;
};

class Widths : public testing::TestWithParam<Point> {};

TEST_P(Widths, AgreeWithTheOracle) {
  const ir::Target target = *ir::parse_target(GetParam().target);
  std::vector<int64_t> widths = {1, 7, 72, 257, target.lanes + 1};
  if (target.lanes > 2) widths.push_back(target.lanes - 1);
  for (const int64_t width : widths) {
    for (const std::string& line : problem_lines(GetParam().type, width)) {
      const auto kernel_case = make_case(line, 5);
      ASSERT_TRUE(kernel_case) << line << ": " << kernel_case.error().message;
      const auto schedule =
          kernel_case->problem.family().space(kernel_case->problem, target).default_schedule();
      const Status status = run_case(*kernel_case, schedule, target, interpreted());
      EXPECT_TRUE(status) << line << ": " << status.error().message;
    }
  }
}

TEST_P(Widths, AgreeWithTheOracleAtModelWidth) {
  const ir::Target target = *ir::parse_target(GetParam().target);
  for (const std::string& line : problem_lines(GetParam().type, 2048)) {
    const auto kernel_case = make_case(line, 3);
    ASSERT_TRUE(kernel_case) << line << ": " << kernel_case.error().message;
    const auto schedule =
        kernel_case->problem.family().space(kernel_case->problem, target).default_schedule();
    const Status status = run_case(*kernel_case, schedule, target, interpreted());
    EXPECT_TRUE(status) << line << ": " << status.error().message;
  }
}

std::vector<Point> points() {
  std::vector<Point> all;
  for (const char* target : {"scalar", "sse", "avx2", "avx512"}) {
    for (const char* type : {"f32", "f16", "bf16"}) all.push_back({target, type});
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(Kernels, Widths, testing::ValuesIn(points()), [](const auto& info) {
  return info.param.target + "_" + info.param.type;
});

}  // namespace
}  // namespace lathe::tests
