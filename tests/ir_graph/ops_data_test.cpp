// Constants, look-ups and scatters, with every index checked.
#include "ir/gguf_blocks.h"
#include "tests/ir_graph/graph_testing.h"

namespace lathe::ir::graph {
namespace {

TEST(Constant, FillsAnyShapeAndRoundsToItsType) {
  const auto results =
      run("graph g(%x: f32[n]) -> (%a, %b, %c, %d) {"
          "  %a = constant() {value = 0.1, type = bf16, shape = [2]}  %b = constant() {value = -3, "
          "type = i8}"
          "  %c = constant() {value = -inf}  %d = constant() {value = 2, shape = [2*n]} }",
          {f32({2}, {0, 0})});
  expect_close(results[0].values, {0.10009765625, 0.10009765625}, 0);
  expect_close(results[1].values, {-3}, 0);
  expect_close(results[2].values, {-kInf}, 0);
  EXPECT_EQ(results[3].shape, std::vector<int64_t>{4});
}

TEST(Embedding, CopiesRows) {
  const auto results = run(
      "graph g(%t: f16[rows, 2], %i: i32[b, n]) -> (%y) { %y = embedding(%t, %i) }",
      {make_tensor(Type::f16, {3, 2}, {1, 2, 3, 4, 5, 6}), make_tensor(Type::i32, {1, 2}, {2, 0})});
  expect_close(results[0].values, {5, 6, 1, 2}, 0);
  EXPECT_EQ(results[0].shape, (std::vector<int64_t>{1, 2, 2}));
  EXPECT_EQ(results[0].type, Type::f16);
}

TEST(Embedding, ReadsQuantisedTables) {
  Tensor table(Type::q4_0, {2, 32});
  quantize(Type::q4_0, random_f32({2, 32}, 3).as<float>(), table.data());
  const auto results =
      run("graph g(%t: q4_0[2, 32], %i: i64[n]) -> (%y) { %y = embedding(%t, %i) }",
          {table, i64({1}, {1})});
  EXPECT_EQ(results[0].type, Type::f32);
  for (int64_t i = 0; i < 32; ++i)
    EXPECT_EQ(results[0].values[static_cast<size_t>(i)], table.at(32 + i));
}

TEST(Embedding, AnIdOutsideTheTableIsAnError) {
  EXPECT_EQ(run_error("graph g(%t: f32[2, 1], %i: i64[n]) -> (%y) { %y = embedding(%t, %i) }",
                      {f32({2, 1}, {1, 2}), i64({2}, {0, -1})}),
            "1:51: %y = embedding: ids[1]: found -1, expected 0 to 1");
}

TEST(Gather, NegativeIndicesCountFromTheEnd) {
  const auto y =
      run_one("graph g(%x: i8[2, 3], %i: i64[2]) -> (%y) { %y = gather(%x, %i) {axis = 1} }",
              {make_tensor(Type::i8, {2, 3}, {1, 2, 3, 4, 5, 6}), i64({2}, {-1, 0})});
  expect_close(y, {3, 1, 6, 4}, 0);
}

TEST(Gather, IndicesKeepTheirShape) {
  const auto results = run("graph g(%x: f32[3, 2], %i: i64[1, 2]) -> (%y) { %y = gather(%x, %i) }",
                           {f32({3, 2}, {1, 2, 3, 4, 5, 6}), i64({1, 2}, {2, 1})});
  EXPECT_EQ(results[0].shape, (std::vector<int64_t>{1, 2, 2}));
  expect_close(results[0].values, {5, 6, 3, 4}, 0);
}

TEST(Gather, AnIndexOutsideIsAnError) {
  EXPECT_EQ(run_error("graph g(%x: f32[3], %i: i64[1]) -> (%y) { %y = gather(%x, %i) }",
                      {f32({3}, {1, 2, 3}), i64({1}, {-4})}),
            "1:48: %y = gather: indices[0]: found -4, expected -3 to 2");
}

constexpr auto kScatter =
    "graph g(%x: f32[tokens, 2], %m: bool[tokens], %u: f32[marked, 2]) -> (%a, %b) {\n"
    "  %a = scatter_rows(%x, %m, %u)\n  %b = scatter_add_rows(%x, %m, %u)\n}";

TEST(Scatter, RowKGoesToTheKthMarkedRow) {
  const auto results =
      run(kScatter, {f32({3, 2}, {1, 2, 3, 4, 5, 6}), make_tensor(Type::boolean, {3}, {1, 0, 1}),
                     f32({2, 2}, {10, 20, 30, 40})});
  expect_close(results[0].values, {10, 20, 3, 4, 30, 40}, 0);
  expect_close(results[1].values, {11, 22, 3, 4, 35, 46}, 0);
}

TEST(Scatter, RowsMustMatchTheMask) {
  EXPECT_EQ(run_error(kScatter, {f32({2, 2}, {1, 2, 3, 4}), make_tensor(Type::boolean, {2}, {1, 0}),
                                 f32({2, 2}, {10, 20, 30, 40})}),
            "2:8: %a = scatter_rows: operand 'updates': found 2 rows, expected 1, one for each row "
            "that the mask sets");
}

}  // namespace
}  // namespace lathe::ir::graph
