// Writes into caches: what they are fused with, and in whose memory they happen.
#include <gtest/gtest.h>

#include "compiler/lowering/memory_plan.h"
#include "compiler/lowering/passes.h"
#include "ir/graph/text.h"

namespace lathe::compiler::lowering {
namespace {

LoweredGraph lowered_of(std::string_view text) {
  const auto graph = ir::graph::parse(text);
  EXPECT_TRUE(graph.has_value()) << graph.error().message;
  if (!graph) return {};
  const auto lowered = lower(*graph);
  EXPECT_TRUE(lowered.has_value()) << lowered.error().message;
  return lowered ? *lowered : LoweredGraph{};
}

// A line for each call; "host …" for what no kernel computes.
std::vector<std::string> calls(std::string_view text) {
  const LoweredGraph lowered = lowered_of(text);
  std::vector<std::string> lines;
  for (const Call& call : lowered.calls) {
    if (call.kind == CallKind::view) continue;
    if (call.kind != CallKind::kernel) {
      lines.push_back("host: " + call.reason);
      continue;
    }
    const auto bound = problem_of(call, lowered);
    EXPECT_TRUE(bound.has_value()) << bound.error().message;
    if (bound) lines.push_back(bound->problem.line());
  }
  return lines;
}
std::vector<std::string> one(const std::string& line) { return {line}; }

// x, its tables and positions, the weight of its norm, a cache and positions in it.
std::string graph(std::string_view cache, std::string_view slots, std::string_view body,
                  std::string_view outputs = "%y") {
  return fmt::format(
      "graph g(%x: f32[5, 4, 32], %t: f32[64, 16], %s: f32[64, 16], %p: i32[5], %w: f32[32], %c: "
      "{}, %i: {}) -> ({}) {{\n{}}}\n",
      cache, slots, outputs, body);
}

constexpr std::string_view kTurned = "  %n = rms_norm(%x, %w)\n  %r = rope(%n, %t, %s, %p)\n";

std::string turned(std::string_view rest) { return std::string(kTurned) + std::string(rest); }

TEST(WriteCacheCalls, NormRotationAndWriteAreOne) {
  const std::string line = "rope rows=2..7 heads=4 dim=32 norm=true ";
  EXPECT_EQ(calls(graph("f32[16, 4, 32]", "i32[5]", turned("  %y = write_cache(%c, %r, %i)\n"))),
            one(line + "slots=flat"));
  EXPECT_EQ(calls(graph("bf16[16, 4, 32]", "i64[5]",
                        turned("  %b = cast(%r) {type = bf16}\n  %y = write_cache(%c, %b, %i)\n"))),
            one(line + "out=bf16 slots=flat slots_type=i64"));
  EXPECT_EQ(
      calls(graph("q8_0[16, 4, 32]", "i32[5]",
                  turned("  %b = quantize(%r) {type = q8_0}\n  %y = write_cache(%c, %b, %i)\n"))),
      one(line + "out=q8_0 slots=flat"));
  // Heads before tokens: the rows are read as they lie before they are transposed.
  EXPECT_EQ(calls(graph("f32[4, 16, 32]", "i32[5]",
                        turned("  %h = transpose(%r) {perm = [1, 0, 2]}\n"
                               "  %y = write_cache(%c, %h, %i) {layout = heads_tokens}\n"))),
            one(line + "slots=flat"));
  // A pool of pages, as its rows.
  EXPECT_EQ(calls(graph("f32[4, 4, 4, 32]", "i32[5]",
                        turned("  %f = reshape(%c) {shape = [16, 4, 32]}\n"
                               "  %z = write_cache(%f, %r, %i)\n"
                               "  %y = reshape(%z) {shape = [4, 4, 4, 32]}\n"))),
            one(line + "slots=flat"));
}

TEST(WriteCacheCalls, ABatchHasCachesOfItsOwn) {
  EXPECT_EQ(calls("graph g(%x: f32[2, 5, 4, 32], %t: f32[64, 16], %s: f32[64, 16], %p: i32[2, 5], "
                  "%c: f16[2, 4, 16, 32], %i: i32[5]) -> (%y) {\n"
                  "  %r = rope(%x, %t, %s, %p)\n  %b = cast(%r) {type = f16}\n"
                  "  %h = transpose(%b) {perm = [0, 2, 1, 3]}\n"
                  "  %y = write_cache(%c, %h, %i) {layout = heads_tokens}\n}\n"),
            one("rope rows=2..7 heads=4 dim=32 out=f16 slots=batched"));
  // One item is none.
  EXPECT_EQ(calls("graph g(%c: f16[1, 16, 4, 32], %r: f16[1, 5, 4, 32], %i: i32[1, 5]) -> (%y) {\n"
                  "  %y = write_cache(%c, %r, %i)\n}\n"),
            one("write_cache rows=2..7 heads=4 dim=32 type=f16"));
}

TEST(WriteCacheCalls, WhatOthersReadIsMade) {
  EXPECT_EQ(calls(graph("f32[16, 4, 32]", "i32[5]", turned("  %y = write_cache(%c, %r, %i)\n"),
                        "%y, %r")),
            (std::vector<std::string>{"rope rows=2..7 heads=4 dim=32 norm=true",
                                      "write_cache rows=2..7 heads=4 dim=32"}));
  // Of two casts to 16 bits the last alone would not do.
  const auto twice = calls(graph("bf16[16, 4, 32]", "i32[5]",
                                 "  %h = cast(%x) {type = f16}\n  %b = cast(%h) {type = bf16}\n"
                                 "  %y = write_cache(%c, %b, %i)\n"));
  ASSERT_EQ(twice.size(), 2U);
  EXPECT_EQ(twice.back(), "write_cache rows=2..7 heads=4 dim=32 type=f16 out=bf16");
}

TEST(WriteCacheCalls, AValueIsCastOrQuantisedWhereItIsWritten) {
  EXPECT_EQ(calls(graph("bf16[16, 4, 32]", "i32[5]",
                        "  %b = cast(%x) {type = bf16}\n  %y = write_cache(%c, %b, %i)\n")),
            one("write_cache rows=2..7 heads=4 dim=32 out=bf16"));
  EXPECT_EQ(calls(graph("q8_0[16, 4, 32]", "i32[5]",
                        "  %b = quantize(%x) {type = q8_0}\n  %y = write_cache(%c, %b, %i)\n")),
            one("write_cache rows=2..7 heads=4 dim=32 out=q8_0"));
}

const Placement& at(const MemoryPlan& plan, const LoweredGraph& lowered, const char* name) {
  return plan.placements[static_cast<size_t>(lowered.graph.find(name))];
}

constexpr std::string_view kRows = "f32[16, 1, 4], %r: f32[2, 1, 4], %i: i32[2]";

std::string writes(std::string_view outputs, std::string_view body) {
  return fmt::format("graph g(%c: {}) -> ({}) {{\n{}}}\n", kRows, outputs, body);
}

// One after the other into one memory: the output's, which the caller gave as the input.
TEST(MemoryOfUpdates, AChainHappensInTheOutput) {
  const LoweredGraph lowered =
      lowered_of(writes("%y",
                        "  %a = write_cache(%c, %r, %i)\n  %b = write_cache(%a, %r, %i)\n"
                        "  %y = write_cache(%b, %r, %i)\n"));
  const MemoryPlan plan = plan_memory(lowered);
  EXPECT_EQ(plan.arena_bytes, 0);
  const ValueId y = lowered.graph.find("y");
  EXPECT_EQ(at(plan, lowered, "a").kind, Placement::Kind::alias);
  EXPECT_EQ(at(plan, lowered, "a").alias, y);
  EXPECT_EQ(at(plan, lowered, "y").kind, Placement::Kind::external);
  EXPECT_EQ(plan.donated, std::vector<ValueId>{lowered.graph.find("c")});
}

TEST(MemoryOfUpdates, ThroughShapes) {
  const LoweredGraph lowered = lowered_of(
      writes("%y",
             "  %f = reshape(%c) {shape = [4, 4, 4]}\n"
             "  %g = reshape(%f) {shape = [16, 1, 4]}\n"
             "  %a = write_cache(%g, %r, %i)\n  %y = reshape(%a) {shape = [2, 8, 1, 4]}\n"));
  const MemoryPlan plan = plan_memory(lowered);
  EXPECT_EQ(plan.arena_bytes, 0);
  EXPECT_EQ(at(plan, lowered, "a").alias, lowered.graph.find("y"));
  EXPECT_EQ(plan.donated, std::vector<ValueId>{lowered.graph.find("c")});
}

// Between the writes: one value, updated in its place.
TEST(MemoryOfUpdates, InTheArenaWhereNobodyHoldsIt) {
  const LoweredGraph lowered = lowered_of(
      writes("%y", "  %e = softmax(%c)\n  %a = write_cache(%e, %r, %i)\n  %y = softmax(%a)\n"));
  const MemoryPlan plan = plan_memory(lowered);
  EXPECT_EQ(at(plan, lowered, "a").alias, lowered.graph.find("e"));
  EXPECT_EQ(plan.arena_bytes, 16 * 4 * 4);
  EXPECT_TRUE(plan.donated.empty());
}

// What is needed as it was keeps its memory.
TEST(MemoryOfUpdates, CopiesWhatIsStillRead) {
  for (const char* body :
       {"  %e = softmax(%c)\n  %a = write_cache(%e, %r, %i)\n  %y = softmax(%a)\n"
        "  %z = softmax(%e)\n",
        "  %e = softmax(%c)\n  %f = reshape(%e) {shape = [16, 4]}\n"
        "  %a = write_cache(%e, %r, %i)\n  %y = softmax(%a)\n  %z = softmax(%f)\n"}) {
    const LoweredGraph lowered = lowered_of(writes("%y, %z", body));
    const MemoryPlan plan = plan_memory(lowered);
    EXPECT_EQ(at(plan, lowered, "a").kind, Placement::Kind::arena) << body;
    EXPECT_EQ(plan.arena_bytes, 2 * 16 * 4 * 4) << body;
  }
  // An input that is an output as well, or is read after it was written into.
  for (const char* text : {"  %y = write_cache(%c, %r, %i)\n  %z = reshape(%c) {shape = [64]}\n",
                           "  %y = write_cache(%c, %r, %i)\n  %z = softmax(%c)\n"})
    EXPECT_TRUE(plan_memory(lowered_of(writes("%y, %z", text))).donated.empty()) << text;
  EXPECT_EQ(plan_memory(lowered_of(writes("%y, %z",
                                          "  %z = softmax(%c)\n  %y = write_cache(%c, %r, %i)\n")))
                .donated.size(),
            1U)
      << "read before it is written into";
}

}  // namespace
}  // namespace lathe::compiler::lowering
