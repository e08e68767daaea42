// Lists of blocks as masks, and pooled blocks, by hand.
#include "tests/ir_graph/graph_testing.h"

namespace lathe::ir::graph {
namespace {

Tensor i32(std::vector<int64_t> shape, const std::vector<double>& values) {
  return make_tensor(Type::i32, std::move(shape), values);
}

constexpr auto kMask =
    "graph g(%q: f32[b, n, 2, 1], %k: f32[b, m, 1, 1], %c: i32[b, 1, rows], %l: i32[b, 1, rows, "
    "room]) -> (%y) {\n  %y = block_mask(%q, %k, %c, %l) {block = 2}\n}";

TEST(BlockMask, ListedBlocksAreSeenByAllHeadsOfTheGroup) {
  // Three tokens in two blocks, five keys in three; what follows the first counts is not read.
  const auto mask =
      run_one(kMask, {Tensor(Type::f32, {1, 3, 2, 1}), Tensor(Type::f32, {1, 5, 1, 1}),
                      i32({1, 1, 2}, {2, 1}), i32({1, 1, 2, 2}, {0, 2, 1, -7})});
  const std::vector<double> one_head = {1, 1, 0, 0, 1, 1, 1, 0, 0, 1, 0, 0, 1, 1, 0};
  std::vector<double> expected = one_head;
  expected.insert(expected.end(), one_head.begin(), one_head.end());
  expect_close(mask, expected, 0);
}

TEST(BlockMask, ListsAreChecked) {
  const auto error = [](const std::vector<double>& counts, const std::vector<double>& blocks) {
    const auto rows = static_cast<int64_t>(counts.size());
    return run_error(kMask, {Tensor(Type::f32, {1, 3, 2, 1}), Tensor(Type::f32, {1, 5, 1, 1}),
                             i32({1, 1, rows}, counts), i32({1, 1, rows, 2}, blocks)});
  };
  EXPECT_EQ(error({3, 0}, {0, 1, 0, 0}),
            "2:8: %y = block_mask: counts[0]: found 3, expected 0 to 2");
  EXPECT_EQ(error({1, 2}, {0, 0, 0, 3}),
            "2:8: %y = block_mask: blocks[1, 1]: found 3, expected 0 to 2");
  EXPECT_EQ(error({2, 0}, {1, 1, 0, 0}),
            "2:8: %y = block_mask: blocks[0, 1]: found 1 after 1, expected ascending blocks, none "
            "twice");
  EXPECT_EQ(error({0}, {0, 0}),
            "2:8: %y = block_mask: counts: found 1 blocks of tokens, expected 2, as 3 tokens make");
}

TEST(PoolBlocks, AreMeansOfTheTokensThatThereAre) {
  expect_close(run_one("graph g(%x: f32[b, n, 1, 2]) -> (%y) { %y = pool_blocks(%x) {block = 2, "
                       "blocks = [rows]} }",
                       {f32({1, 3, 1, 2}, {1, 2, 3, 6, 5, 7})}),
               {2, 4, 5, 7}, 0);
}

TEST(PoolBlocks, ANameHasOneSize) {
  const auto text = [](int block) {
    return fmt::format(
        "graph g(%x: f32[b, n, 1, 1]) -> (%y, %z) {{\n  %y = pool_blocks(%x) {{block = 2, blocks = "
        "[rows]}}\n  %z = pool_blocks(%x) {{block = {}, blocks = [rows]}}\n}}",
        block);
  };
  const std::vector<Tensor> inputs = {f32({1, 3, 1, 1}, {1, 3, 4})};
  expect_close(run(text(2), inputs)[1].values, {2, 4}, 0);
  EXPECT_EQ(
      run_error(text(3), inputs),
      "3:8: %z = pool_blocks: found f32[1, 1, 1, 1] for these sizes, expected f32[1, rows, 1, "
      "1]");
}

constexpr auto kScores =
    "graph g(%q: f32[1, n, 2, 1], %k: f32[1, m, 1, 1], %wq: f32[2, 1, 1], %wk: f32[1, 1, 1]) -> "
    "(%y, "
    "%z) {\n"
    "  %y = block_scores(%q, %k) {block = 2, query_blocks = [rows], key_blocks = [columns]}\n"
    "  %z = block_scores(%q, %k, %wq, %wk) {block = 2, query_blocks = [rows], key_blocks = "
    "[columns]}\n}";

TEST(BlockScores, AreProductsOfMeans) {
  // Blocks of tokens of means (2, 3) and (5, 6), of keys 2 and -3; without weights heads add up.
  const std::vector<Tensor> inputs = {f32({1, 3, 2, 1}, {1, 2, 3, 4, 5, 6}),
                                      f32({1, 3, 1, 1}, {1, 3, -3}), f32({2, 1, 1}, {10, -1}),
                                      f32({1, 1, 1}, {0.5})};
  const auto results = run(kScores, inputs);
  EXPECT_EQ(results[0].shape, (std::vector<int64_t>{1, 1, 2, 2}));
  expect_close(results[0].values, {10, -15, 22, -33}, 1e-15);
  expect_close(results[1].values, {17, -25.5, 44, -66}, 1e-15);
}

// What the formula says, in other ops.
TEST(BlockScores, AreMatricesOfPooledBlocks) {
  const auto results = run(
      "graph g(%q: f32[2, n, 4, 5], %k: f32[2, m, 2, 5], %wq: f32[4, 5, 3], %wk: f32[2, 5, 3]) -> "
      "(%y, %z) {"
      "  %y = block_scores(%q, %k, %wq, %wk) {block = 4, query_blocks = [r], key_blocks = [c]}"
      "  %qp = pool_blocks(%q) {block = 4, blocks = [r]}"
      "  %kp = pool_blocks(%k) {block = 4, blocks = [c]}"
      "  %qj = reshape(%qp) {shape = [2, -1, 2, 10]}"
      "  %qh = transpose(%qj) {perm = [0, 2, 1, 3]}"
      "  %kh = transpose(%kp) {perm = [0, 2, 1, 3]}"
      "  %w = reshape(%wq) {shape = [2, 10, 3]}"
      "  %qw = matmul(%qh, %w)"
      "  %kw = matmul(%kh, %wk)"
      "  %kt = transpose(%kw) {perm = [0, 1, 3, 2]}"
      "  %p = matmul(%qw, %kt)"
      "  %scale = constant() {value = 0.4472135954999579}"
      "  %z = mul(%p, %scale) }",
      {random_f32({2, 9, 4, 5}, 1), random_f32({2, 13, 2, 5}, 2), random_f32({4, 5, 3}, 3),
       random_f32({2, 5, 3}, 4)});
  EXPECT_EQ(results[0].shape, (std::vector<int64_t>{2, 2, 3, 4}));
  expect_close(results[0].values, results[1].values, 1e-6, 1e-6);  // of a scale in f32
}

TEST(BlockScores, WeightsAreFinite) {
  EXPECT_EQ(run_error(kScores, {f32({1, 1, 2, 1}, {1, 2}), f32({1, 1, 1, 1}, {1}),
                                f32({2, 1, 1}, {1, kInf}), f32({1, 1, 1}, {1})}),
            "3:8: %z = block_scores: wq: found inf at element 1, expected finite weights");
}

}  // namespace
}  // namespace lathe::ir::graph
