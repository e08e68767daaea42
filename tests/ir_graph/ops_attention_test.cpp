// Attention on values worked out by hand: grouped heads, masks, layouts, rows that see nothing.
#include "tests/ir_graph/graph_testing.h"

namespace lathe::ir::graph {
namespace {

// Scores are 0 for every pair, so each query takes the mean of the values it sees.
std::vector<double> means(std::string_view attributes, int64_t tokens, int64_t keys,
                          const std::vector<double>& values) {
  return run_one(fmt::format("graph g(%q: f32[n, 1, 2], %k: f32[m, 1, 2], %v: f32[m, 1, 1]) -> "
                             "(%y) {{ %y = attention(%q, %k, %v) {{{}}} }}",
                             attributes),
                 {Tensor(Type::f32, {tokens, 1, 2}), Tensor(Type::f32, {keys, 1, 2}),
                  f32({keys, 1, 1}, values)});
}

TEST(Attention, CausalFromTheStartOrTheEnd) {
  expect_close(means("", 2, 3, {3, 6, 12}), {7, 7}, 1e-15);
  expect_close(means("causal = start", 2, 3, {3, 6, 12}), {3, 4.5}, 1e-15);
  expect_close(means("causal = end", 2, 3, {3, 6, 12}), {4.5, 7}, 1e-15);
  expect_close(means("causal = end", 3, 2, {3, 6}), {0, 3, 4.5}, 1e-15);  // the first sees nothing
}

TEST(Attention, WeightsAreTheSoftmaxOfScaledProducts) {
  const std::vector<Tensor> inputs = {f32({1, 1, 4}, {1, 0, 0, 0}),
                                      f32({2, 1, 4}, {2, 0, 0, 0, 0, 0, 0, 0}),
                                      f32({2, 1, 1}, {1, 0})};
  const std::string head =
      "graph g(%q: f32[n, 1, 4], %k: f32[m, 1, 4], %v: f32[m, 1, 1]) -> (%y) { %y = attention(%q, "
      "%k, %v)";
  expect_close(run_one(head + " }", inputs), {1 / (1 + std::exp(-1.0))}, 1e-15);
  expect_close(run_one(head + " {scale = 2} }", inputs), {1 / (1 + std::exp(-4.0))}, 1e-15);
}

TEST(Attention, QueryHeadsShareTheHeadsOfTheirGroup) {
  const std::vector<Tensor> inputs = {Tensor(Type::f32, {4, 1, 2}), Tensor(Type::f32, {2, 1, 2}),
                                      f32({2, 1, 1}, {5, 7})};
  expect_close(run_one("graph g(%q: f32[4, n, 2], %k: f32[2, m, 2], %v: f32[2, m, 1]) -> (%y) {"
                       "  %y = attention(%q, %k, %v) {layout = heads_tokens} }",
                       inputs),
               {5, 5, 7, 7}, 0);
}

TEST(Attention, MasksHideKeysAndAddToScores) {
  const auto masked = [](Type type, const std::vector<double>& mask) {
    return run_one(fmt::format("graph g(%q: f32[n, 1, 2], %k: f32[m, 1, 2], %v: f32[m, 1, 1], "
                               "%mask: {}[n, m]) -> (%y) {{"
                               "  %y = attention(%q, %k, %v, %mask) }}",
                               name(type)),
                   {Tensor(Type::f32, {2, 1, 2}), Tensor(Type::f32, {2, 1, 2}),
                    f32({2, 1, 1}, {4, kNan}), make_tensor(type, {2, 2}, mask)});
  };
  expect_close(masked(Type::boolean, {1, 0, 0, 0}), {4, 0}, 0);  // a hidden key's NaN is not read
  expect_close(masked(Type::f32, {0, -kInf, -kInf, -kInf}), {4, 0}, 0);
  expect_close(masked(Type::f32, {0, -5, kNan, -kInf}), {kNan, kNan}, 0);
}

TEST(Attention, BatchesInBothLayoutsAgree) {
  const Tensor q = random_f32({2, 5, 4, 8}, 1);
  const Tensor k = random_f32({2, 7, 2, 8}, 2);
  const Tensor v = random_f32({2, 7, 2, 3}, 3);
  const auto results =
      run("graph g(%q: f32[b, n, 4, 8], %k: f32[b, m, 2, 8], %v: f32[b, m, 2, 3]) -> (%x, %z) {"
          "  %x = attention(%q, %k, %v) {causal = end}"
          "  %qt = transpose(%q) {perm = [0, 2, 1, 3]}  %kt = transpose(%k) {perm = [0, 2, 1, 3]}"
          "  %vt = transpose(%v) {perm = [0, 2, 1, 3]}"
          "  %y = attention(%qt, %kt, %vt) {causal = end, layout = heads_tokens}  %z = "
          "transpose(%y) {perm = [0, 2, 1, 3]} }",
          {q, k, v});
  EXPECT_EQ(results[0].values, results[1].values);
}

}  // namespace
}  // namespace lathe::ir::graph
