// Questions a pass asks of a graph.
#include "ir/graph/graph.h"

#include "tests/ir_graph/graph_testing.h"

namespace lathe::ir::graph {
namespace {

const char* const kText =
    "graph g(%x: f32[batch, 4*tokens, 8], %w: f32[tokens]) -> (%c) {\n"
    "  %a = silu(%x)\n  %b = add(%a, %a)\n  %c, %m = layer_norm(%b, _, %a)\n}\n";

TEST(Graph, FindsValuesAndTheirUsers) {
  const Graph graph = parse_valid(kText);
  EXPECT_EQ(graph.find("none"), kNoValue);
  EXPECT_EQ(graph.users(graph.find("a")), (std::vector<int32_t>{1, 2}));
  EXPECT_TRUE(graph.users(graph.find("c")).empty());
  EXPECT_EQ(graph.value(graph.find("m")).producer, 2);
  EXPECT_EQ(graph.value(graph.find("m")).result, 1);
}

TEST(Graph, OperandTypesAreNullWhereOmitted) {
  const Graph graph = parse_valid(kText);
  const Node& norm = graph.nodes[2];
  EXPECT_EQ(graph.operand_type(norm, 1), nullptr);
  EXPECT_EQ(graph.operand_type(norm, 3), nullptr);
  EXPECT_EQ(*graph.operand_type(norm, 2), graph.type(graph.find("x")));
}

TEST(Graph, DimNamesInOrderOfAppearance) {
  EXPECT_EQ(parse_valid(kText).dim_names(), (std::vector<std::string>{"batch", "tokens"}));
}

TEST(Graph, DescribesNodesWithTheirPlace) {
  const Graph graph = parse_valid(kText);
  EXPECT_EQ(describe(graph, graph.nodes[1]), "3:8: %b = add");
  EXPECT_EQ(describe(graph, Node{}), "%? = ?");
  EXPECT_TRUE(is_op(graph.nodes[1], "add"));
  EXPECT_FALSE(is_op(Node{}, "add"));
}

TEST(Graph, SpellingOfNames) {
  EXPECT_TRUE(is_value_name("0") && is_value_name("layers.0.q_norm"));
  EXPECT_FALSE(is_value_name("") || is_value_name("a-b"));
  EXPECT_TRUE(is_word("_x") && is_word("kv_len"));
  EXPECT_FALSE(is_word("_") || is_word("2b") || is_word(".a"));
}

}  // namespace
}  // namespace lathe::ir::graph
