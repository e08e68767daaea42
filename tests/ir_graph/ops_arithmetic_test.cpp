// Elementwise arithmetic: broadcasting, integer wrap-around, NaN rules, comparisons.
#include "tests/ir_graph/graph_testing.h"

namespace lathe::ir::graph {
namespace {

std::vector<double> binary(std::string_view op, Type type, const std::vector<double>& a,
                           const std::vector<double>& b) {
  const auto n = static_cast<int64_t>(a.size());
  return run_one(
      fmt::format("graph g(%a: {0}[n], %b: {0}[n]) -> (%y) {{ %y = {1}(%a, %b) }}", name(type), op),
      {make_tensor(type, {n}, a), make_tensor(type, {n}, b)});
}

std::vector<double> unary(std::string_view op, Type type, const std::vector<double>& x) {
  return run_one(fmt::format("graph g(%x: {}[n]) -> (%y) {{ %y = {}(%x) }}", name(type), op),
                 {make_tensor(type, {static_cast<int64_t>(x.size())}, x)});
}

TEST(Arithmetic, BroadcastsAsNumpy) {
  const auto y = run_one("graph g(%a: f32[2, 1, n], %b: f32[3, 1]) -> (%y) { %y = sub(%a, %b) }",
                         {f32({2, 1, 2}, {1, 2, 3, 4}), f32({3, 1}, {10, 20, 30})});
  expect_close(y, {-9, -8, -19, -18, -29, -28, -7, -6, -17, -16, -27, -26}, 0);
}

TEST(Arithmetic, ScalarsBroadcastToAnything) {
  const auto y =
      run_one("graph g(%a: f32[n, 2]) -> (%y) { %k = constant() {value = 3} %y = mul(%a, %k) }",
              {f32({1, 2}, {1, 2})});
  expect_close(y, {3, 6}, 0);
}

TEST(Arithmetic, FloatsAreNotRoundedToF32) {
  const auto y = binary("div", Type::f32, {1}, {3});
  EXPECT_EQ(y[0], 1.0 / 3.0);
}

TEST(Arithmetic, IntegersWrapInTheirOwnWidth) {
  expect_close(binary("add", Type::i8, {127, -128}, {1, -1}), {-128, 127}, 0);
  expect_close(binary("sub", Type::u8, {0, 3}, {1, 2}), {255, 1}, 0);
  expect_close(binary("mul", Type::i16, {300}, {300}), {90000 - 65536}, 0);
  expect_close(binary("mul", Type::u32, {4294967295.0}, {4294967295.0}), {1}, 0);
  expect_close(unary("neg", Type::i8, {-128, 5}), {-128, -5}, 0);
  expect_close(unary("abs", Type::i32, {-2147483648.0, -7}), {-2147483648.0, 7}, 0);
}

TEST(Arithmetic, SixtyFourBitIntegersAreExact) {
  const Graph graph = parse_valid(
      "graph g(%a: u64[1], %b: u64[1]) -> (%s, %p, %d, %m, %l) {"
      "  %s = add(%a, %b) %p = mul(%a, %b) %d = div(%b, %a) %m = max(%a, %b) %l = less(%a, %b) }");
  std::vector<Tensor> inputs = {Tensor(Type::u64, {1}), Tensor(Type::u64, {1})};
  inputs[0].as<uint64_t>()[0] = 3;
  inputs[1].as<uint64_t>()[0] = 0xFFFFFFFFFFFFFFFEU;
  const auto outputs = evaluate(graph, inputs).value();
  EXPECT_EQ(outputs[0].as<uint64_t>()[0], 1U);
  EXPECT_EQ(outputs[1].as<uint64_t>()[0], 0xFFFFFFFFFFFFFFFAU);
  EXPECT_EQ(outputs[2].as<uint64_t>()[0], 0xFFFFFFFFFFFFFFFEU / 3);
  EXPECT_EQ(outputs[3].as<uint64_t>()[0], 0xFFFFFFFFFFFFFFFEU);
  EXPECT_EQ(outputs[4].as<uint8_t>()[0], 1);
}

TEST(Arithmetic, IntegerDivisionTruncatesAndWraps) {
  expect_close(binary("div", Type::i32, {7, -7, -2147483648.0}, {-2, 2, -1}),
               {-3, -3, -2147483648.0}, 0);
  const Graph graph = parse_valid("graph g(%a: i64[1], %b: i64[1]) -> (%y) { %y = div(%a, %b) }");
  std::vector<Tensor> inputs = {Tensor(Type::i64, {1}), i64({1}, {-1})};
  inputs[0].as<int64_t>()[0] = std::numeric_limits<int64_t>::min();
  EXPECT_EQ(evaluate(graph, inputs).value()[0].as<int64_t>()[0],
            std::numeric_limits<int64_t>::min());
}

TEST(Arithmetic, IntegerDivisionByZeroIsAnError) {
  EXPECT_EQ(run_error("graph g(%a: i32[2], %b: i32[2]) -> (%y) { %y = div(%a, %b) }",
                      {make_tensor(Type::i32, {2}, {1, 2}), make_tensor(Type::i32, {2}, {1, 0})}),
            "1:48: %y = div: operand 'b': element 1 is 0, expected non-zero integers");
  expect_close(binary("div", Type::f32, {1, -1, 0}, {0, 0, 0}), {kInf, -kInf, kNan}, 0);
}

TEST(Arithmetic, MaxAndMinPropagateNanFromEitherSide) {
  expect_close(binary("max", Type::f32, {kNan, 1, 2, -kInf}, {1, kNan, 3, 0}), {kNan, kNan, 3, 0},
               0);
  expect_close(binary("min", Type::f32, {kNan, 1, 2, -kInf}, {1, kNan, 3, 0}),
               {kNan, kNan, 2, -kInf}, 0);
  expect_close(binary("min", Type::i8, {-3, 4}, {2, -5}), {-3, -5}, 0);
}

TEST(Arithmetic, FmaRoundsOnce) {
  const auto y =
      run_one("graph g(%a: f32[1], %b: f32[1], %c: f32[]) -> (%y) { %y = fma(%a, %b, %c) }",
              {f32({1}, {3}), f32({1}, {5}), f32({}, {-15})});
  expect_close(y, {0}, 0);
  const auto wrapped =
      run_one("graph g(%a: i8[1], %b: i8[1], %c: i8[2]) -> (%y) { %y = fma(%a, %b, %c) }",
              {make_tensor(Type::i8, {1}, {100}), make_tensor(Type::i8, {1}, {2}),
               make_tensor(Type::i8, {2}, {0, 56})});
  expect_close(wrapped, {200 - 256, 0}, 0);
}

TEST(Arithmetic, UnaryFunctions) {
  expect_close(unary("exp", Type::f32, {0, 1, -kInf, kInf}), {1, std::exp(1.0), 0, kInf}, 0);
  expect_close(unary("log", Type::f32, {1, 0, -1}), {0, -kInf, kNan}, 0);
  expect_close(unary("tanh", Type::f32, {0, 0.5, kInf}), {0, 0.46211715726000979, 1}, 1e-15);
  expect_close(unary("erf", Type::f32, {0, 0.5, -kInf}), {0, 0.52049987781304654, -1}, 1e-15);
  expect_close(unary("sqrt", Type::f32, {2, -1}), {1.4142135623730951, kNan}, 1e-15);
  expect_close(unary("rsqrt", Type::f32, {4, 0}), {0.5, kInf}, 0);
  expect_close(unary("reciprocal", Type::f32, {4, 0}), {0.25, kInf}, 0);
  expect_close(unary("round", Type::f32, {0.5, 1.5, -2.5, 2.6}), {0, 2, -2, 3}, 0);
  expect_close(unary("neg", Type::f16, {2, -1}), {-2, 1}, 0);
  expect_close(unary("abs", Type::bf16, {2, -1}), {2, 1}, 0);
}

TEST(Arithmetic, ComparisonsAndTheirNanRules) {
  const std::vector<double> a = {1, 2, 3, kNan};
  const std::vector<double> b = {2, 2, 2, 2};
  expect_close(binary("equal", Type::f32, a, b), {0, 1, 0, 0}, 0);
  expect_close(binary("not_equal", Type::f32, a, b), {1, 0, 1, 1}, 0);
  expect_close(binary("less", Type::f32, a, b), {1, 0, 0, 0}, 0);
  expect_close(binary("less_equal", Type::f32, a, b), {1, 1, 0, 0}, 0);
  expect_close(binary("greater", Type::f32, a, b), {0, 0, 1, 0}, 0);
  expect_close(binary("greater_equal", Type::f32, a, b), {0, 1, 1, 0}, 0);
  expect_close(binary("less", Type::i64, {-1, 5}, {1, 5}), {1, 0}, 0);
  expect_close(binary("equal", Type::boolean, {0, 1}, {1, 1}), {0, 1}, 0);
}

TEST(Arithmetic, WhereTakesFromEitherSideWithoutMixing) {
  const auto y =
      run_one("graph g(%c: bool[n], %a: f32[2, 1], %b: f32[]) -> (%y) { %y = where(%c, %a, %b) }",
              {make_tensor(Type::boolean, {3}, {1, 0, 1}), f32({2, 1}, {1, kNan}), f32({}, {7})});
  expect_close(y, {1, 7, 1, kNan, 7, kNan}, 0);
}

}  // namespace
}  // namespace lathe::ir::graph
