// The program and plan of each family's smallest configuration on AVX2.
#include "tests/support/golden.h"

#include <gtest/gtest.h>

#include "compiler/family.h"
#include "compiler/kernels/skeleton.h"
#include "ir/plan/plan.h"
#include "ir/program/printer.h"

namespace lathe::tests {
namespace {

std::string text_of(const compiler::Problem& problem) {
  const ir::Target target = *ir::parse_target("avx2");
  const auto space = problem.family().space(problem, target);
  const auto plan = problem.family().build(problem, space.default_schedule(), target);
  if (!plan) return plan.error().message;
  std::string text = "# " + problem.line() + "\n# " + space.print(space.default_schedule()) + "\n";
  text += ir::plan::print(*plan);
  for (const auto& program : plan->programs) text += "\n" + ir::program::print(program);
  return text;
}

class Golden : public testing::TestWithParam<const compiler::Family*> {};

TEST_P(Golden, ProgramIsAsCommitted) {
  const auto problem = compiler::parse_problem(GetParam()->smallest);
  ASSERT_TRUE(problem) << "smallest: " << problem.error().message;
  ASSERT_EQ(&problem->family(), GetParam());
  EXPECT_TRUE(matches_golden("kernels/" + GetParam()->name + ".txt", text_of(*problem)));
}

INSTANTIATE_TEST_SUITE_P(Kernels, Golden, testing::ValuesIn(compiler::catalogue()),
                         [](const auto& info) { return info.param->name; });

TEST(Golden, SkeletonIsAsCommitted) {
  const auto problem = compiler::ProblemBuilder(compiler::kernels::scale())
                           .set_text("rows", "1")
                           .set_text("width", "11")
                           .build();
  ASSERT_TRUE(problem) << problem.error().message;
  EXPECT_TRUE(matches_golden("kernels/scale.txt", text_of(*problem)));
}

}  // namespace
}  // namespace lathe::tests
