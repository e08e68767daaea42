// Which outputs of a graph are inputs with some of their elements replaced.
#include "ir/graph/updates.h"

#include <gtest/gtest.h>

#include "ir/graph/text.h"

namespace lathe::ir::graph {
namespace {

std::vector<int> updated(std::string_view body, std::string_view outputs) {
  const auto graph =
      parse("graph g(%r: f32[2, 1, 4], %c: f32[8, 1, 4], %p: i32[2], %d: f32[4, 2, 1, 4]) -> (" +
            std::string(outputs) + ") {\n" + std::string(body) + "\n}\n");
  EXPECT_TRUE(graph.has_value()) << graph.error().message;
  return graph ? updated_inputs(*graph) : std::vector<int>{};
}

TEST(UpdatedInputs, ThroughWritesAndShapes) {
  EXPECT_EQ(updated("  %y = write_cache(%c, %r, %p)", "%y"), std::vector<int>{1});
  EXPECT_EQ(updated("  %a = write_cache(%c, %r, %p)\n  %y = write_cache(%a, %r, %p)", "%y"),
            std::vector<int>{1});
  EXPECT_EQ(updated("  %f = reshape(%d) {shape = [8, 1, 4]}\n  %w = write_cache(%f, %r, %p)\n"
                    "  %y = reshape(%w) {shape = [4, 2, 1, 4]}",
                    "%y"),
            std::vector<int>{3});
}

TEST(UpdatedInputs, OtherOutputsAreNone) {
  EXPECT_EQ(updated("  %y = exp(%c)\n  %z = reshape(%c) {shape = [8, 4]}", "%y, %z, %c"),
            (std::vector<int>{-1, -1, -1}));
  // What is computed before it is written into is no input.
  EXPECT_EQ(updated("  %e = exp(%c)\n  %y = write_cache(%e, %r, %p)", "%y"), std::vector<int>{-1});
  // The rows are an input that nothing updates.
  EXPECT_EQ(updated("  %a = write_cache(%c, %r, %p)\n  %y = exp(%a)", "%y"), std::vector<int>{-1});
}

TEST(UpdatedInputs, AnInputIsUpdatedOnce) {
  EXPECT_EQ(updated("  %y = write_cache(%c, %r, %p)\n  %z = write_cache(%c, %r, %p)", "%y, %z"),
            (std::vector<int>{1, -1}));
}

TEST(CallOperands, AnUpdatedOneStandsAmongTheOutputs) {
  const auto graph = parse(
      "graph g(%c: f32[8, 1, 4], %r: f32[2, 1, 4], %p: i32[2]) -> (%e, %y) {\n"
      "  %e = exp(%r)\n  %y = write_cache(%c, %r, %p)\n}\n");
  ASSERT_TRUE(graph.has_value()) << graph.error().message;
  const auto operands = call_operands(*graph);
  ASSERT_EQ(operands.size(), 4U);
  std::string text;
  for (const CallOperand& operand : operands)
    text += graph->value(operand.value).name + (operand.output ? " out" : " in") +
            (operand.updated ? " updated; " : "; ");
  EXPECT_EQ(text, "r in; p in; e out; y out updated; ");
}

}  // namespace
}  // namespace lathe::ir::graph
