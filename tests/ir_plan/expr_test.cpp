// Expressions fold, evaluate and bound their stack.
#include "ir/plan/expr.h"

#include <limits>

#include <gtest/gtest.h>

namespace lathe::ir::plan {
namespace {

int64_t value(const Expr& expr, std::vector<int64_t> variables = {}) {
  return expr.evaluate(variables.data());
}

TEST(Expr, EvaluatesEveryKind) {
  const Expr a = Expr::variable(0), b = Expr::variable(1);
  EXPECT_EQ(value(a + b, {7, 3}), 10);
  EXPECT_EQ(value(a - b, {7, 3}), 4);
  EXPECT_EQ(value(a * b, {7, 3}), 21);
  EXPECT_EQ(value(min(a, b), {7, 3}), 3);
  EXPECT_EQ(value(max(a, b), {7, 3}), 7);
  EXPECT_EQ(value(ceil_div(a, b), {7, 3}), 3);
  EXPECT_EQ(value(ceil_div(a, b), {6, 3}), 2);
  EXPECT_EQ(value(round_up(a, b), {7, 3}), 9);
  EXPECT_EQ(value(round_up(a, b), {6, 3}), 6);
}

TEST(Expr, DivisorsBelowOneCountAsOne) {
  const Expr a = Expr::variable(0), b = Expr::variable(1);
  EXPECT_EQ(value(ceil_div(a, b), {7, 0}), 7);
  EXPECT_EQ(value(round_up(a, b), {7, -2}), 7);
}

TEST(Expr, CeilDivOfNegativesRoundsUp) {
  EXPECT_EQ(value(ceil_div(Expr::variable(0), 4), {-7}), -1);
  EXPECT_EQ(value(ceil_div(Expr::variable(0), 4), {-8}), -2);
}

TEST(Expr, OverflowWraps) {
  const int64_t most = std::numeric_limits<int64_t>::max();
  EXPECT_EQ(value(Expr::variable(0) + 1, {most}), std::numeric_limits<int64_t>::min());
  EXPECT_EQ(value(Expr::variable(0) * 2, {most}), -2);
}

TEST(Expr, FoldsConstants) {
  const Expr folded = round_up(Expr(5) * 3 + 2, 8);
  ASSERT_TRUE(folded.is_constant());
  EXPECT_EQ(folded.constant(), 24);
}

TEST(Expr, FoldsIdentities) {
  const Expr a = Expr::variable(0);
  EXPECT_EQ(a + 0, a);
  EXPECT_EQ(Expr(0) + a, a);
  EXPECT_EQ(a - 0, a);
  EXPECT_EQ(a * 1, a);
  EXPECT_EQ(Expr(1) * a, a);
  EXPECT_EQ(ceil_div(a, 1), a);
  EXPECT_EQ(round_up(a, 1), a);
  EXPECT_FALSE((Expr(0) - a).is_constant());
  EXPECT_NE(Expr(0) - a, a);
  EXPECT_NE(min(a, 1), a);
}

TEST(Expr, ReadsElements) {
  const std::vector<int64_t> wide = {-5, int64_t{1} << 40};
  const std::vector<int32_t> narrow = {7, -9};
  const std::byte* operands[] = {reinterpret_cast<const std::byte*>(wide.data()),
                                 reinterpret_cast<const std::byte*>(narrow.data())};
  const auto read = [&](const Expr::Token& token, int64_t offset) {
    return read_element(token, operands[token.value] + offset);
  };
  const int64_t variables[] = {1};
  const Expr i = Expr::variable(0);
  const Expr sum = Expr::element(0, 8, i * 8) + Expr::element(1, 4, i * 4) * 2;
  EXPECT_EQ(sum.evaluate(variables, read), (int64_t{1} << 40) - 18);
  EXPECT_EQ(sum.depth(), 3);
  EXPECT_TRUE(sum.reads_elements());
  EXPECT_FALSE(i.reads_elements());
  EXPECT_TRUE(sum.reads_variable(0));
  EXPECT_FALSE(sum.reads_variable(1));
  // The offset of an element may be an element.
  EXPECT_EQ(Expr::element(0, 8, Expr::element(1, 4, 0) + 1).evaluate(variables, read),
            int64_t{1} << 40);
}

TEST(Expr, DepthCountsTheStack) {
  const Expr a = Expr::variable(0), b = Expr::variable(1);
  EXPECT_EQ(a.depth(), 1);
  EXPECT_EQ((a + b).depth(), 2);
  EXPECT_EQ((a + b * a).depth(), 3);
  EXPECT_EQ((a * b + a * b).depth(), 3);
  Expr left = a;
  for (int i = 0; i < 40; ++i) left = left + b;  // nested on its left: never deep
  EXPECT_EQ(left.depth(), 2);
  EXPECT_EQ(value(left, {1, 2}), 81);
}

}  // namespace
}  // namespace lathe::ir::plan
