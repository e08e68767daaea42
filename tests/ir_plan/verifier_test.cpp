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
  Loop outer{plan.loop_variable("pass"), 0, 3, 1, /*parallel=*/false, std::move(plan.body)};
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

TEST(PlanVerifier, AcceptsSequencesOfTheirOwnLengths) {
  const Status status = verify(ragged_plan());
  EXPECT_TRUE(status) << status.error().message;
}

TEST(PlanVerifier, RuleForElementsThatAreNoIntegers) {
  Plan plan = sample_plan();
  plan.operands[0].elements = ElementRule{.below = 3};
  EXPECT_THAT(error_of(plan),
              HasSubstr("elements of operand 'x': they are f32; a rule is for i32 or i64"));
}

TEST(PlanVerifier, FiniteElementsThatAreNoNumbers) {
  Plan plan = ragged_plan();
  plan.operands[1].finite = true;
  EXPECT_THAT(error_of(plan), HasSubstr("operand 'starts': its elements are i32; those that must"));
}

TEST(PlanVerifier, RuleOfALoopVariable) {
  Plan plan = ragged_plan();
  plan.operands[1].elements->below = Expr::variable(plan.find("row"));
  EXPECT_THAT(error_of(plan), HasSubstr("elements of operand 'starts': 'row' is used where"));
}

TEST(PlanVerifier, AcceptsAnOperandThatIsUpdated) {
  const Status status = verify(update_plan());
  EXPECT_TRUE(status) << status.error().message;
}

TEST(PlanVerifier, UpdatedButReadOnly) {
  Plan plan = update_plan();
  plan.operands[0].updated = true;
  EXPECT_EQ(error_of(plan), "plan 'update': operand 'x': it is updated but read-only");
}

TEST(PlanVerifier, NoneAmongAscendingElements) {
  Plan plan = update_plan();
  plan.operands[1].elements->ascending = true;
  EXPECT_THAT(error_of(plan), HasSubstr("elements of operand 'slots': they ascend, but -1 may"));
}

TEST(PlanVerifier, ReadsAnElementThatMayNameNothing) {
  Plan plan = update_plan();
  loop_of(plan).end = plan.element("slots", 0);
  EXPECT_THAT(error_of(plan),
              HasSubstr("loop over 'row': an element of operand 'slots', which may be -1"));
}

TEST(PlanVerifier, RuleOfElements) {
  Plan plan = ragged_plan();
  plan.operands[1].elements->least = plan.element("starts", 0);
  EXPECT_THAT(error_of(plan), HasSubstr("a bound reads elements; expected one of inputs alone"));
}

TEST(PlanVerifier, BoundsThatNeedNotAscend) {
  Plan plan = ragged_plan();
  plan.operands[1].elements->covers = true;
  EXPECT_TRUE(verify(plan));
  plan.operands[1].elements->ascending = false;
  EXPECT_THAT(
      error_of(plan),
      HasSubstr("elements of operand 'starts': bounds that leave nothing out have to ascend"));
}

TEST(PlanVerifier, CountOfALoopVariable) {
  Plan plan = ragged_plan();
  plan.operands[1].elements->count = Expr::variable(plan.find("row"));
  EXPECT_THAT(error_of(plan), HasSubstr("elements of operand 'starts': 'row' is used where"));
}

TEST(PlanVerifier, ScratchOfLessThanNothing) {
  Plan plan = sample_plan();
  plan.most_scratch = -1;
  EXPECT_THAT(error_of(plan), HasSubstr("-1 bytes of scratch at most; expected 0 or more"));
}

TEST(PlanVerifier, ElementWithoutARule) {
  Plan plan = ragged_plan();
  plan.operands[1].elements.reset();
  EXPECT_THAT(error_of(plan),
              HasSubstr("an element of operand 'starts', which has no rule for its elements"));
}

TEST(PlanVerifier, ElementOfAnotherSize) {
  Plan plan = ragged_plan();
  plan.operands[1].type = Type::i64;
  EXPECT_THAT(error_of(plan),
              HasSubstr("an element of 4 bytes of operand 'starts', whose elements are i64"));
}

TEST(PlanVerifier, ElementThatMayBeWritten) {
  Plan plan = ragged_plan();
  plan.operands[1].access = program::BufferAccess::read_write;
  EXPECT_THAT(error_of(plan), HasSubstr("an element of operand 'starts', which may be written"));
}

TEST(PlanVerifier, ElementOfAnUnknownOperand) {
  Plan plan = ragged_plan();
  std::get<Loop>(loop_of(plan).body[0].value).begin = plan.element("ends", 0);
  EXPECT_THAT(error_of(plan), HasSubstr("an element of operand -1 of 3"));
}

TEST(PlanVerifier, RowsThatCountInPart) {
  Plan plan = paged_plan();
  const Status status = verify(plan);
  EXPECT_TRUE(status) << status.error().message;
  plan.operands[2].elements->row_count->each = 0;
  EXPECT_THAT(error_of(plan), HasSubstr("elements of operand 'table': one for each 0; expected at "
                                        "least 1"));
}

TEST(PlanVerifier, RowsCountedByALaterOperand) {
  for (const int counts : {-1, 2, 3}) {
    Plan plan = paged_plan();
    plan.operands[2].elements->row_count->operand = counts;
    EXPECT_THAT(error_of(plan), HasSubstr("its rows are counted by operand " +
                                          std::to_string(counts) + "; expected one before it"));
  }
}

TEST(PlanVerifier, RowsCountedByWhatHasNoRule) {
  Plan plan = paged_plan();
  plan.operands[2].elements->row_count->operand = 0;
  EXPECT_THAT(error_of(plan), HasSubstr("its rows are counted by operand 'x', which has no rule"));
}

TEST(PlanVerifier, RowsCountedByWhatHasAStride) {
  Plan plan = paged_plan();
  plan.variables[static_cast<size_t>(plan.find("threads"))] = "counts.stride0";
  EXPECT_THAT(error_of(plan), HasSubstr("its rows are counted by operand 'counts', which has a "
                                        "stride; expected a dense one"));
}

TEST(PlanVerifier, NamedValueOutsideItsBody) {
  Plan plan = ragged_plan();
  Loop again{plan.loop_variable("again"), 0, Expr::variable(plan.find("left"))};
  append(plan.body, std::move(again));
  EXPECT_THAT(error_of(plan), HasSubstr("'left' is used where nothing binds it"));
}

TEST(PlanVerifier, NamedValueBeforeItsName) {
  Plan plan = ragged_plan();
  Body& body = std::get<Loop>(loop_of(plan).body[0].value).body;
  std::swap(body[0], body[1]);
  EXPECT_THAT(error_of(plan), HasSubstr("'left' is used where nothing binds it"));
}

TEST(PlanVerifier, NameOfALoopVariable) {
  Plan plan = ragged_plan();
  Body& body = std::get<Loop>(loop_of(plan).body[0].value).body;
  std::get<Let>(body[0].value).variable = plan.find("row");
  EXPECT_THAT(error_of(plan), HasSubstr("let 'row': something around it binds the same variable"));
}

TEST(PlanVerifier, NameOfAnInput) {
  Plan plan = ragged_plan();
  Body& body = std::get<Loop>(loop_of(plan).body[0].value).body;
  std::get<Let>(body[0].value).variable = 0;
  EXPECT_THAT(error_of(plan), HasSubstr("let of variable 0; expected one that is no input, 3 … 5"));
}

TEST(PlanVerifier, ScratchOfALoopVariable) {
  Plan plan = sample_plan();
  plan.scratch.push_back({"packed", Expr::variable(3), true});
  EXPECT_THAT(error_of(plan), HasSubstr("size of scratch 'packed': 'row' is used where nothing"));
}

TEST(PlanVerifier, UnknownVariable) {
  Plan plan = sample_plan();
  loop_of(plan).end = Expr::variable(9);
  EXPECT_THAT(error_of(plan), HasSubstr("variable 9 of 4"));
}

TEST(PlanVerifier, VariableUsedOutsideItsLoop) {
  Plan plan = sample_plan();
  Call call = call_of(plan);
  append(plan.body, std::move(call));
  EXPECT_THAT(error_of(plan), HasSubstr("'row' is used where nothing binds it"));
}

TEST(PlanVerifier, LoopOverAnInput) {
  Plan plan = sample_plan();
  loop_of(plan).variable = 0;
  EXPECT_THAT(error_of(plan), HasSubstr("expected one that is no input, 3 … 3"));
}

TEST(PlanVerifier, VariableBoundTwice) {
  Plan plan = sample_plan();
  Loop inner = loop_of(plan);
  inner.parallel = false;
  inner.end = 1;
  loop_of(plan).body.clear();
  append(loop_of(plan).body, std::move(inner));
  EXPECT_THAT(error_of(plan), HasSubstr("something around it binds the same variable"));
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
  Loop between{plan.loop_variable("pass"), 0, 2};
  append(between.body, std::move(inner));
  loop_of(plan).body.clear();
  append(loop_of(plan).body, std::move(between));
  EXPECT_THAT(error_of(plan), HasSubstr("parallel loops nest only directly"));
}

TEST(PlanVerifier, OnlyTheInnermostOfANestMayBeRagged) {
  Plan plan = ragged_plan();
  Loop& inner = std::get<Loop>(loop_of(plan).body[0].value);
  Loop innermost{plan.loop_variable("part"), 0, 2, 1, /*parallel=*/true, std::move(inner.body)};
  inner.body.clear();
  append(inner.body, std::move(innermost));
  EXPECT_THAT(error_of(plan), HasSubstr("loop over 'row': its bounds depend on 'sequence'"));
}

TEST(PlanVerifier, UnknownProgram) {
  Plan plan = sample_plan();
  call_of(plan).program = 1;
  EXPECT_THAT(error_of(plan), HasSubstr("a call of program 1 of 1"));
}

TEST(PlanVerifier, BufferThatGetsNothing) {
  Plan plan = sample_plan();
  call_of(plan).buffers.pop_back();
  EXPECT_THAT(error_of(plan), HasSubstr("call of 'double_rows': buffer 'y' gets nothing"));
}

TEST(PlanVerifier, ParameterThatGetsNothing) {
  Plan plan = sample_plan();
  call_of(plan).parameters.clear();
  EXPECT_THAT(error_of(plan), HasSubstr("call of 'double_rows': parameter 'rows' gets nothing"));
}

TEST(PlanVerifier, BuffersInAnotherOrder) {
  Plan plan = sample_plan();
  std::swap(call_of(plan).buffers[0], call_of(plan).buffers[1]);
  EXPECT_THAT(error_of(plan), HasSubstr("buffer 0 is given as 'y'; expected 'x'"));
}

TEST(PlanVerifier, ParameterThatTheProgramHasNot) {
  Plan plan = sample_plan();
  call_of(plan).parameters.push_back({"columns", 1});
  EXPECT_THAT(error_of(plan), HasSubstr("parameter 1 is given as 'columns'; expected no more"));
}

TEST(PlanVerifier, UnknownOperand) {
  Plan plan = sample_plan();
  call_of(plan).buffers[0].place.index = 2;
  EXPECT_THAT(error_of(plan), HasSubstr("operand 2 of 2"));
}

TEST(PlanVerifier, UnknownScratch) {
  Plan plan = sample_plan();
  call_of(plan).buffers[0].place.kind = Place::Kind::scratch;
  EXPECT_THAT(error_of(plan), HasSubstr("scratch 0 of 0"));
}

TEST(PlanVerifier, WritesAReadOnlyOperand) {
  Plan plan = sample_plan();
  call_of(plan).buffers[1].place.index = 0;
  EXPECT_THAT(error_of(plan), HasSubstr("writes operand 'x' through 'y'"));
}

TEST(PlanVerifier, ReadsAWriteOnlyOperand) {
  Plan plan = sample_plan();
  call_of(plan).buffers[0].place.index = 1;
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
  loop_of(plan).end = deep;
  EXPECT_THAT(error_of(plan), HasSubstr("nests 17 deep; expected at most 16"));
}

}  // namespace
}  // namespace lathe::ir::plan
