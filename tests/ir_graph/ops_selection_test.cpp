// Lists that are chosen by scores, by hand.
#include "tests/ir_graph/graph_testing.h"

namespace lathe::ir::graph {
namespace {

// Of one head and block of tokens at a time: scores are a row for each block of tokens.
std::string blocks_graph(std::string_view attributes) {
  return fmt::format(
      "graph g(%s: f32[1, 1, r, c], %q: f32[n], %k: f32[m]) -> (%counts, %blocks) {{\n"
      "  %counts, %blocks = select_blocks(%s) {{block = 2, tokens = [n], keys = [m], {}}}\n}}",
      attributes);
}

std::vector<Tensor> block_inputs(int64_t tokens, int64_t keys, const std::vector<double>& scores) {
  return {f32({1, 1, (tokens + 1) / 2, (keys + 1) / 2}, scores), Tensor(Type::f32, {tokens}),
          Tensor(Type::f32, {keys})};
}

TEST(SelectBlocks, KeepsSinksDiagonalAndTheBest) {
  // Two blocks of tokens at keys 4 to 6 of 7, which lie in blocks 2 and 3.
  const auto inputs = block_inputs(3, 7, {0, 1, 2, 9, 0, 3, 1, 0});
  const auto lists = run(blocks_graph("kept = 3, causal = end"), inputs);
  EXPECT_EQ(lists[0].type, Type::i32);
  expect_close(lists[0].values, {3, 3}, 0);
  expect_close(lists[1].values, {0, 1, 2, 0, 1, 3}, 0);
  // Not causal, tokens stand at keys 0 to 2.
  expect_close(run(blocks_graph("kept = 3"), inputs)[1].values, {0, 2, 3, 0, 1, 2}, 0);
  expect_close(run(blocks_graph("kept = 2, sinks = 0"), inputs)[1].values, {0, 3, 1, 2}, 0);
  // A list is no longer than what it may see; the rest of its room repeats the last.
  const auto start = run(blocks_graph("kept = 3, causal = start"), inputs);
  expect_close(start[0].values, {1, 2}, 0);
  expect_close(start[1].values, {0, 0, 0, 0, 1, 1}, 0);
  const auto local = run(blocks_graph("kept = 4, causal = end, local = 2, sinks = 0"), inputs);
  expect_close(local[1].values, {0, 1, 2, 2, 0, 1, 2, 3}, 0);
}

TEST(SelectBlocks, OfEqualScoresTakesTheFirst) {
  expect_close(run(blocks_graph("kept = 3"), block_inputs(2, 10, {0, 1, -0.0, 1, 1}))[1].values,
               {0, 1, 3}, 0);
}

TEST(SelectBlocks, ThresholdIsAShareOfTheSoftmax) {
  // Shares of 1/8, 4/8, 2/8, 1/8.
  const auto inputs = block_inputs(2, 8, {0, std::log(4), std::log(2), 0});
  expect_close(run(blocks_graph("kept = 4, threshold = 0.2"), inputs)[1].values, {0, 1, 2, 2}, 0);
  expect_close(run(blocks_graph("kept = 4, threshold = 0.3"), inputs)[0].values, {2}, 0);
  expect_close(run(blocks_graph("kept = 4, threshold = 0.1"), inputs)[0].values, {4}, 0);
  const auto infinite = block_inputs(2, 8, {0, kInf, 2, -kInf});
  expect_close(run(blocks_graph("kept = 4, threshold = 0.1"), infinite)[1].values, {0, 1, 1, 1}, 0);
}

TEST(SelectBlocks, NamesWhatItCannotChooseBy) {
  EXPECT_EQ(run_error(blocks_graph("kept = 2"), block_inputs(4, 4, {0, 1, 2, kNan})),
            "2:22: %counts = select_blocks: scores[0, 0, 1, 1]: found NaN, expected numbers to "
            "choose by");
  EXPECT_EQ(
      run_error(blocks_graph("kept = 1, causal = end"), block_inputs(2, 6, {0, 1, 2})),
      "2:22: %counts = select_blocks: kept: found 1, expected room for what block of tokens 0 "
      "keeps always (1 sinks, 1 local ones, its diagonal)");
  EXPECT_EQ(run_error(blocks_graph("kept = 2"),
                      {f32({1, 1, 1, 2}, {1, 2}), Tensor(Type::f32, {3}), Tensor(Type::f32, {4})}),
            "2:22: %counts = select_blocks: select_blocks: operand 'scores': found 1 blocks of "
            "tokens, expected 2, as 3 make");
}

std::string pages_graph(std::string_view attributes) {
  return fmt::format(
      "graph g(%s: f32[b, h, p], %l: i32[b]) -> (%y) {{\n  %y = select_pages(%s, %l) {{page = 4, "
      "{}}}\n}}",
      attributes);
}

Tensor lengths(const std::vector<double>& values) {
  return make_tensor(Type::i32, {static_cast<int64_t>(values.size())}, values);
}

TEST(SelectPages, KeepsFirstLastAndTheBest) {
  const Tensor scores = f32({1, 2, 6}, {9, 1, 3, 2, 0, 9, 0, 5, 5, 4, 5, 1});
  expect_close(run_one(pages_graph("kept = 4"), {scores, lengths({24})}), {0, 2, 3, 5, 0, 1, 2, 5},
               0);
  // 17 keys are five pages, the last of which is kept.
  expect_close(run_one(pages_graph("kept = 3"), {scores, lengths({17})}), {0, 2, 4, 0, 1, 4}, 0);
  expect_close(run_one(pages_graph("kept = 3, sinks = 0, local = 2"), {scores, lengths({17})}),
               {0, 3, 4, 1, 3, 4}, 0);
  expect_close(run_one(pages_graph("kept = 2"), {scores, lengths({24})}), {0, 5, 0, 5}, 0);
}

TEST(SelectPages, OfFewPagesTakesAll) {
  const Tensor scores = f32({3, 1, 3}, {kNan, kNan, 1, 1, kNan, kNan, kNan, kNan, kNan});
  expect_close(run_one(pages_graph("kept = 2"), {scores, lengths({5, 1, 0})}), {0, 1, 0, 0, 0, 0},
               0);
}

TEST(SelectPages, NamesWhatItCannotChooseBy) {
  const auto error = [](double length, const std::vector<double>& scores) {
    return run_error(pages_graph("kept = 2"), {f32({1, 1, 4}, scores), lengths({length})});
  };
  // Pages that are always read, and those behind the keys, may have any score.
  expect_close(
      run_one(pages_graph("kept = 2"), {f32({1, 1, 4}, {kNan, 1, kNan, kNan}), lengths({9})}),
      {0, 2}, 0);
  EXPECT_EQ(error(9, {0, kNan, 0, 0}),
            "2:8: %y = select_pages: scores[0, 0, 1]: found NaN, expected numbers to choose by");
  EXPECT_EQ(error(17, {0, 0, 0, 0}),
            "2:8: %y = select_pages: lengths[0]: found 17, expected 0 to 16, the keys of 4 pages");
  EXPECT_EQ(error(-1, {0, 0, 0, 0}),
            "2:8: %y = select_pages: lengths[0]: found -1, expected 0 to 16, the keys of 4 pages");
}

}  // namespace
}  // namespace lathe::ir::graph
