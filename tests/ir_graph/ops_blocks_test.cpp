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

}  // namespace
}  // namespace lathe::ir::graph
