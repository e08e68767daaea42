// One mistake a test; each is named by the error.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/ir_plan/sample_plan.h"

namespace lathe::ir::plan {
namespace {

using testing::HasSubstr;

std::string error_of(const Plan& plan) {
  const Status status = verify(plan);
  if (status) return "(verifies)";
  EXPECT_EQ(status.error().code, ErrorCode::verify_error);
  return status.error().message;
}

TEST(PlanVerifier, AcceptsTheSample) {
  const Status status = verify(sample_plan());
  EXPECT_TRUE(status) << status.error().message;
}

TEST(PlanVerifier, AcceptsDirectlyNestedParallelLoopsInASequentialOne) {
  Plan plan = sample_plan();
  Loop inner = loop_of(plan);
  inner.variable = plan.loop_variable("column");
  loop_of(plan).body.clear();
  append(loop_of(plan).body, std::move(inner));
  Loop outer{plan.loop_variable("pass"), 3, 1, false, std::move(plan.body)};
  plan.body.clear();
  append(plan.body, std::move(outer));
  const Status status = verify(plan);
  EXPECT_TRUE(status) << status.error().message;
}

TEST(PlanVerifier, MoreInputsThanVariables) {
  Plan plan = sample_plan();
  plan.inputs = 40;
  EXPECT_THAT(error_of(plan), HasSubstr("40 inputs among 4 variables"));
}

TEST(PlanVerifier, TwoVariablesOfOneName) {
  Plan plan = sample_plan();
  plan.variables[1] = "rows";
  EXPECT_THAT(error_of(plan), HasSubstr("two variables are named 'rows'"));
}

TEST(PlanVerifier, TwoOperandsOfOneName) {
  Plan plan = sample_plan();
  plan.operands[1].name = "x";
  EXPECT_THAT(error_of(plan), HasSubstr("two operands are named 'x'"));
}

TEST(PlanVerifier, ScratchNamedAsAnOperand) {
  Plan plan = sample_plan();
  plan.scratch.push_back({"x", 64, true});
  EXPECT_THAT(error_of(plan), HasSubstr("two operands or scratch buffers are named 'x'"));
}

TEST(PlanVerifier, IndexLimitThatIsNoInput) {
  Plan plan = sample_plan();
  plan.operands[0].index_limit = 3;
  EXPECT_THAT(error_of(plan), HasSubstr("index limit 3 is not an input"));
}

TEST(PlanVerifier, ScratchOfALoopVariable) {
  Plan plan = sample_plan();
  plan.scratch.push_back({"packed", Expr::variable(3), true});
  EXPECT_THAT(error_of(plan),
              HasSubstr("size of scratch 'packed': 'row' is used outside the loop"));
}

TEST(PlanVerifier, UnknownVariable) {
  Plan plan = sample_plan();
  loop_of(plan).extent = Expr::variable(9);
  EXPECT_THAT(error_of(plan), HasSubstr("variable 9 of 4"));
}

TEST(PlanVerifier, VariableUsedOutsideItsLoop) {
  Plan plan = sample_plan();
  Call call = call_of(plan);
  append(plan.body, std::move(call));
  EXPECT_THAT(error_of(plan), HasSubstr("'row' is used outside the loop that binds it"));
}

TEST(PlanVerifier, LoopOverAnInput) {
  Plan plan = sample_plan();
  loop_of(plan).variable = 0;
  EXPECT_THAT(error_of(plan), HasSubstr("expected a loop variable, 3 … 3"));
}

TEST(PlanVerifier, VariableBoundTwice) {
  Plan plan = sample_plan();
  Loop inner = loop_of(plan);
  inner.parallel = false;
  inner.extent = 1;
  loop_of(plan).body.clear();
  append(loop_of(plan).body, std::move(inner));
  EXPECT_THAT(error_of(plan), HasSubstr("a loop around it binds the same variable"));
}

TEST(PlanVerifier, BlockOfZero) {
  Plan plan = sample_plan(2, 0);
  EXPECT_THAT(error_of(plan), HasSubstr("block 0; expected at least 1"));
}

TEST(PlanVerifier, ParallelLoopThatIsNotAlone) {
  Plan plan = sample_plan();
  Loop inner = loop_of(plan);
  inner.variable = plan.loop_variable("column");
  append(loop_of(plan).body, std::move(inner));
  EXPECT_THAT(error_of(plan), HasSubstr("parallel loops nest only directly"));
}

TEST(PlanVerifier, ParallelLoopBelowASequentialOneInAParallelOne) {
  Plan plan = sample_plan();
  Loop inner = loop_of(plan);
  inner.variable = plan.loop_variable("column");
  Loop between{plan.loop_variable("pass"), 2, 1, false, {}};
  append(between.body, std::move(inner));
  loop_of(plan).body.clear();
  append(loop_of(plan).body, std::move(between));
  EXPECT_THAT(error_of(plan), HasSubstr("parallel loops nest only directly"));
}

TEST(PlanVerifier, ParallelExtentOfAParallelVariable) {
  Plan plan = sample_plan();
  Loop inner = loop_of(plan);
  inner.extent = Expr::variable(inner.variable);
  inner.variable = plan.loop_variable("column");
  loop_of(plan).body.clear();
  append(loop_of(plan).body, std::move(inner));
  EXPECT_THAT(error_of(plan), HasSubstr("its extent depends on 'row'"));
}

TEST(PlanVerifier, UnknownProgram) {
  Plan plan = sample_plan();
  call_of(plan).program = 1;
  EXPECT_THAT(error_of(plan), HasSubstr("a call of program 1 of 1"));
}

TEST(PlanVerifier, WrongNumberOfBuffers) {
  Plan plan = sample_plan();
  call_of(plan).buffers.pop_back();
  EXPECT_THAT(error_of(plan), HasSubstr("1 buffers and 1 parameters; expected 2 and 1"));
}

TEST(PlanVerifier, WrongNumberOfParameters) {
  Plan plan = sample_plan();
  call_of(plan).parameters.clear();
  EXPECT_THAT(error_of(plan), HasSubstr("2 buffers and 0 parameters; expected 2 and 1"));
}

TEST(PlanVerifier, UnknownOperand) {
  Plan plan = sample_plan();
  call_of(plan).buffers[0].index = 2;
  EXPECT_THAT(error_of(plan), HasSubstr("operand 2 of 2"));
}

TEST(PlanVerifier, UnknownScratch) {
  Plan plan = sample_plan();
  call_of(plan).buffers[0].kind = Argument::Kind::scratch;
  EXPECT_THAT(error_of(plan), HasSubstr("scratch 0 of 0"));
}

TEST(PlanVerifier, WritesAReadOnlyOperand) {
  Plan plan = sample_plan();
  call_of(plan).buffers[1].index = 0;
  EXPECT_THAT(error_of(plan), HasSubstr("writes operand 'x' through 'y'"));
}

TEST(PlanVerifier, ReadsAWriteOnlyOperand) {
  Plan plan = sample_plan();
  call_of(plan).buffers[0].index = 1;
  EXPECT_THAT(error_of(plan), HasSubstr("reads operand 'y' through 'x'"));
}

TEST(PlanVerifier, ProgramThatDoesNotVerify) {
  Plan plan = sample_plan();
  std::get<program::Loop>(plan.programs[0].body.back().value).step = 0;
  EXPECT_THAT(error_of(plan), HasSubstr("plan 'double': program 'double_rows'"));
}

TEST(PlanVerifier, ExpressionTooDeep) {
#ifndef NDEBUG
  GTEST_SKIP() << "building it is an assertion in this build";
#endif
  Plan plan = sample_plan();
  Expr deep = Expr::variable(0);
  for (int i = 0; i < Expr::kMaxDepth; ++i) deep = Expr::variable(0) + deep;
  loop_of(plan).extent = deep;
  EXPECT_THAT(error_of(plan), HasSubstr("nests 17 deep; expected at most 16"));
}

}  // namespace
}  // namespace lathe::ir::plan
