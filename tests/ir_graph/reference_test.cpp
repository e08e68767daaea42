// Inputs that do not fit their graph, binding of names, and what the interpreter promises as a
// whole.
#include "ir/graph/reference.h"

#include "tests/ir_graph/graph_testing.h"

namespace lathe::ir::graph {
namespace {

const char* const kPair = "graph g(%x: f32[n, 4], %y: f32[2*n]) -> (%x) {}";

TEST(Reference, BindsNamesFromEveryInput) {
  const Graph graph = parse_valid(kPair);
  const std::vector<Tensor> inputs = {Tensor(Type::f32, {3, 4}), Tensor(Type::f32, {6})};
  EXPECT_EQ(bind_inputs(graph, inputs).value(), (DimBindings{{"n", 3}}));
}

TEST(Reference, InputsThatDoNotFitAreNamed) {
  EXPECT_EQ(run_error(kPair, {Tensor(Type::f32, {3, 4})}), "graph g: found 1 inputs, expected 2");
  EXPECT_EQ(run_error(kPair, {Tensor(Type::f16, {3, 4}), Tensor(Type::f32, {6})}),
            "input %x: found f16[3, 4], expected f32[n, 4]");
  EXPECT_EQ(run_error(kPair, {Tensor(Type::f32, {3}), Tensor(Type::f32, {6})}),
            "input %x: found f32[3], expected f32[n, 4]");
  EXPECT_EQ(run_error(kPair, {Tensor(Type::f32, {3, 5}), Tensor(Type::f32, {6})}),
            "input %x: found 5 in dimension 1, expected 4");
  EXPECT_EQ(run_error(kPair, {Tensor(Type::f32, {3, 4}), Tensor(Type::f32, {7})}),
            "input %y: found 7 in dimension 0, expected a multiple of 2 (2*n)");
  EXPECT_EQ(
      run_error(kPair, {Tensor(Type::f32, {3, 4}), Tensor(Type::f32, {8})}),
      "input %y: found 8 in dimension 0 (2*n), expected 6 because an earlier input has n = 3");
}

TEST(Reference, AShapeThatNoInputFixesIsAnError) {
  EXPECT_EQ(run_error("graph g() -> (%y) { %y = constant() {value = 1, shape = [n]} }", {}),
            "dimension n of shape [n] has no size: expected a number");
}

TEST(Reference, HugeResultsAreRefusedBeforeTheyAreMade) {
  const auto outputs = evaluate(
      parse_valid("graph g() -> (%y) { %y = constant() {value = 1, shape = [1000000, 1000000]} }"),
      {});
  ASSERT_FALSE(outputs.has_value());
  EXPECT_EQ(outputs.error().code, ErrorCode::resource_exhausted);
  EXPECT_EQ(outputs.error().message,
            "1:26: %y = constant: f32[1000000, 1000000] has 1000000000000 elements, expected at "
            "most 268435456");
}

TEST(Reference, RoundsOnlyAtTheEnd) {
  const Graph graph =
      parse_valid("graph g(%x: f16[1], %z: f16[1]) -> (%y) { %q = div(%x, %z) %y = mul(%q, %z) }");
  const std::vector<Tensor> inputs = {make_tensor(Type::f16, {1}, {1}),
                                      make_tensor(Type::f16, {1}, {3})};
  EXPECT_EQ(evaluate_double(graph, inputs).value()[0].values[0], 1.0 / 3.0 * 3.0);
  const auto third = parse_valid("graph g(%x: f16[1], %z: f16[1]) -> (%y) { %y = div(%x, %z) }");
  EXPECT_EQ(evaluate(third, inputs).value()[0].at(0), 0.333251953125);
  EXPECT_EQ(evaluate_double(third, inputs).value()[0].values[0], 1.0 / 3.0);
}

TEST(Reference, OutputsMayRepeatAndBeInputs) {
  const auto outputs = run("graph g(%x: f32[1]) -> (%x, %y, %x) { %y = neg(%x) }", {f32({1}, {2})});
  expect_close(outputs[0].values, {2}, 0);
  expect_close(outputs[1].values, {-2}, 0);
  expect_close(outputs[2].values, {2}, 0);
}

TEST(Reference, EmptyTensorsPassThroughEveryStep) {
  const auto outputs =
      run("graph g(%x: f32[n, 8], %i: i64[m]) -> (%a, %b) {"
          "  %s = softmax(%x) %t = transpose(%s) {perm = [1, 0]} %a = concat(%t, %t) {axis = 1} %b "
          "= gather(%x, %i) {axis = 1} }",
          {f32({0, 8}, {}), i64({0}, {})});
  EXPECT_EQ(outputs[0].shape, (std::vector<int64_t>{8, 0}));
  EXPECT_EQ(outputs[1].shape, (std::vector<int64_t>{0, 0}));
}

}  // namespace
}  // namespace lathe::ir::graph
