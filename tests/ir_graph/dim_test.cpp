// Shape arithmetic over numbers and names.
#include "ir/graph/dim.h"

#include <gtest/gtest.h>

namespace lathe::ir::graph {
namespace {

TEST(Dim, PrintsAsItIsWritten) {
  EXPECT_EQ(to_string(TensorType{Type::q4_K, {Dim("tokens"), 4 * Dim("patches"), 2048}}),
            "q4_K[tokens, 4*patches, 2048]");
  EXPECT_EQ(to_string(TensorType{Type::f32, {}}), "f32[]");
}

TEST(Dim, BindReplacesKnownNamesAndScales) {
  const Shape bound = bind_shape(Shape{"a", 3 * Dim("b"), 7}, {{"b", 5}}).value();
  EXPECT_EQ(bound, (Shape{"a", 15, 7}));
  EXPECT_EQ(bind_shape(Shape{"a"}, {{"a", -1}}).error().message,
            "dimension a: found size -1, expected 0 to 1099511627776");
  EXPECT_FALSE(bind_shape(Shape{4 * Dim("a")}, {{"a", kMaxDim}}).has_value());
}

TEST(Dim, NumbersNamesTheFirstUnknown) {
  EXPECT_EQ(numbers(Shape{1, 2}).value(), (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(numbers(Shape{1, "n"}).error().message,
            "dimension n of shape [1, n] has no size: expected a number");
}

TEST(Dim, ProductsIgnoreOrderAndKnowZero) {
  EXPECT_EQ(product(Shape{"a", 2, 3 * Dim("b")}).value(), product(Shape{6, "b", "a"}).value());
  EXPECT_EQ(product(Shape{kMaxDim, kMaxDim, 0}).value(), (DimProduct{0, {}}));
  EXPECT_FALSE(product(Shape{kMaxDim, kMaxDim}).has_value());
}

TEST(Dim, DivideLeavesAtMostOneName) {
  const auto total = product(Shape{"a", 12}).value();
  EXPECT_EQ(divide(total, product(Shape{4}).value()).value(), 3 * Dim("a"));
  EXPECT_EQ(divide(total, product(Shape{"a", 6}).value()).value(), Dim(2));
  EXPECT_FALSE(divide(total, product(Shape{5}).value()).has_value());
  EXPECT_FALSE(divide(total, product(Shape{"b"}).value()).has_value());
  EXPECT_FALSE(divide(product(Shape{"a", "b"}).value(), DimProduct{}).has_value());
  EXPECT_FALSE(divide(total, DimProduct{0, {}}).has_value());
}

TEST(Dim, AxesCountFromEitherEnd) {
  EXPECT_EQ(resolve_axis(-1, 3).value(), 2);
  EXPECT_EQ(resolve_axis(0, 3).value(), 0);
  EXPECT_EQ(resolve_axis(3, 3).error().message, "found axis 3, expected -3 to 2 for rank 3");
  EXPECT_FALSE(resolve_axis(0, 0).has_value());
}

TEST(Dim, BroadcastKeepsNamesAndRefusesToGuess) {
  EXPECT_EQ(broadcast(Shape{"n", 1}, Shape{5}).value(), (Shape{"n", 5}));
  EXPECT_EQ(broadcast(Shape{1}, Shape{"n"}).value(), (Shape{"n"}));
  EXPECT_EQ(broadcast(Shape{"a"}, Shape{"b"}).error().message,
            "shapes [a] and [b] do not broadcast: found a against b, expected equal or 1");
  EXPECT_FALSE(broadcast(Shape{"a"}, Shape{2 * Dim("a")}).has_value());
}

TEST(Dim, BroadcastToOneSideOnly) {
  EXPECT_TRUE(check_broadcasts_to("weight", Shape{5}, Shape{"n", 5}).has_value());
  EXPECT_EQ(check_broadcasts_to("weight", Shape{"n", 5}, Shape{1, 5}).error().message,
            "weight: found shape [n, 5], expected one that broadcasts to [1, 5]");
}

}  // namespace
}  // namespace lathe::ir::graph
