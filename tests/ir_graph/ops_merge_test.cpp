// Attention over two parts of the keys, merged, against attention over all.
#include "tests/ir_graph/graph_testing.h"

namespace lathe::ir::graph {
namespace {

constexpr auto kParts =
    "graph g(%q: f32[2, 3, 4, 5], %k: f32[2, {}, 2, 5], %m: f32[2, {}, 2, 5], %s: f32[4]) -> "
    "(%y, %l, %z, %a) {{"
    "  %one, %one_sum = attention(%q, %k, %k, _, _, _, _, _, %s)"
    "  %other, %other_sum = attention(%q, %m, %m)"
    "  %y, %l = merge_attention(%one, %one_sum, %other, %other_sum)"
    "  %all = concat(%k, %m) {{axis = 1}}"
    "  %z, %a = attention(%q, %all, %all, _, _, _, _, _, %s) }}";

TEST(MergeAttention, IsAttentionOverAllKeys) {
  const std::vector<std::pair<int64_t, int64_t>> keys = {{7, 4}, {1, 1}, {0, 3}, {5, 0}};
  for (const auto& [first, second] : keys) {
    SCOPED_TRACE(first);
    const auto results = run(fmt::format(kParts, first, second),
                             {random_f32({2, 3, 4, 5}, 1), random_f32({2, first, 2, 5}, 2),
                              random_f32({2, second, 2, 5}, 3), random_f32({4}, 4)});
    EXPECT_EQ(results[1].shape, (std::vector<int64_t>{2, 3, 4}));
    expect_close(results[0].values, results[2].values, 1e-12, 1e-12);
    expect_close(results[1].values, results[3].values, 1e-12, 1e-12);
  }
}

TEST(MergeAttention, OfNothingIsZero) {
  const auto results =
      run("graph g(%y: f32[1, 1, 2], %l: f32[1, 1]) -> (%z, %m) {"
          "  %z, %m = merge_attention(%y, %l, %y, %l) }",
          {f32({1, 1, 2}, {0, 0}), f32({1, 1}, {-kInf})});
  expect_close(results[0].values, {0, 0}, 0);
  expect_close(results[1].values, {-kInf}, 0);
}

TEST(MergeAttention, NaNStaysNaN) {
  expect_close(run_one("graph g(%y: f32[1, 1, 1], %l: f32[1, 1], %m: f32[1, 1]) -> (%z) {"
                       "  %z = merge_attention(%y, %l, %y, %m) }",
                       {f32({1, 1, 1}, {2}), f32({1, 1}, {1}), f32({1, 1}, {kNan})}),
               {kNan}, 0);
}

}  // namespace
}  // namespace lathe::ir::graph
