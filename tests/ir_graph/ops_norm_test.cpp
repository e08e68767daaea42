// The norm ops on values worked out by hand, and their NaN and infinity rules.
#include "tests/ir_graph/graph_testing.h"

namespace lathe::ir::graph {
namespace {

constexpr double kExact = 1e-15;

TEST(RmsNorm, DividesByTheRootMeanSquare) {
  const auto y =
      run_one("graph g(%x: f32[rows, 2], %w: f32[2]) -> (%y) { %y = rms_norm(%x, %w) {eps = 0} }",
              {f32({2, 2}, {3, 4, 6, -8}), f32({2}, {1, 10})});
  const double rms = std::sqrt(12.5);
  expect_close(y, {3 / rms, 40 / rms, 3 / rms, -40 / rms}, kExact);
}

TEST(RmsNorm, EpsIsAddedToTheMeanSquare) {
  const auto y = run_one("graph g(%x: f32[1, 2]) -> (%y) { %y = rms_norm(%x) {eps = 3.5} }",
                         {f32({1, 2}, {3, 4})});
  expect_close(y, {0.75, 1}, kExact);
}

TEST(RmsNorm, AxisJoinsTheDimensionsFromThere) {
  const auto y =
      run_one("graph g(%x: f32[1, 2, 2]) -> (%y) { %y = rms_norm(%x) {axis = 1, eps = 0} }",
              {f32({1, 2, 2}, {1, 1, 1, 3})});
  const double rms = std::sqrt(3.0);
  expect_close(y, {1 / rms, 1 / rms, 1 / rms, 3 / rms}, kExact);
}

TEST(RmsNorm, ARowWithNanIsNanAndOthersAreNot) {
  const auto y = run_one("graph g(%x: f32[2, 2]) -> (%y) { %y = rms_norm(%x) }",
                         {f32({2, 2}, {kNan, 1, 1, 1})});
  EXPECT_TRUE(std::isnan(y[0]) && std::isnan(y[1]));
  EXPECT_NEAR(y[2], 1, 1e-6);
}

TEST(RmsNorm, AnInfinityGivesNanThereAndZeroBeside) {
  const auto y =
      run_one("graph g(%x: f32[1, 2]) -> (%y) { %y = rms_norm(%x) }", {f32({1, 2}, {kInf, 1})});
  EXPECT_TRUE(std::isnan(y[0]));
  EXPECT_EQ(y[1], 0);
}

TEST(RmsNorm, NoRowsGiveNoRows) {
  EXPECT_TRUE(run_one("graph g(%x: f32[rows, 8]) -> (%y) { %y = rms_norm(%x) }", {f32({0, 8}, {})})
                  .empty());
}

TEST(LayerNorm, GivesMeanAndInverseDeviationWhenAsked) {
  const auto results =
      run("graph g(%x: f32[1, 4], %w: f32[4], %b: f32[4]) -> (%y, %m, %d) {"
          "  %y, %m, %d = layer_norm(%x, %w, %b) {eps = 0} }",
          {f32({1, 4}, {1, 3, 5, 7}), f32({4}, {1, 1, 2, 2}), f32({4}, {0, 10, 0, 10})});
  const double d = 1 / std::sqrt(5.0);
  expect_close(results[0].values, {-3 * d, -d + 10, 2 * d, 6 * d + 10}, kExact);
  expect_close(results[1].values, {4}, 0);
  expect_close(results[2].values, {d}, kExact);
  EXPECT_EQ(results[1].shape, (std::vector<int64_t>{1, 1}));
}

TEST(LayerNorm, AConstantRowIsItsBias) {
  const auto y =
      run_one("graph g(%x: f32[1, 3], %b: f32[3]) -> (%y) { %y = layer_norm(%x, _, %b) }",
              {f32({1, 3}, {1e30, 1e30, 1e30}), f32({3}, {1, 2, 3})});
  expect_close(y, {1, 2, 3}, 0);
}

TEST(Normalize, DividesByTheEuclideanNormAlongOneAxis) {
  const auto y = run_one("graph g(%x: f32[2, 2]) -> (%y) { %y = normalize(%x) {axis = 0} }",
                         {f32({2, 2}, {3, 5, 4, 12})});
  expect_close(y, {3.0 / 5, 5.0 / 13, 4.0 / 5, 12.0 / 13}, kExact);
}

TEST(Normalize, EpsIsTheLeastDivisorAndNanStaysNan) {
  const auto y = run_one("graph g(%x: f32[3, 2]) -> (%y) { %y = normalize(%x) {eps = 10} }",
                         {f32({3, 2}, {3, 4, 0, 0, kNan, 1})});
  expect_close(y, {0.3, 0.4, 0, 0, kNan, kNan}, kExact);
}

TEST(Softmax, SubtractsTheLargestFirst) {
  const auto y = run_one("graph g(%x: f32[2, 2]) -> (%y) { %y = softmax(%x) }",
                         {f32({2, 2}, {1e30, 1e30, 0, std::log(3.0)})});
  expect_close(y, {0.5, 0.5, 0.25, 0.75}, 1e-7);
}

TEST(Softmax, AnyAxis) {
  const auto y = run_one("graph g(%x: f32[2, 2]) -> (%y) { %y = softmax(%x) {axis = -2} }",
                         {f32({2, 2}, {7, -1, 7, -1})});
  expect_close(y, {0.5, 0.5, 0.5, 0.5}, kExact);
}

TEST(Softmax, MaskedRowsAndSpecialValuesFollowPyTorch) {
  const auto y = run_one("graph g(%x: f32[4, 2]) -> (%y) { %y = softmax(%x) }",
                         {f32({4, 2}, {-kInf, -kInf, -kInf, 0, kNan, 0, kInf, 0})});
  expect_close(y, {kNan, kNan, 0, 1, kNan, kNan, kNan, kNan}, 0);
}

TEST(LogSoftmax, IsTheLogarithmOfSoftmaxWhereThatUnderflows) {
  const auto y = run_one("graph g(%x: f32[2, 2]) -> (%y) { %y = log_softmax(%x) }",
                         {f32({2, 2}, {0, std::log(3.0), 1000, 0})});
  expect_close(y, {std::log(0.25), std::log(0.75), 0, -1000}, 1e-6);
}

TEST(LogSoftmax, AnyAxis) {
  const auto y = run_one("graph g(%x: f32[2, 2]) -> (%y) { %y = log_softmax(%x) {axis = 0} }",
                         {f32({2, 2}, {7, -1, 7, -1})});
  expect_close(y, {-M_LN2, -M_LN2, -M_LN2, -M_LN2}, kExact);
}

TEST(LogSoftmax, MaskedRowsAndSpecialValuesFollowPyTorch) {
  const auto y = run_one("graph g(%x: f32[4, 2]) -> (%y) { %y = log_softmax(%x) }",
                         {f32({4, 2}, {-kInf, -kInf, -kInf, 0, kNan, 0, kInf, 0})});
  expect_close(y, {kNan, kNan, -kInf, 0, kNan, kNan, kNan, kNan}, 0);
}

}  // namespace
}  // namespace lathe::ir::graph
