// Rotations against angles worked out by hand, every layout, and checked positions.
#include "tests/ir_graph/graph_testing.h"

namespace lathe::ir::graph {
namespace {

// Tables in which row p, column j has cos = 1 and sin = 10 p + j: the lane that sin reaches tells
// which row and column were read.
Tensor ones(std::vector<int64_t> shape) {
  Tensor tensor(Type::f32, std::move(shape));
  for (int64_t i = 0; i < tensor.elements(); ++i) tensor.set(i, 1);
  return tensor;
}

Tensor marks(std::vector<int64_t> shape) {
  Tensor tensor(Type::f32, std::move(shape));
  const int64_t width = tensor.shape().back();
  for (int64_t i = 0; i < tensor.elements(); ++i) {
    tensor.set(i, static_cast<double>(10 * (i / width) + i % width));
  }
  return tensor;
}

TEST(Rope, TurnsPairsHalfAHeadApart) {
  const auto y = run_one(
      "graph g(%x: f32[tokens, 1, 4], %c: f32[tokens, 2], %s: f32[tokens, 2]) -> (%y) { %y = "
      "rope(%x, %c, %s) }",
      {f32({1, 1, 4}, {1, 2, 3, 4}), f32({1, 2}, {0, 0.5}), f32({1, 2}, {1, 0.25})});
  expect_close(y, {-3, 2 * 0.5 - 4 * 0.25, 1, 4 * 0.5 + 2 * 0.25}, 0);
}

TEST(Rope, InterleavedTurnsNeighbours) {
  const auto y = run_one(
      "graph g(%x: f32[tokens, 1, 4], %c: f32[tokens, 2], %s: f32[tokens, 2]) -> (%y) {"
      "  %y = rope(%x, %c, %s) {interleaved = true} }",
      {f32({1, 1, 4}, {1, 2, 3, 4}), f32({1, 2}, {0, 0.5}), f32({1, 2}, {1, 0.25})});
  expect_close(y, {-2, 1, 3 * 0.5 - 4 * 0.25, 4 * 0.5 + 3 * 0.25}, 0);
}

TEST(Rope, RotaryDimLeavesTheRestAlone) {
  const auto y = run_one(
      "graph g(%x: f32[tokens, 1, 4], %c: f32[tokens, 1], %s: f32[tokens, 1]) -> (%y) {"
      "  %y = rope(%x, %c, %s) {rotary_dim = 2} }",
      {f32({1, 1, 4}, {1, 2, 3, 4}), f32({1, 1}, {0}), f32({1, 1}, {1})});
  expect_close(y, {-2, 1, 3, 4}, 0);
}

TEST(Rope, PositionsChooseRowsForEveryHeadInBothLayouts) {
  const std::vector<double> x = {1, 0, 1, 0,
                                 1, 0, 1, 0};  // 2 tokens, 2 heads, size 2 in either order
  const auto by_token = run_one(
      "graph g(%x: f32[tokens, 2, 2], %c: f32[rows, 1], %s: f32[rows, 1], %p: i32[tokens]) -> (%y) "
      "{"
      "  %y = rope(%x, %c, %s, %p) }",
      {f32({2, 2, 2}, x), ones({4, 1}), marks({4, 1}), make_tensor(Type::i32, {2}, {3, 1})});
  expect_close(by_token, {1, 30, 1, 30, 1, 10, 1, 10}, 0);
  const auto by_head = run_one(
      "graph g(%x: f32[2, tokens, 2], %c: f32[rows, 1], %s: f32[rows, 1], %p: i64[tokens]) -> (%y) "
      "{"
      "  %y = rope(%x, %c, %s, %p) {layout = heads_tokens} }",
      {f32({2, 2, 2}, x), ones({4, 1}), marks({4, 1}), i64({2}, {3, 1})});
  expect_close(by_head, {1, 30, 1, 10, 1, 30, 1, 10}, 0);
}

TEST(Rope, ABatchMayShareItsPositionsOrHaveItsOwn) {
  const std::vector<double> x = {1, 0, 1, 0, 1, 0, 1, 0};  // [batch 2, tokens 2, heads 1, size 2]
  const auto shared = run_one(
      "graph g(%x: f32[batch, tokens, 1, 2], %c: f32[rows, 1], %s: f32[rows, 1], %p: i64[tokens]) "
      "-> (%y) {"
      "  %y = rope(%x, %c, %s, %p) }",
      {f32({2, 2, 1, 2}, x), ones({4, 1}), marks({4, 1}), i64({2}, {3, 1})});
  expect_close(shared, {1, 30, 1, 10, 1, 30, 1, 10}, 0);
  const auto own = run_one(
      "graph g(%x: f32[batch, 1, tokens, 2], %c: f32[rows, 1], %s: f32[rows, 1], %p: i64[batch, "
      "tokens]) -> (%y) {"
      "  %y = rope(%x, %c, %s, %p) {layout = heads_tokens} }",
      {f32({2, 1, 2, 2}, x), ones({4, 1}), marks({4, 1}), i64({2, 2}, {3, 1, 0, 2})});
  expect_close(own, {1, 30, 1, 10, 1, 0, 1, 20}, 0);
}

TEST(Rope, APositionBeyondTheTableIsAnError) {
  EXPECT_EQ(run_error("graph g(%x: f32[tokens, 1, 2], %c: f32[rows, 1], %s: f32[rows, 1], %p: "
                      "i64[tokens]) -> (%y) {"
                      "  %y = rope(%x, %c, %s, %p) }",
                      {f32({2, 1, 2}, {1, 0, 1, 0}), ones({4, 1}), ones({4, 1}), i64({2}, {3, 4})}),
            "1:101: %y = rope: positions[1]: found 4, expected 0 to 3");
}

TEST(Mrope, LaneJTakesTheAxisOfItsInterleavedSection) {
  // Head of 12: pairs 0..5 with section [2, 2, 2] are t h w t h w; the tables' marks show row and
  // pair.
  const auto y = run_one(
      "graph g(%x: f32[tokens, 1, 12], %c: f32[rows, 6], %s: f32[rows, 6], %p: i64[3, tokens]) -> "
      "(%y) {"
      "  %y = mrope(%x, %c, %s, %p) {section = [2, 2, 2]} }",
      {f32({1, 1, 12}, {1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0}), ones({4, 6}), marks({4, 6}),
       i64({3, 1}, {1, 2, 3})});
  expect_close({y.begin() + 6, y.end()}, {10, 21, 32, 13, 24, 35}, 0);
}

TEST(Mrope, PairsBeyondASectionFollowTime) {
  const auto y = run_one(
      "graph g(%x: f32[tokens, 1, 12], %c: f32[rows, 6], %s: f32[rows, 6], %p: i64[3, tokens]) -> "
      "(%y) {"
      "  %y = mrope(%x, %c, %s, %p) {section = [4, 1, 1]} }",
      {f32({1, 1, 12}, {1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0}), ones({4, 6}), marks({4, 6}),
       i64({3, 1}, {1, 2, 3})});
  expect_close({y.begin() + 6, y.end()}, {10, 21, 32, 13, 14, 15}, 0);
}

TEST(Mrope, EqualPositionsAreRope) {
  const Tensor x = random_f32({5, 2, 8}, 1);
  const Tensor p = i64({5}, {0, 3, 1, 1, 6});
  const Tensor p3 = i64({3, 5}, {0, 3, 1, 1, 6, 0, 3, 1, 1, 6, 0, 3, 1, 1, 6});
  const auto results =
      run("graph g(%x: f32[tokens, 2, 8], %p: i64[tokens], %q: i64[3, tokens]) -> (%a, %b) {"
          "  %c, %s = rope_table() {theta = 10000, dim = 8, positions = 7}"
          "  %a = rope(%x, %c, %s, %p)  %b = mrope(%x, %c, %s, %q) {section = [2, 1, 1]} }",
          {x, p, p3});
  EXPECT_EQ(results[0].values, results[1].values);
}

TEST(VisionRope, RowsTurnTheFirstPairsAndColumnsTheOthers) {
  const auto y = run_one(
      "graph g(%x: f32[tokens, 1, 8], %c: f32[rows, 2], %s: f32[rows, 2], %p: i64[tokens, 2]) -> "
      "(%y) {"
      "  %y = vision_rope(%x, %c, %s, %p) }",
      {f32({1, 1, 8}, {1, 1, 1, 1, 0, 0, 0, 0}), ones({4, 2}), marks({4, 2}), i64({1, 2}, {1, 3})});
  expect_close({y.begin() + 4, y.end()}, {10, 11, 30, 31}, 0);
}

TEST(RopeTable, AnglesAreProductsInF32) {
  const auto tables =
      run("graph g() -> (%c, %s) { %c, %s = rope_table() {theta = 5e+06, dim = 128, positions = "
          "5001} }",
          {});
  const auto frequency = static_cast<float>(std::pow(5e6, -2.0 * 7 / 128));
  const float angle = 5000.0F * frequency;
  EXPECT_EQ(tables[0].values[5000 * 64 + 7], std::cos(static_cast<double>(angle)));
  EXPECT_EQ(tables[1].values[5000 * 64 + 7], std::sin(static_cast<double>(angle)));
  EXPECT_NE(tables[1].values[5000 * 64 + 7], std::sin(5000 * std::pow(5e6, -2.0 * 7 / 128)));
  EXPECT_EQ(tables[0].shape, (std::vector<int64_t>{5001, 64}));
}

TEST(BilinearEmbedding, AddsWeightedRows) {
  const auto y = run_one(
      "graph g(%t: f32[rows, 2], %i: i64[n, 4], %w: f32[n, 4]) -> (%y) { %y = "
      "bilinear_embedding(%t, %i, %w) }",
      {f32({3, 2}, {1, 2, 10, 20, 100, 200}), i64({2, 4}, {0, 1, 2, 2, 1, 1, 1, 1}),
       f32({2, 4}, {0.5, 0.25, 0.125, 0.125, 1, 0, 0, 0})});
  expect_close(y, {28, 56, 10, 20}, 0);
}

TEST(BilinearEmbedding, AnIndexBeyondTheTableIsAnError) {
  EXPECT_EQ(run_error("graph g(%t: f32[rows, 1], %i: i64[n, 1], %w: f32[n, 1]) -> (%y) {\n"
                      "%y = bilinear_embedding(%t, %i, %w) }",
                      {f32({3, 1}, {1, 2, 3}), i64({2, 1}, {0, -1}), f32({2, 1}, {1, 1})}),
            "2:6: %y = bilinear_embedding: indices[1]: found -1, expected 0 to 2");
}

}  // namespace
}  // namespace lathe::ir::graph
