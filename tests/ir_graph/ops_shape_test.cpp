// Concat, slice, transpose, reshape: elements and inferred shapes, with and without named
// dimensions.
#include "tests/ir_graph/graph_testing.h"

namespace lathe::ir::graph {
namespace {

std::string type_of(std::string_view text) {
  const Graph graph = parse_valid(text);
  return to_string(graph.type(graph.outputs.at(0)));
}

TEST(Concat, JoinsAlongAnyAxis) {
  const auto results =
      run("graph g(%a: i16[2, 1], %b: i16[2, 2]) -> (%x, %y) {"
          "  %x = concat(%a, %b, %a) {axis = -1} %y = concat(%b, %b) {axis = 0} }",
          {make_tensor(Type::i16, {2, 1}, {1, 2}), make_tensor(Type::i16, {2, 2}, {3, 4, 5, 6})});
  expect_close(results[0].values, {1, 3, 4, 1, 2, 5, 6, 2}, 0);
  expect_close(results[1].values, {3, 4, 5, 6, 3, 4, 5, 6}, 0);
}

TEST(Concat, AddsMultiplesOfOneName) {
  EXPECT_EQ(
      type_of("graph g(%a: f32[n, 3], %b: f32[2*n, 3]) -> (%y) { %y = concat(%a, %b) {axis = 0} }"),
      "f32[3*n, 3]");
}

TEST(Slice, ClampsAsNumpy) {
  const auto results =
      run("graph g(%x: f32[5]) -> (%a, %b, %c, %d) {"
          "  %a = slice(%x) {axis = 0, begin = 1, end = -1}  %b = slice(%x) {axis = 0, begin = -2, "
          "end = 100}"
          "  %c = slice(%x) {axis = 0, step = 2}  %d = slice(%x) {axis = 0, begin = 4, end = 2} }",
          {f32({5}, {0, 1, 2, 3, 4})});
  expect_close(results[0].values, {1, 2, 3}, 0);
  expect_close(results[1].values, {3, 4}, 0);
  expect_close(results[2].values, {0, 2, 4}, 0);
  expect_close(results[3].values, {}, 0);
}

TEST(Slice, InnerAxis) {
  const auto y = run_one("graph g(%x: f32[2, 3]) -> (%y) { %y = slice(%x) {axis = 1, begin = 1} }",
                         {f32({2, 3}, {1, 2, 3, 4, 5, 6})});
  expect_close(y, {2, 3, 5, 6}, 0);
}

TEST(Slice, OfANamedDimensionCountsFromOneSide) {
  EXPECT_EQ(type_of("graph g(%x: f32[n, 3]) -> (%y) { %y = slice(%x) {axis = 0, begin = -1} }"),
            "f32[1, 3]");
  EXPECT_EQ(type_of("graph g(%x: f32[n, 3]) -> (%y) { %y = slice(%x) {axis = 0, begin = 2, end = "
                    "7, step = 2} }"),
            "f32[3, 3]");
  EXPECT_EQ(type_of("graph g(%x: f32[n, 3]) -> (%y) { %y = slice(%x) {axis = 0} }"), "f32[n, 3]");
  const auto y = run_one("graph g(%x: f32[n]) -> (%y) { %y = slice(%x) {axis = 0, begin = -1} }",
                         {f32({3}, {1, 2, 3})});
  expect_close(y, {3}, 0);
}

TEST(Slice, OfANamedDimensionThatIsTooShortIsAnError) {
  EXPECT_EQ(run_error("graph g(%x: f32[n]) -> (%y) { %y = slice(%x) {axis = 0, end = 4} }",
                      {f32({3}, {1, 2, 3})}),
            "1:36: %y = slice: found f32[3] for these sizes, expected f32[4]");
}

TEST(Transpose, Permutes) {
  const auto results =
      run("graph g(%x: f32[1, 2, 3]) -> (%y) { %y = transpose(%x) {perm = [2, 0, 1]} }",
          {f32({1, 2, 3}, {1, 2, 3, 4, 5, 6})});
  expect_close(results[0].values, {1, 4, 2, 5, 3, 6}, 0);
  EXPECT_EQ(results[0].shape, (std::vector<int64_t>{3, 1, 2}));
}

TEST(Reshape, SplitsJoinsAndInfers) {
  EXPECT_EQ(
      type_of("graph g(%x: f32[n, 2048]) -> (%y) { %y = reshape(%x) {shape = [n, -1, 128]} }"),
      "f32[n, 16, 128]");
  EXPECT_EQ(
      type_of(
          "graph g(%x: f32[4*patches, 1024]) -> (%y) { %y = reshape(%x) {shape = [-1, 4096]} }"),
      "f32[patches, 4096]");
  EXPECT_EQ(
      type_of("graph g(%x: f32[a, b, 6]) -> (%y) { %y = reshape(%x) {shape = [2*b, 3, -1]} }"),
      "f32[2*b, 3, a]");
  expect_close(run_one("graph g(%x: f32[2, n]) -> (%y) { %y = reshape(%x) {shape = [2*n]} }",
                       {f32({2, 2}, {1, 2, 3, 4})}),
               {1, 2, 3, 4}, 0);
}

}  // namespace
}  // namespace lathe::ir::graph
