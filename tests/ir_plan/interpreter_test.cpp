// Plans run through the program interpreter: results, races, arguments.
#include "ir/plan/interpreter.h"

#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/ir_plan/sample_plan.h"

namespace lathe::ir::plan {
namespace {

using testing::HasSubstr;

struct Data {
  explicit Data(int64_t rows) : x(static_cast<size_t>(rows * kWidth)), y(x.size(), -1.0F) {
    std::iota(x.begin(), x.end(), 1.0F);
    inputs = {rows, kRowBytes, 4};
  }
  std::vector<OperandView> views() { return {view(x), view(y)}; }
  static OperandView view(std::vector<float>& v) {
    return {reinterpret_cast<std::byte*>(v.data()), static_cast<int64_t>(v.size() * 4), 0};
  }
  std::vector<float> x, y;
  std::vector<int64_t> inputs;
};

std::string error_of(const Plan& plan, const std::vector<OperandView>& views,
                     const std::vector<int64_t>& inputs, const PlanOptions& options = {}) {
  const auto trace = interpret(plan, views, inputs, options);
  return trace ? "(runs)" : trace.error().message;
}

TEST(PlanInterpreter, RunsEveryRow) {
  for (const int64_t rows : {0, 1, 2, 7}) {
    Data data(rows);
    const auto trace = interpret(sample_plan(), data.views(), data.inputs, {.workers = 3});
    ASSERT_TRUE(trace) << trace.error().message;
    for (size_t i = 0; i < data.x.size(); ++i) EXPECT_EQ(data.y[i], 2 * data.x[i]);
    EXPECT_EQ(trace->bytes_read, static_cast<uint64_t>(rows * kRowBytes));
    EXPECT_EQ(trace->bytes_written, static_cast<uint64_t>(rows * kRowBytes));
  }
}

TEST(PlanInterpreter, StartsWhereTheViewStarts) {
  Data data(2);
  auto views = data.views();
  views[0].start = kRowBytes;
  views[1].start = kRowBytes;
  data.inputs[0] = 1;
  ASSERT_TRUE(interpret(sample_plan(), views, data.inputs));
  EXPECT_EQ(data.y[0], -1.0F);
  EXPECT_EQ(data.y[kWidth], 2 * data.x[kWidth]);
}

TEST(PlanInterpreter, OverlappingWritesAreARace) {
  Data data(6);
  // Blocks of three rows, but a step of two: rows 2 and 4 are written twice.
  EXPECT_THAT(
      error_of(sample_plan(3, 2), data.views(), data.inputs),
      HasSubstr("plan 'double': parallel iteration (row = 0) writes and iteration (row = 2) "
                "writes bytes 48 … 63 of operand 'y'"));
}

TEST(PlanInterpreter, OverlappingWritesPassUnchecked) {
  Data data(6);
  EXPECT_EQ(error_of(sample_plan(3, 2), data.views(), data.inputs, {.check_disjoint = false}),
            "(runs)");
}

TEST(PlanInterpreter, InPlaceIsNoRace) {
  Data data(6);
  auto views = data.views();
  views[0] = views[1];
  EXPECT_EQ(error_of(sample_plan(), views, data.inputs), "(runs)");
}

TEST(PlanInterpreter, ReadingWhatAnotherIterationWritesIsARace) {
  Data data(6);
  auto views = data.views();
  views[0] = views[1];
  views[0].start = kRowBytes;  // reads one row below the one it writes
  data.inputs[0] = 4;
  EXPECT_THAT(
      error_of(sample_plan(), views, data.inputs),
      HasSubstr("parallel iteration (row = 0) reads and iteration (row = 2) writes bytes 48 … "
                "63 of operand 'y'"));
}

TEST(PlanInterpreter, NestedParallelLoopsNameBothVariables) {
  Plan plan = sample_plan();
  Loop inner = loop_of(plan);
  inner.variable = plan.loop_variable("column");
  inner.end = 2;
  inner.block = 1;
  loop_of(plan).body.clear();
  append(loop_of(plan).body, std::move(inner));
  Data data(2);
  EXPECT_THAT(
      error_of(plan, data.views(), data.inputs),
      HasSubstr("iteration (row = 0, column = 0) writes and iteration (row = 0, column = 1)"));
}

// Writes the block to scratch, then from there to y.
Plan through_scratch(bool per_worker) {
  Plan plan = sample_plan();
  plan.scratch.push_back({"tile", 2 * kRowBytes, per_worker});
  Call second = call_of(plan);
  call_of(plan).buffers[1].place = {Place::Kind::scratch, 0};
  second.buffers[0].place = {Place::Kind::scratch, 0};
  append(loop_of(plan).body, std::move(second));
  return plan;
}

TEST(PlanInterpreter, EachWorkerHasItsScratch) {
  const Plan plan = through_scratch(true);
  ASSERT_TRUE(verify(plan));
  Data data(7);
  const auto trace = interpret(plan, data.views(), data.inputs, {.workers = 2});
  ASSERT_TRUE(trace) << trace.error().message;
  for (size_t i = 0; i < data.x.size(); ++i) EXPECT_EQ(data.y[i], 4 * data.x[i]);
}

TEST(PlanInterpreter, SharedScratchCanRace) {
  Data data(7);
  EXPECT_THAT(error_of(through_scratch(false), data.views(), data.inputs),
              HasSubstr("of scratch 'tile'"));
}

TEST(PlanInterpreter, ScratchDoesNotOutliveItsIteration) {
  // The second call alone: it reads what nobody wrote.
  Plan plan = through_scratch(true);
  loop_of(plan).body.erase(loop_of(plan).body.begin());
  Data data(4);
  ASSERT_TRUE(interpret(plan, data.views(), data.inputs));
  uint32_t bits = 0xA5A5A5A5U;
  float poison = 0;
  std::memcpy(&poison, &bits, 4);
  for (const float y : data.y) EXPECT_EQ(y, 2 * poison);
}

TEST(PlanInterpreter, OneParallelLoopAfterAnotherIsNoRace) {
  Plan plan = sample_plan();
  Step again = plan.body[0];
  plan.body.push_back(std::move(again));
  Data data(6);
  EXPECT_EQ(error_of(plan, data.views(), data.inputs), "(runs)");
}

TEST(PlanInterpreter, SequentialLoopsMayOverlap) {
  Plan plan = sample_plan(3, 2);
  loop_of(plan).parallel = false;
  Data data(6);
  EXPECT_EQ(error_of(plan, data.views(), data.inputs), "(runs)");
}

TEST(PlanInterpreter, AccessOutsideNamesThePlace) {
  Data data(4);
  data.inputs[0] = 5;
  const std::string error = error_of(sample_plan(), data.views(), data.inputs);
  EXPECT_THAT(error, HasSubstr("plan 'double' at row = 4: program 'double_rows'"));
  EXPECT_THAT(error, HasSubstr("of buffer 'x', which has 96 bytes"));
}

TEST(PlanInterpreter, NullOperandThatIsNotTouched) {
  Plan plan = sample_plan();
  plan.operands.push_back({"bias", Type::f32, program::BufferAccess::read, true});
  Data data(2);
  auto views = data.views();
  views.push_back({});
  EXPECT_EQ(error_of(plan, views, data.inputs), "(runs)");
}

TEST(PlanInterpreter, NullOperandThatIsTouched) {
  Data data(2);
  auto views = data.views();
  views[0] = {};
  EXPECT_THAT(error_of(sample_plan(), views, data.inputs), HasSubstr("'x', which has 0 bytes"));
}

TEST(PlanInterpreter, NullOperandWithBytes) {
  Data data(2);
  auto views = data.views();
  views[0].data = nullptr;
  EXPECT_THAT(error_of(sample_plan(), views, data.inputs),
              HasSubstr("operand 'x' is null with 48"));
}

TEST(PlanInterpreter, WrongNumberOfOperands) {
  Data data(2);
  EXPECT_THAT(error_of(sample_plan(), {}, data.inputs), HasSubstr("0 operands; expected 2"));
}

TEST(PlanInterpreter, WrongNumberOfInputs) {
  Data data(2);
  EXPECT_THAT(error_of(sample_plan(), data.views(), {2}), HasSubstr("1 inputs; expected 3"));
}

TEST(PlanInterpreter, NoWorkers) {
  Data data(2);
  EXPECT_THAT(error_of(sample_plan(), data.views(), data.inputs, {.workers = 0}),
              HasSubstr("0 workers"));
}

TEST(PlanInterpreter, ScratchOfNegativeSize) {
  Plan plan = through_scratch(true);
  plan.scratch[0].bytes = Expr(0) - Expr::variable(0);
  Data data(2);
  EXPECT_THAT(error_of(plan, data.views(), data.inputs), HasSubstr("scratch 'tile' would have -2"));
}

struct Sequences {
  explicit Sequences(std::vector<int32_t> where) : starts(std::move(where)), data(starts.back()) {}
  std::string run(int workers = 3) {
    const auto views = data.views();
    const OperandView offsets{reinterpret_cast<std::byte*>(starts.data()),
                              static_cast<int64_t>(starts.size() * 4), 0};
    return error_of(ragged_plan(), {views[0], offsets, views[1]},
                    {static_cast<int64_t>(data.x.size()) / kWidth, sequences, 1},
                    {.workers = workers});
  }
  std::vector<int32_t> starts;
  Data data;
  int64_t sequences = static_cast<int64_t>(starts.size()) - 1;
};

TEST(PlanInterpreter, SequencesOfTheirOwnLengths) {
  Sequences some({0, 5, 5, 6, 13});
  ASSERT_EQ(some.run(), "(runs)");
  for (size_t i = 0; i < some.data.x.size(); ++i) EXPECT_EQ(some.data.y[i], 2 * some.data.x[i]);
}

TEST(PlanInterpreter, RowsOutsideEverySequenceStay) {
  Sequences some({2, 3, 7});
  ASSERT_EQ(some.run(), "(runs)");
  EXPECT_EQ(some.data.y[2 * kWidth - 1], -1.0F);
  EXPECT_EQ(some.data.y[2 * kWidth], 2 * some.data.x[2 * kWidth]);
}

TEST(PlanInterpreter, ElementOutsideItsOperand) {
  Sequences some({0, 2, 4});
  some.sequences = 3;
  EXPECT_THAT(some.run(), HasSubstr("plan 'double_sequences' at sequence = 2: reads bytes 12 … 15 "
                                    "of operand 'starts', which has 12 bytes"));
}

TEST(PlanInterpreter, LoopsBeginAnywhere) {
  Plan plan = sample_plan();
  loop_of(plan).begin = 3;
  Data data(6);
  EXPECT_EQ(error_of(plan, data.views(), data.inputs), "(runs)");
  EXPECT_EQ(data.y[3 * kWidth - 1], -1.0F);
  for (size_t i = 3 * kWidth; i < data.x.size(); ++i) EXPECT_EQ(data.y[i], 2 * data.x[i]);
}

TEST(PlanInterpreter, NamedValues) {
  // Half of the rows, by a value with a name.
  Plan plan = sample_plan();
  const int half = plan.loop_variable("half");
  loop_of(plan).end = Expr::variable(half);
  plan.body.insert(plan.body.begin(), Step{Let{half, ceil_div(Expr::variable(0), 2)}});
  ASSERT_TRUE(verify(plan));
  Data data(8);
  EXPECT_EQ(error_of(plan, data.views(), data.inputs), "(runs)");
  EXPECT_EQ(data.y[4 * kWidth - 1], 2 * data.x[4 * kWidth - 1]);
  EXPECT_EQ(data.y[4 * kWidth], -1.0F);
}

// Rows that go to slots of an operand that is updated.
struct Slots {
  explicit Slots(std::vector<int32_t> given)
      : slots(std::move(given)), data(static_cast<int64_t>(slots.size())) {
    data.y.resize(static_cast<size_t>(capacity * kWidth), -1.0F);
  }
  std::string run() {
    const auto views = data.views();
    const OperandView numbers{reinterpret_cast<std::byte*>(slots.data()),
                              static_cast<int64_t>(slots.size() * 4), 0};
    return error_of(update_plan(), {views[0], numbers, views[1]},
                    {static_cast<int64_t>(slots.size()), capacity});
  }
  int64_t capacity = 5;
  std::vector<int32_t> slots;
  Data data;
};

TEST(PlanInterpreter, WhatNoSlotNamesStays) {
  Slots some({3, -1, 0});
  ASSERT_EQ(some.run(), "(runs)");
  for (size_t i = 0; i < static_cast<size_t>(kWidth); ++i) {
    EXPECT_EQ(some.data.y[3 * kWidth + i], some.data.x[i]);
    EXPECT_EQ(some.data.y[i], some.data.x[2 * kWidth + i]);
    for (const size_t kept : {1, 2, 4}) EXPECT_EQ(some.data.y[kept * kWidth + i], -1.0F);
  }
}

TEST(PlanInterpreter, ASlotOfTwoRowsIsARace) {
  EXPECT_THAT(Slots({1, 3, 1}).run(),
              HasSubstr("parallel iteration (row = 0) writes and iteration (row = 2) writes bytes "
                        "24 … 39 of operand 'y'"));
}

TEST(PlanInterpreter, ASlotOutsideTheOperand) {
  EXPECT_THAT(Slots({5}).run(), HasSubstr("plan 'update' at row = 0"));
}

TEST(PlanInterpreter, InstructionLimit) {
  Data data(4);
  EXPECT_THAT(error_of(sample_plan(), data.views(), data.inputs, {.instruction_limit = 3}),
              HasSubstr("stopped after"));
}

}  // namespace
}  // namespace lathe::ir::plan
