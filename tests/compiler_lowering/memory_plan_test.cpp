// The arena: values that live together do not overlap, dead ones are reused.
#include "compiler/lowering/memory_plan.h"

#include <gtest/gtest.h>

#include "compiler/lowering/passes.h"
#include "ir/graph/text.h"

namespace lathe::compiler::lowering {
namespace {

// A chain of softmaxes: nothing fuses, and at any time two values live.
LoweredGraph chain(int length) {
  std::string text = "graph chain(%v0: f32[8, 64]) -> (%v" + std::to_string(length) + ") {\n";
  for (int i = 1; i <= length; ++i)
    text += "  %v" + std::to_string(i) + " = softmax(%v" + std::to_string(i - 1) + ")\n";
  const auto graph = ir::graph::parse(text + "}\n");
  EXPECT_TRUE(graph.has_value()) << graph.error().message;
  return *lower(*graph);
}

TEST(MemoryPlan, ReusesTheMemoryOfDeadValues) {
  const LoweredGraph lowered = chain(7);
  const MemoryPlan plan = plan_memory(lowered);
  EXPECT_EQ(plan.unshared_bytes, 6 * 8 * 64 * 4);
  EXPECT_EQ(plan.arena_bytes, 2 * 8 * 64 * 4);
}

TEST(MemoryPlan, ValuesThatLiveTogetherDoNotOverlap) {
  const auto graph = ir::graph::parse(
      "graph g(%x: f32[8, 64]) -> (%y) {\n  %a = softmax(%x)\n  %b = normalize(%x)\n"
      "  %c = softmax(%b)\n  %d = normalize(%a)\n  %e = mul(%c, %d)\n  %y = softmax(%e)\n}\n");
  ASSERT_TRUE(graph.has_value()) << graph.error().message;
  const LoweredGraph lowered = *lower(*graph);
  const MemoryPlan plan = plan_memory(lowered);
  // Written at call w, last read at call r: overlapping lives must have disjoint bytes.
  for (size_t a = 0; a < plan.placements.size(); ++a) {
    for (size_t b = 0; b < a; ++b) {
      const Placement &pa = plan.placements[a], &pb = plan.placements[b];
      if (pa.kind != Placement::Kind::arena || pb.kind != Placement::Kind::arena) continue;
      const auto life = [&](size_t value) {
        const int first = lowered.producer(static_cast<ValueId>(value));
        int last = first;
        for (size_t c = 0; c < lowered.calls.size(); ++c) {
          for (ValueId read : lowered.calls[c].reads())
            if (read == static_cast<ValueId>(value)) last = static_cast<int>(c);
        }
        return std::pair{first, last};
      };
      const auto [fa, la] = life(a);
      const auto [fb, lb] = life(b);
      if (fa > lb || fb > la) continue;
      EXPECT_TRUE(pa.offset + pa.bytes <= pb.offset || pb.offset + pb.bytes <= pa.offset);
    }
  }
}

TEST(MemoryPlan, AViewIsItsSourcesMemory) {
  const auto graph = ir::graph::parse(
      "graph g(%x: f32[8, 64]) -> (%y) {\n  %a = softmax(%x)\n"
      "  %b = reshape(%a) {shape = [16, 32]}\n  %y = softmax(%b)\n}\n");
  ASSERT_TRUE(graph.has_value()) << graph.error().message;
  const LoweredGraph lowered = *lower(*graph);
  const MemoryPlan plan = plan_memory(lowered);
  const auto at = [&](const char* name) {
    return plan.placements[static_cast<size_t>(lowered.graph.find(name))];
  };
  EXPECT_EQ(at("b").kind, Placement::Kind::alias);
  EXPECT_EQ(at("b").alias, lowered.graph.find("a"));
  EXPECT_EQ(plan.arena_bytes, 8 * 64 * 4);
}

// What reads a view reads its source.
TEST(MemoryPlan, ASourceLivesAsLongAsItsView) {
  const auto graph = ir::graph::parse(
      "graph g(%x: f32[8, 64]) -> (%d, %z) {\n  %a = softmax(%x)\n"
      "  %b = reshape(%a) {shape = [16, 32]}\n  %c = normalize(%x)\n  %d = softmax(%b)\n"
      "  %z = softmax(%c)\n}\n");
  ASSERT_TRUE(graph.has_value()) << graph.error().message;
  const LoweredGraph lowered = *lower(*graph);
  const MemoryPlan plan = plan_memory(lowered);
  const auto at = [&](const char* name) {
    return plan.placements[static_cast<size_t>(lowered.graph.find(name))];
  };
  ASSERT_EQ(at("a").kind, Placement::Kind::arena);
  ASSERT_EQ(at("c").kind, Placement::Kind::arena);
  EXPECT_NE(at("a").offset, at("c").offset);
}

}  // namespace
}  // namespace lathe::compiler::lowering
