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

class Golden : public testing::TestWithParam<std::string> {};

TEST_P(Golden, ProgramIsAsCommitted) {
  const auto problem = compiler::parse_problem(GetParam());
  ASSERT_TRUE(problem) << problem.error().message;
  EXPECT_TRUE(matches_golden("kernels/" + problem->family().name + ".txt", text_of(*problem)));
}

INSTANTIATE_TEST_SUITE_P(
    Kernels, Golden,
    testing::Values("rms_norm rows=1 width=11", "layer_norm rows=1 width=11",
                    "normalize rows=1 width=11", "softmax rows=1 width=8", "gelu rows=1 width=8",
                    "silu rows=1 width=8", "relu rows=1 width=11", "swiglu rows=1 width=8",
                    "rope rows=1 heads=2 dim=16", "elementwise rows=1 width=11 expr=add(x,r)",
                    "embedding rows=1 width=11", "quantize rows=1 width=32",
                    "linear rows=2 n=8 k=5 panel=8 epilogue=add(y,vec(b))",
                    "batched_matmul batch=1 rows=1 n=8 k=3 epilogue=mul(y,0.125)"),
    [](const auto& info) { return info.param.substr(0, info.param.find(' ')); });

TEST(Golden, EveryFamilyHasAText) {
  // A family without a line above would not be noticed otherwise.
  EXPECT_EQ(compiler::catalogue().size(), 14U);
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
