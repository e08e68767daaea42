// Lists of pages as masks, by hand and under attention.
#include "tests/ir_graph/graph_testing.h"

namespace lathe::ir::graph {
namespace {

constexpr auto kMask =
    "graph g(%p: i32[s, 1, n], %k: f32[s, keys, 1, 1]) -> (%y) {\n"
    "  %y = page_mask(%p) {page = 2, heads = 2, keys = [keys]}\n}";

TEST(PageMask, MarksTheKeysOfListedPages) {
  const auto result = run(kMask, {make_tensor(Type::i32, {2, 1, 2}, {0, 2, 1, 1}),
                                  f32({2, 5, 1, 1}, std::vector<double>(10))});
  EXPECT_EQ(result[0].shape, (std::vector<int64_t>{2, 2, 1, 5}));
  EXPECT_EQ(result[0].type, Type::boolean);
  expect_close(result[0].values, {1, 1, 0, 0, 1, 1, 1, 0, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0}, 0);
}

TEST(PageMask, ARepeatedPageAddsNothing) {
  const auto result = run_one(kMask, {make_tensor(Type::i32, {1, 1, 3}, {0, 0, 1}),
                                      f32({1, 5, 1, 1}, std::vector<double>(5))});
  expect_close(result, {1, 1, 1, 1, 0, 1, 1, 1, 1, 0}, 0);
}

TEST(PageMask, ListsAreChecked) {
  const auto error = [](const std::vector<double>& pages) {
    return run_error(kMask, {make_tensor(Type::i32, {1, 1, 2}, pages),
                             f32({1, 5, 1, 1}, std::vector<double>(5))});
  };
  EXPECT_EQ(error({0, -1}), "2:8: %y = page_mask: pages[0, 0, 1]: found -1, expected 0 to 2");
  EXPECT_EQ(error({0, 3}), "2:8: %y = page_mask: pages[0, 0, 1]: found 3, expected 0 to 2");
  EXPECT_EQ(error({2, 1}),
            "2:8: %y = page_mask: pages[0, 0, 1]: found 1 after 2, expected ascending pages");
}

TEST(PageMask, ListsOfAllPagesAreDenseAttention) {
  const auto results =
      run("graph g(%q: f32[1, 2, 4, 3], %k: f32[1, 7, 2, 3], %p: i64[1, 2, n]) -> (%y, %z) {"
          "  %m = page_mask(%p) {page = 3, heads = 4, keys = [7]}"
          "  %y = attention(%q, %k, %k, %m)"
          "  %z = attention(%q, %k, %k) }",
          {random_f32({1, 2, 4, 3}, 1), random_f32({1, 7, 2, 3}, 2),
           i64({1, 2, 3}, {0, 1, 2, 0, 1, 2})});
  EXPECT_EQ(results[0].values, results[1].values);
}

TEST(PageBounds, AreTheLeastThenTheGreatest) {
  // Two pages of two keys, two heads of one number.
  const auto bounds = run_one("graph g(%k: f32[1, 2, 2, 2, 1]) -> (%y) { %y = page_bounds(%k) }",
                              {f32({1, 2, 2, 2, 1}, {3, -1, -2, 4, 5, kNan, 5, 7})});
  expect_close(bounds, {-2, 3, -1, 4, 5, 5, kNan, kNan}, 0);
}

TEST(PageBounds, KeepTheirType) {
  const auto graph =
      parse_valid("graph g(%k: bf16[b, p, 4, 2, 3]) -> (%y) { %y = page_bounds(%k) }");
  EXPECT_EQ(to_string(graph.type(graph.outputs[0])), "bf16[b, p, 2, 6]");
}

TEST(PageScores, AreTheSumsOfWhatNoKeyExceeds) {
  // Two tokens, two heads of q that share one of k, of one number: -1 and 2, 3 and 0.
  const auto scores = run_one(
      "graph g(%q: f32[1, 2, 2, 1], %b: f32[1, 2, 1, 2]) -> (%y) { %y = page_scores(%q, %b) }",
      {f32({1, 2, 2, 1}, {-1, 2, 3, 0}), f32({1, 2, 1, 2}, {-4, 5, 1, 2})});
  expect_close(scores, {4 + 10 + 15, -1 + 4 + 6}, 0);
}

// What the formula says, in other ops.
TEST(PageScores, AreProductsWithBoundsAndCodes) {
  const auto results = run(
      "graph g(%q: f32[2, 3, 4, 5], %b: f32[2, 7, 2, 10], %w: f32[4, 5, 3], %c: f32[2, 7, 2, 3]) "
      "-> (%y, %z, %l, %m) {"
      "  %y = page_scores(%q, %b)"
      "  %one = constant() {value = 1, shape = [1, 3]}"
      "  %two = constant() {value = 1, shape = [1, 2]}"
      "  %up = relu(%q)"
      "  %down = sub(%q, %up)"
      "  %rows = concat(%down, %up) {axis = 3}"
      "  %heads = transpose(%rows) {perm = [0, 2, 1, 3]}"
      "  %sum = matmul(%one, %heads)"
      "  %groups = reshape(%sum) {shape = [2, 2, 2, 10]}"
      "  %group = matmul(%two, %groups)"
      "  %pages = transpose(%b) {perm = [0, 2, 3, 1]}"
      "  %s = matmul(%group, %pages)"
      "  %z = reshape(%s) {shape = [2, 2, 7]}"
      "  %l = page_scores(%q, %c, %w)"
      "  %q_heads = transpose(%q) {perm = [0, 2, 1, 3]}"
      "  %q_sum = matmul(%one, %q_heads)"
      "  %coded = matmul(%q_sum, %w)"
      "  %coded_groups = reshape(%coded) {shape = [2, 2, 2, 3]}"
      "  %coded_group = matmul(%two, %coded_groups)"
      "  %codes = transpose(%c) {perm = [0, 2, 3, 1]}"
      "  %t = matmul(%coded_group, %codes)"
      "  %m = reshape(%t) {shape = [2, 2, 7]} }",
      {random_f32({2, 3, 4, 5}, 1), random_f32({2, 7, 2, 10}, 2), random_f32({4, 5, 3}, 3),
       random_f32({2, 7, 2, 3}, 4)});
  expect_close(results[0].values, results[1].values, 1e-12, 1e-12);
  expect_close(results[2].values, results[3].values, 1e-12, 1e-12);
}

// No key of a page has a greater product with q, summed over the rows that share a list.
TEST(PageScores, OfBoundsBoundTheBestKey) {
  const auto results =
      run("graph g(%q: f32[1, 1, 1, 6], %k: f32[1, 5, 4, 1, 6]) -> (%y, %p) {"
          "  %b = page_bounds(%k)"
          "  %y = page_scores(%q, %b)"
          "  %keys = reshape(%k) {shape = [20, 6]}"
          "  %column = reshape(%q) {shape = [6, 1]}"
          "  %p = matmul(%keys, %column) }",
          {random_f32({1, 1, 1, 6}, 1), random_f32({1, 5, 4, 1, 6}, 2)});
  for (size_t key = 0; key < 20; ++key)
    EXPECT_LE(results[1].values[key], results[0].values[key / 4] + 1e-12) << key;
}

}  // namespace
}  // namespace lathe::ir::graph
