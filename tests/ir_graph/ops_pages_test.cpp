// Lists of pages as masks, by hand and under attention.
#include "tests/ir_graph/graph_testing.h"

namespace lathe::ir::graph {
namespace {

constexpr auto kMask =
    "graph g(%p: i32[s, 1, n], %k: f32[s, keys, 1, 1]) -> (%y) {\n"
    "  %y = page_mask(%p) {page = 2, heads = 2, keys = [keys]}\n}";

TEST(PageMask, MarksTheKeysOfListedPages) {
  const auto result = run(kMask, {make_tensor(Type::i32, {2, 1, 2}, {2, 0, 1, 1}),
                                  f32({2, 5, 1, 1}, std::vector<double>(10))});
  EXPECT_EQ(result[0].shape, (std::vector<int64_t>{2, 2, 1, 5}));
  EXPECT_EQ(result[0].type, Type::boolean);
  expect_close(result[0].values, {1, 1, 0, 0, 1, 1, 1, 0, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0}, 0);
}

TEST(PageMask, PagesBehindTheKeysAddNothing) {
  const auto result = run_one(kMask, {make_tensor(Type::i32, {1, 1, 2}, {2, 2147483647}),
                                      f32({1, 4, 1, 1}, std::vector<double>(4))});
  expect_close(result, std::vector<double>(8), 0);
}

TEST(PageMask, RefusesANegativePage) {
  EXPECT_EQ(run_error(kMask, {make_tensor(Type::i32, {1, 1, 2}, {0, -1}),
                              f32({1, 4, 1, 1}, std::vector<double>(4))}),
            "2:8: %y = page_mask: pages[0, 0, 1]: found -1, expected 0 or more");
}

TEST(PageMask, ListsOfAllPagesAreDenseAttention) {
  const auto results =
      run("graph g(%q: f32[1, 2, 4, 3], %k: f32[1, 7, 2, 3], %p: i64[1, 2, n]) -> (%y, %z) {"
          "  %m = page_mask(%p) {page = 3, heads = 4, keys = [7]}"
          "  %y = attention(%q, %k, %k, %m)"
          "  %z = attention(%q, %k, %k) }",
          {random_f32({1, 2, 4, 3}, 1), random_f32({1, 7, 2, 3}, 2),
           i64({1, 2, 3}, {0, 1, 2, 2, 1, 0})});
  EXPECT_EQ(results[0].values, results[1].values);
}

}  // namespace
}  // namespace lathe::ir::graph
