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

TEST(Golden, ProgramsAreAsCommitted) {
  for (const compiler::Family* family : compiler::catalogue()) {
    SCOPED_TRACE(family->name);
    const auto problem = compiler::parse_problem(family->smallest);
    ASSERT_TRUE(problem) << "smallest: " << problem.error().message;
    ASSERT_EQ(&problem->family(), family);
    EXPECT_TRUE(matches_golden("kernels/" + family->name + ".txt", text_of(*problem)));
  }
}

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
