// Plans as text.
#include <gtest/gtest.h>

#include "tests/ir_plan/sample_plan.h"
#include "tests/support/golden.h"

namespace lathe::ir::plan {
namespace {

TEST(PlanPrinter, Plan) {
  EXPECT_TRUE(tests::matches_golden("plan/double_rows.txt", print(sample_plan())));
}

TEST(PlanPrinter, NestedLoopsScratchAndOptionals) {
  Plan plan = sample_plan();
  const int column = plan.loop_variable("column");
  const int pass = plan.loop_variable("pass");
  plan.operands.push_back({"positions", Type::i32, program::BufferAccess::read, true,
                           ElementRule{.below = Expr::variable(0)}});
  plan.scratch.push_back({"packed", round_up(Expr::variable(0) * 4, 64), true});
  plan.scratch.push_back({"sums", 256, false});
  Loop inner = loop_of(plan);
  inner.variable = column;
  call_of(plan).buffers[1].place = {Place::Kind::scratch, 1};
  Loop outer = loop_of(plan);
  outer.body.clear();
  append(outer.body, std::move(inner));
  Loop sequential{pass, 0, 3};
  append(sequential.body, std::move(outer));
  append(plan.body, std::move(sequential));
  EXPECT_TRUE(tests::matches_golden("plan/nested.txt", print(plan)));
}

TEST(PlanPrinter, ElementsAndNamedValues) {
  Plan plan = ragged_plan();
  plan.operands.push_back({"pages", Type::i64, program::BufferAccess::read, false,
                           ElementRule{.least = 1, .below = Expr::variable(0)}});
  plan.operands.push_back({.name = "lists",
                           .type = Type::i32,
                           .elements = ElementRule{.below = Expr::variable(0),
                                                   .ascending = true,
                                                   .distinct = true,
                                                   .row_count = RowCount{1}}});
  plan.operands.push_back({.name = "weights", .type = Type::f32, .finite = true});
  EXPECT_TRUE(tests::matches_golden("plan/ragged.txt", print(plan)));
}

TEST(PlanPrinter, RowsThatCountInPart) {
  EXPECT_NE(print(paged_plan())
                .find("operand table i32 read below rows in the first ceil_div(counts[row], 4) of "
                      "each row"),
            std::string::npos)
      << print(paged_plan());
}

TEST(PlanPrinter, BoundsOfPartsAndALimitOfScratch) {
  Plan plan = ragged_plan();
  plan.operands[1].elements->covers = true;
  plan.operands[1].elements->count = Expr::variable(plan.find("sequences")) + 1;
  plan.most_scratch = 4096;
  const std::string text = print(plan);
  EXPECT_NE(text.find("operand starts i32 read (sequences + 1 of them) ascending from end to end "
                      "below rows + 1\n"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("scratch of all workers at most 4096 bytes\n"), std::string::npos) << text;
}

TEST(PlanPrinter, AnOperandThatIsUpdatedThroughSlots) {
  const std::string text = print(update_plan());
  EXPECT_NE(text.find("operand slots i32 read distinct below capacity or -1\n"
                      "operand y f32 write updated\n"),
            std::string::npos)
      << text;
}

TEST(PlanPrinter, ParenthesesOnlyWhereNeeded) {
  Plan plan;
  const Expr a = Expr::variable(plan.input("a")), b = Expr::variable(plan.input("b"));
  EXPECT_EQ(print(a + b * 2, plan), "a + b * 2");
  EXPECT_EQ(print((a + b) * 2, plan), "(a + b) * 2");
  EXPECT_EQ(print(a - (b - a), plan), "a - (b - a)");
  EXPECT_EQ(print(a - b - a, plan), "a - b - a");
  EXPECT_EQ(print(a * (b * 2), plan), "a * b * 2");
  EXPECT_EQ(print(ceil_div(min(a, b + 1), max(b, 2)), plan), "ceil_div(min(a, b + 1), max(b, 2))");
  EXPECT_EQ(print(round_up(a, 8) * -1, plan), "round_up(a, 8) * -1");
}

TEST(PlanPrinter, BadIndicesAreShownNotFollowed) {
  Plan plan = sample_plan();
  call_of(plan).program = 9;
  call_of(plan).buffers[0].place.index = -4;
  loop_of(plan).variable = 77;
  const std::string text = print(plan);
  EXPECT_NE(text.find("?9(?-4"), std::string::npos) << text;
  EXPECT_NE(text.find("for ?77"), std::string::npos) << text;
}

}  // namespace
}  // namespace lathe::ir::plan
