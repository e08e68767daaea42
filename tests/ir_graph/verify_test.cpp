// The verifier on graphs damaged by hand, inference, and binding of dimensions.
#include "ir/graph/verify.h"

#include "ir/graph/ops.h"
#include "tests/ir_graph/graph_testing.h"

namespace lathe::ir::graph {
namespace {

Graph sample() {
  return parse_valid(
      "graph g(%x: f32[n, 8], %w: f32[8]) -> (%y) {\n  %h = rms_norm(%x, %w)\n  %y = "
      "silu(%h)\n}\n");
}

std::string damage(void (*change)(Graph&)) {
  Graph graph = sample();
  change(graph);
  const auto verified = verify(graph);
  EXPECT_FALSE(verified.has_value());
  return verified ? "" : verified.error().message;
}

TEST(Verify, AcceptsAParsedGraph) { EXPECT_TRUE(verify(sample()).has_value()); }

TEST(Verify, EachRuleHasItsMessage) {
  EXPECT_EQ(damage([](Graph& g) { g.name = "2b"; }),
            "found graph name '2b', expected a letter, then letters, digits, '_' and '.'");
  EXPECT_EQ(damage([](Graph& g) { g.values[0].name = "a-b"; }),
            "found value name 'a-b', expected letters, digits, '_' and '.'");
  EXPECT_EQ(damage([](Graph& g) { g.values[1].name = "x"; }), "two values are named '%x'");
  EXPECT_EQ(damage([](Graph& g) { g.nodes[0].op = nullptr; }),
            "2:8: %h = ?: found a node without op, expected one of the table");
  EXPECT_EQ(damage([](Graph& g) { std::swap(g.nodes[0], g.nodes[1]); }),
            "3:8: %y = silu: operand %h is used before its definition");
  EXPECT_EQ(damage([](Graph& g) { g.nodes[1].operands[0] = 99; }),
            "3:8: %y = silu: operand 99 is used before its definition");
  EXPECT_EQ(damage([](Graph& g) { g.nodes[0].attributes = {}; }),
            "2:8: %h = rms_norm: its attributes are not complete and in order; use "
            "complete_attributes()");
  EXPECT_EQ(damage([](Graph& g) { g.nodes[0].attributes.set("axis", 5); }),
            "2:8: %h = rms_norm: rms_norm: found axis 5, expected -2 to 1 for rank 2");
  EXPECT_EQ(damage([](Graph& g) { g.nodes[1].results[0] = g.nodes[0].results[0]; }),
            "3:8: %h = silu: result 0 is not a value that this node alone defines");
  EXPECT_EQ(damage([](Graph& g) { g.value(g.find("h")).type.element = Type::f16; }),
            "2:8: %h = rms_norm: %h has type f16[n, 8], expected f32[n, 8]");
  EXPECT_EQ(damage([](Graph& g) { g.inputs.push_back(g.inputs[0]); }),
            "input 0 is not a value that only the inputs define");
  EXPECT_EQ(damage([](Graph& g) { g.values.push_back({.name = "z", .type = {}, .location = {}}); }),
            "value %z has no definition");
  EXPECT_EQ(damage([](Graph& g) { g.outputs.clear(); }),
            "found a graph without outputs, expected one or more");
  EXPECT_EQ(damage([](Graph& g) { g.outputs[0] = 99; }), "output 99 is not a value of the graph");
  EXPECT_EQ(damage([](Graph& g) { g.values[0].type.shape[0] = Dim(-1); }),
            "1:9: input %x: found dimension '-1' in f32[-1, 8], expected a number up to "
            "1099511627776 or a name");
}

TEST(Verify, TypesStayWithinTheirLimits) {
  EXPECT_TRUE(check_type({Type::q8_0, {"n", 64}}).has_value());
  EXPECT_EQ(check_type({Type::q8_0, {"n", 33}}).error().message,
            "found q8_0[n, 33], expected a last dimension that is a multiple of the block of 32");
  EXPECT_EQ(check_type({Type::f32, Shape(9, Dim(1))}).error().message,
            "found rank 9, expected at most 8");
  EXPECT_FALSE(check_type({Type::f32, {kMaxDim, kMaxDim}}).has_value());
  EXPECT_FALSE(check_type({Type::f32, {Dim("a b")}}).has_value());
}

TEST(Infer, FollowsTheInputs) {
  Graph graph = sample();
  graph.value(graph.inputs[0]).type.shape[0] = Dim("m");
  ASSERT_TRUE(infer(graph).has_value());
  EXPECT_EQ(to_string(graph.type(graph.outputs[0])), "f32[m, 8]");
  graph.value(graph.inputs[0]).type.shape[1] = Dim(9);
  EXPECT_EQ(infer(graph).error().message,
            "2:8: %h = rms_norm: rms_norm: operand 'weight': found shape [8], expected one that "
            "broadcasts to [m, 9]");
}

TEST(BindDims, ReplacesNamesInTypesAndAttributes) {
  const Graph graph =
      parse_valid("graph g(%x: f32[2*n, m, 4]) -> (%y) { %y = reshape(%x) {shape = [n, 8, m]} }");
  const Graph bound = bind_dims(graph, {{"n", 3}}).value();
  EXPECT_EQ(print(bound),
            "graph g(%x: f32[6, m, 4]) -> (%y) {\n  %y = reshape(%x) {shape = [3, 8, m]}\n}\n");
  EXPECT_TRUE(verify(bound).has_value());
}

TEST(BindDims, ASizeThatDoesNotFitIsLocated) {
  const Graph graph =
      parse_valid("graph g(%x: f32[n]) -> (%y) {\n  %y = slice(%x) {axis = 0, begin = -4}\n}");
  EXPECT_EQ(bind_dims(graph, {{"n", 3}}).error().message,
            "2:8: %y = slice: found f32[3] for these sizes, expected f32[4]");
}

}  // namespace
}  // namespace lathe::ir::graph
