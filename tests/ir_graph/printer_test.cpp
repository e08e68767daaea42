// Text that was printed parses to the same graph and prints the same again.
#include "ir/graph/text.h"
#include "tests/ir_graph/graph_testing.h"
#include "tests/ir_graph/sample_graphs.h"

namespace lathe::ir::graph {
namespace {

TEST(Printer, RoundTripsEverySample) {
  for (const std::string_view text : kSampleGraphs) {
    const Graph graph = parse_valid(text);
    const std::string printed = print(graph);
    EXPECT_EQ(print(parse_valid(printed)), printed);
    const std::string typed = print(graph, PrintTypes::yes);
    EXPECT_EQ(print(parse_valid(typed), PrintTypes::yes), typed);
  }
}

TEST(Printer, LeavesOutDefaultsAndKeepsOmittedOperands) {
  EXPECT_EQ(
      print(parse_valid(
          "graph g(%x : f32 [ n,8 ],%b:f32[8])->(%y){%y=layer_norm(%x,_,%b){axis=-1,eps=0.5}}")),
      "graph g(%x: f32[n, 8], %b: f32[8]) -> (%y) {\n  %y = layer_norm(%x, _, %b) {eps = "
      "0.5}\n}\n");
}

TEST(Printer, StatesTypesWhenAsked) {
  EXPECT_EQ(print(parse_valid("graph g(%x: f16[n]) -> (%y, %m) { %y, %m = layer_norm(%x) }"),
                  PrintTypes::yes),
            "graph g(%x: f16[n]) -> (%y, %m) {\n  %y, %m = layer_norm(%x) : f16[n], f32[1]\n}\n");
}

TEST(Printer, RealsReadBackToTheSameBits) {
  for (const double value : {0.1, 1e-6, 5e6, 1.0 / 3, -0.0, 0.0, 1e300, 5e-324, kInf, -kInf,
                             9007199254740994.0, 123456789012345680.0, 1e15, 1e16, kNan}) {
    const std::string text =
        fmt::format("graph g() -> (%y) {{ %y = constant() {{value = {}}} }}", value);
    const Graph graph = parse_valid(text);
    const double read = graph.nodes.at(0).attributes.real("value");
    EXPECT_TRUE(AttributeValue(read) == AttributeValue(value)) << value << " became " << read;
    EXPECT_EQ(print(parse_valid(print(graph))), print(graph));
  }
}

}  // namespace
}  // namespace lathe::ir::graph
