// A plan's variables: inputs first, each name once.
#include "ir/plan/plan.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace lathe::ir::plan
