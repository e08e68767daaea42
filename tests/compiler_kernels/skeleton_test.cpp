// The skeleton family is right like any other.
#include "compiler/kernels/skeleton.h"

#include <gtest/gtest.h>

#include "ir/graph/reference.h"
#include "ir/plan/interpreter.h"

namespace lathe::compiler::kernels {
namespace {

TEST(Skeleton, AgreesWithTheOracle) {
  const auto problem = ProblemBuilder(scale())
                           .set("rows", bucket_of(3))
                           .set("width", int64_t{11})
                           .set("by", 0.5)
                           .build();
  ASSERT_TRUE(problem) << problem.error().message;
  EXPECT_EQ(problem->line(), "scale rows=2..7 width=11 by=0.5");
  ir::Tensor x(ir::Type::f32, {3, 11});
  for (int64_t i = 0; i < x.elements(); ++i) x.set(i, static_cast<double>(i) - 10);
  const auto expected = ir::graph::evaluate_double(*scale().reference(*problem), std::vector{x});
  ASSERT_TRUE(expected) << expected.error().message;
  for (const char* name : {"scalar", "sse", "avx2", "avx512"}) {
    const ir::Target target = *ir::parse_target(name);
    for (const Schedule& schedule : scale().space(*problem, target).points()) {
      const auto plan = scale().build(*problem, schedule, target);
      ASSERT_TRUE(plan) << plan.error().message;
      ASSERT_TRUE(ir::plan::verify(*plan));
      ir::Tensor y(ir::Type::f32, {3, 11});
      const std::vector<ir::plan::OperandView> operands = {{x.data(), x.bytes(), 0},
                                                           {y.data(), y.bytes(), 0}};
      const std::vector<int64_t> variables = {3, 44, 44, 2};  // rows, x.stride0, y.stride0, threads
      const auto trace = ir::plan::interpret(*plan, operands, variables);
      ASSERT_TRUE(trace) << trace.error().message;
      for (int64_t i = 0; i < y.elements(); ++i)
        EXPECT_EQ(y.at(i), expected->front().values[static_cast<size_t>(i)]);
    }
  }
}

}  // namespace
}  // namespace lathe::compiler::kernels
