// A plan's variables: inputs first, each name once.
#include "ir/plan/plan.h"

#include <gtest/gtest.h>

#include "tests/ir_plan/sample_plan.h"

namespace lathe::ir::plan {
namespace {

TEST(Plan, VariablesAreMadeOnceInOrder) {
  Plan plan;
  EXPECT_EQ(plan.input("rows"), 0);
  EXPECT_EQ(plan.input("threads"), 1);
  EXPECT_EQ(plan.input("rows"), 0);
  EXPECT_EQ(plan.loop_variable("row"), 2);
  EXPECT_EQ(plan.loop_variable("row"), 2);
  EXPECT_EQ(plan.inputs, 2);
  EXPECT_EQ(plan.variables, (std::vector<std::string>{"rows", "threads", "row"}));
}

TEST(Plan, FindsByName) {
  Plan plan;
  plan.input("rows");
  EXPECT_EQ(plan.find("rows"), 0);
  EXPECT_EQ(plan.find("columns"), -1);
}

TEST(Plan, CallsTakeWhatTheyNeedByName) {
  Plan plan = sample_plan();
  Bindings names;
  names.at("y", plan.operand("y")).at("z", plan.operand("x")).at("x", plan.operand("y"));
  names.at("x", plan.operand("x") + 4).set("columns", 7).set("rows", 3);
  const Call call = bind(plan, 0, names);
  ASSERT_EQ(call.buffers.size(), 2U);
  EXPECT_EQ(call.buffers[0].name, "x");
  EXPECT_EQ(call.buffers[0].place.index, 0);
  EXPECT_EQ(call.buffers[0].place.offset, Expr(4));
  EXPECT_EQ(call.buffers[1].name, "y");
  ASSERT_EQ(call.parameters.size(), 1U);
  EXPECT_EQ(call.parameters[0].value, Expr(3));
}

TEST(Plan, OperandsThatAreNotThere) { EXPECT_EQ(sample_plan().operand("z").index, -1); }

}  // namespace
}  // namespace lathe::ir::plan
