// Linear and matmul on small numbers: bias, batches, vectors, quantised weights, integers.
#include "ir/gguf_blocks.h"
#include "tests/ir_graph/graph_testing.h"

namespace lathe::ir::graph {
namespace {

TEST(Linear, MultipliesByTheTransposeAndAddsTheBias) {
  const auto y = run_one(
      "graph g(%x: f32[n, 2], %w: f32[3, 2], %b: f32[3]) -> (%y) { %y = linear(%x, %w, %b) }",
      {f32({2, 2}, {1, 2, 3, 4}), f32({3, 2}, {1, 0, 0, 1, 1, 1}), f32({3}, {10, 20, 30})});
  expect_close(y, {11, 22, 33, 13, 24, 37}, 0);
}

TEST(Linear, QuantisedWeightsStandForTheirValues) {
  Tensor w(Type::q8_0, {2, 32});
  quantize(Type::q8_0, random_f32({2, 32}, 8).as<float>(), w.data());
  const Tensor x = random_f32({1, 32}, 9);
  std::vector<double> expected(2, 0.0);
  for (int64_t i = 0; i < 64; ++i) expected[static_cast<size_t>(i / 32)] += w.at(i) * x.at(i % 32);
  expect_close(
      run_one("graph g(%x: f32[n, 32], %w: q8_0[2, 32]) -> (%y) { %y = linear(%x, %w) }", {x, w}),
      expected, 1e-13);
}

TEST(Matmul, VectorsAndBatches) {
  const Tensor v = f32({2}, {1, 2});
  const Tensor m = f32({2, 2, 1}, {1, 2, 3, 4});
  const auto results =
      run("graph g(%v: f32[2], %m: f32[2, 2, 1]) -> (%a, %b, %c) {"
          "  %a = matmul(%v, %v)  %b = matmul(%v, %m)  %t = transpose(%m) {perm = [0, 2, 1]}  %c = "
          "matmul(%t, %v) }",
          {v, m});
  expect_close(results[0].values, {5}, 0);
  EXPECT_TRUE(results[0].shape.empty());
  expect_close(results[1].values, {5, 11}, 0);
  EXPECT_EQ(results[1].shape, (std::vector<int64_t>{2, 1}));
  expect_close(results[2].values, {5, 11}, 0);
}

TEST(Matmul, BatchesBroadcast) {
  const auto results =
      run("graph g(%a: f32[2, 1, 1, 2], %b: f32[3, 2, 1]) -> (%y) { %y = matmul(%a, %b) }",
          {f32({2, 1, 1, 2}, {1, 0, 0, 1}), f32({3, 2, 1}, {1, 2, 3, 4, 5, 6})});
  EXPECT_EQ(results[0].shape, (std::vector<int64_t>{2, 3, 1, 1}));
  expect_close(results[0].values, {1, 3, 5, 2, 4, 6}, 0);
}

TEST(Matmul, IntegersWrap) {
  const auto y =
      run_one("graph g(%a: i8[1, 2], %b: i8[2, 1]) -> (%y) { %y = matmul(%a, %b) }",
              {make_tensor(Type::i8, {1, 2}, {100, 100}), make_tensor(Type::i8, {2, 1}, {2, 1})});
  expect_close(y, {300 - 256}, 0);
}

TEST(Matmul, AnEmptyInnerSizeGivesZeros) {
  const auto y = run_one("graph g(%a: f32[2, 0], %b: f32[0, 1]) -> (%y) { %y = matmul(%a, %b) }",
                         {f32({2, 0}, {}), f32({0, 1}, {})});
  expect_close(y, {0, 0}, 0);
}

}  // namespace
}  // namespace lathe::ir::graph
