// Attention that reads less: which graphs become calls of its families, and which do not.
#include <gtest/gtest.h>

#include "compiler/lowering/passes.h"
#include "ir/graph/op.h"
#include "ir/graph/text.h"
#include "ir/graph/verify.h"

namespace lathe::compiler::lowering {
namespace {

using Lines = std::vector<std::string>;

// A line for each call: the problem of a kernel, else what computes it.
Lines calls_of(const ir::graph::Graph& graph) {
  const auto lowered = lower(graph);
  EXPECT_TRUE(lowered) << lowered.error().message;
  Lines lines;
  if (!lowered) return lines;
  for (const Call& call : lowered->calls) {
    if (call.kind == CallKind::view) continue;
    if (call.kind == CallKind::kernel) {
      const auto bound = problem_of(call, *lowered);
      EXPECT_TRUE(bound) << bound.error().message;
      lines.push_back(bound ? bound->problem.line() : "");
    } else {
      const auto& node = lowered->graph.nodes[static_cast<size_t>(call.node)];
      lines.push_back(fmt::format("{} {}", call.kind == CallKind::function ? "function" : "host",
                                  node.op->name));
    }
  }
  return lines;
}

Lines lowered_calls(const std::string& text) {
  const auto graph = ir::graph::parse(text);
  EXPECT_TRUE(graph) << graph.error().message;
  return graph ? calls_of(*graph) : Lines{};
}

constexpr auto kPrefill =
    "graph g(%q: f32[2, 100, 4, 16], %k: f32[2, 100, 2, 16], %counts: {0}[2, 2, 4], %blocks: "
    "{0}[2, "
    "2, 4, 3]) -> ({2}) {{\n  %m = block_mask(%q, %k, %counts, %blocks) {{block = {1}}}\n"
    "  %y = attention(%q, %k, %k, %m) {{causal = end}}\n}}\n";

TEST(SparseAttention, ListsOfBlocksTakeTheMasksPlace) {
  EXPECT_EQ(lowered_calls(fmt::format(kPrefill, "i32", 32, "%y")),
            Lines{"attention_block_sparse tokens=32..127 heads=4 kv_heads=2 dim=16 causal=end "
                  "block=32 kept=2..7"});
  // Who asks for the mask gets it beside.
  EXPECT_EQ(lowered_calls(fmt::format(kPrefill, "i32", 32, "%y, %m")),
            (Lines{"host block_mask",
                   "attention_block_sparse tokens=32..127 heads=4 kv_heads=2 dim=16 causal=end "
                   "block=32 kept=2..7"}));
  // Lists of i64, and blocks of which the kernel has none, are a mask.
  const Lines masked = {"host block_mask",
                        "attention_prefill tokens=32..127 heads=4 kv_heads=2 dim=16 causal=end "
                        "mask=bool"};
  EXPECT_EQ(lowered_calls(fmt::format(kPrefill, "i64", 32, "%y")), masked);
  EXPECT_EQ(lowered_calls(fmt::format(kPrefill, "i32", 25, "%y")), masked);
}

TEST(SparseAttention, AMaskOfOtherHeadsIsAMask) {
  EXPECT_EQ(
      lowered_calls(
          "graph g(%q: f32[1, 32, 4, 16], %k: f32[1, 32, 2, 16], %k1: f32[1, 32, 1, 16], %c: "
          "i32[1, 1, 1], %b: i32[1, 1, 1, 2]) -> (%y) {\n"
          "  %m = block_mask(%q, %k1, %c, %b) {block = 32}\n  %y = attention(%q, %k, %k, %m)\n}"),
      (Lines{"host block_mask",
             "attention_prefill tokens=32..127 heads=4 kv_heads=2 dim=16 mask=bool"}));
}

TEST(SparseAttention, RoutedPrefillIsTwoKernelsAndAFunction) {
  EXPECT_EQ(
      lowered_calls(
          "graph g(%q: bf16[1, 200, 4, 16], %k: bf16[1, 200, 2, 16], %wq: f32[4, 16, 8], %wk: "
          "f32[2, 16, 8]) -> (%y, %l) {\n"
          "  %s = block_scores(%q, %k, %wq, %wk) {block = 64}\n"
          "  %c, %b = select_blocks(%s) {block = 64, tokens = [200], keys = [200], kept = 3}\n"
          "  %m = block_mask(%q, %k, %c, %b) {block = 64}\n"
          "  %y, %l = attention(%q, %k, %k, %m) {window = 90}\n}"),
      (Lines{"attention_router tokens=128..511 heads=4 kv_heads=2 dim=16 rank=8 type=bf16",
             "function select_blocks",
             "attention_block_sparse tokens=128..511 heads=4 kv_heads=2 dim=16 window=90 type=bf16 "
             "lse=true kept=2..7"}));
}

constexpr auto kDecode =
    "graph g(%q: f32[2, {0}, 4, 16], %k: f32[2, 80, 2, 16], %l: i32[2]{1}) -> (%y) {{\n"
    "  %p = reshape(%k) {{shape = [2, 10, 8, 2, 16]}}\n"
    "  %b = page_bounds(%p)\n  %s = page_scores(%q, {2})\n"
    "  %list = select_pages(%s, %l) {{page = 8, kept = 5}}\n"
    "  %m = page_mask(%list) {{page = 8, heads = 4, keys = [80]}}\n"
    "  %y = attention(%q, %k, %k, %m, _, _, %l) {{causal = end{3}}}\n}}\n";

TEST(SparseAttention, SparseDecodeIsThreeKernelsAndAFunction) {
  const Lines bounds = {"attention_page_bounds pages=8..31 kv_heads=2 dim=16 page=8",
                        "attention_page_scores pages=8..31 heads=4 kv_heads=2 dim=16",
                        "function select_pages"};
  const auto with = [](Lines lines, const Lines& more) {
    lines.insert(lines.end(), more.begin(), more.end());
    return lines;
  };
  EXPECT_EQ(lowered_calls(fmt::format(kDecode, 1, "", "%b", "")),
            with(bounds, {"attention_token_sparse context=32..127 heads=4 kv_heads=2 dim=16 "
                          "causal=end lengths=true page=8 kept=2..7"}));
  EXPECT_EQ(lowered_calls(fmt::format(kDecode, 1, ", %c: f16[2, 10, 2, 6], %w: bf16[4, 16, 6]",
                                      "%c, %w", ", scale = 2")),
            (Lines{"attention_page_scores pages=8..31 heads=4 kv_heads=2 dim=16 kv_type=f16 "
                   "select=learned rank=6 weight_type=bf16",
                   "function select_pages",
                   "attention_token_sparse context=32..127 heads=4 kv_heads=2 dim=16 causal=end "
                   "scale=2 lengths=true page=8 kept=2..7"}));
  // What the family has not: a mask is made, and read by one that has it.
  EXPECT_EQ(lowered_calls(fmt::format(kDecode, 1, "", "%b", ", softcap = 20")),
            with(bounds, {"host page_mask",
                          "attention_decode context=32..127 heads=4 kv_heads=2 dim=16 causal=end "
                          "softcap=20 mask=bool lengths=true"}));
  const Lines many = lowered_calls(fmt::format(kDecode, 40, "", "%b", ""));
  ASSERT_EQ(many.size(), 5U);
  EXPECT_EQ(many[1], "host page_scores") << "scores are of at most 16 tokens";
  EXPECT_EQ(many[3], "host page_mask");
}

constexpr auto kFactors =
    "graph g(%q: {0}[2, {1}, 3, 16], %c: {0}[2, {2}, 50, 8], %u: {0}[{3}, 8, 16], %w: {0}[{3}, 8, "
    "16]) -> ({4}) {{\n  %k = matmul(%c, %u)\n  %v = matmul(%c, %w)\n"
    "  %y = attention(%q, %k, %v) {{causal = end, layout = heads_tokens}}\n}}\n";

TEST(SparseAttention, ProductsWithFactorsAreNotMade) {
  EXPECT_EQ(lowered_calls(fmt::format(kFactors, "f32", 4, 2, 2, "%y")),
            Lines{"attention_low_rank tokens=2..7 context=32..127 heads=4 kv_heads=2 dim=16 "
                  "causal=end rank=8"});
  // A row of factors for all heads, as of latent attention.
  EXPECT_EQ(lowered_calls(fmt::format(kFactors, "bf16", 4, 1, 4, "%y")),
            Lines{"attention_low_rank tokens=2..7 context=32..127 heads=4 kv_heads=1 dim=16 "
                  "causal=end type=bf16 rank=8 up=heads"});
  // Products that somebody else reads are made; two heads of matrices are neither of q nor of k.
  EXPECT_EQ(lowered_calls(fmt::format(kFactors, "f32", 4, 2, 2, "%y, %k")).size(), 3U);
  EXPECT_EQ(lowered_calls(fmt::format(kFactors, "f32", 4, 1, 2, "%y")).size(), 3U);
}

TEST(SparseAttention, MatricesOfEachItemOfABatchAreNoFactors) {
  const Lines lines = lowered_calls(
      "graph g(%q: f32[2, 4, 1, 16], %c: f32[2, 2, 50, 8], %u: f32[2, 1, 8, 16]) -> (%y) {\n"
      "  %k = matmul(%c, %u)\n"
      "  %y = attention(%q, %k, %k) {layout = heads_tokens}\n}");
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines.back(),
            "attention_decode context=32..127 heads=4 kv_heads=2 dim=16 kv_layout=hnd");
}

TEST(SparseAttention, FactorsOfSixteenBitsAreWidenedByTheKernel) {
  EXPECT_EQ(lowered_calls(
                "graph g(%q: f32[1, 1, 4, 16], %c: f16[1, 50, 2, 8], %d: bf16[1, 50, 2, 8], %u: "
                "f16[2, 8, 16]) -> (%y) {\n"
                "  %f = cast(%c) {type = f32}\n  %uf = cast(%u) {type = f32}\n"
                "  %t = transpose(%f) {perm = [0, 2, 1, 3]}\n  %m = matmul(%t, %uf)\n"
                "  %k = transpose(%m) {perm = [0, 2, 1, 3]}\n"
                "  %s = transpose(%c) {perm = [0, 2, 1, 3]}\n  %g = cast(%s) {type = f32}\n"
                "  %n = matmul(%g, %uf)\n  %v = transpose(%n) {perm = [0, 2, 1, 3]}\n"
                "  %y = attention(%q, %k, %v)\n}"),
            Lines{"attention_low_rank context=32..127 heads=4 kv_heads=2 dim=16 kv_type=f16 rank=8 "
                  "weight_type=f16"});
}

constexpr auto kWindow =
    "graph g(%q: f32[2, 4, 2, 16], %c: f32[2, 2, 50, 8], %u: f32[2, 8, 16], %l: i32[2], %k: f32[2, "
    "2, 9, 16], %r: i32[2], %s: f32[4]) -> (%y) {{\n  %kf = matmul(%c, %u)\n"
    "  %f, %fs = attention(%q, %kf, %kf, _, _, _, %l, _, %s) {{layout = heads_tokens{0}}}\n"
    "  %n, %ns = attention(%q, %k, %k, _, _, _, {1}) {{causal = end, layout = heads_tokens}}\n"
    "  %y = merge_attention({2})\n}}\n";

TEST(SparseAttention, AWindowOfWholeKeysIsMerged) {
  const Lines merged = {
      "attention_low_rank tokens=2..7 context=32..127 heads=4 kv_heads=2 dim=16 "
      "causal=end sinks=true lengths=true rank=8 recent=9"};
  EXPECT_EQ(lowered_calls(fmt::format(kWindow, "", "%r", "%f, %fs, %n, %ns")), merged);
  EXPECT_EQ(lowered_calls(fmt::format(kWindow, "", "%r", "%n, %ns, %f, %fs")), merged);
  // Other scales, or whole keys without lengths, are two results that the host merges.
  const auto last = [](const Lines& lines) { return lines.empty() ? "" : lines.back(); };
  EXPECT_EQ(last(lowered_calls(fmt::format(kWindow, ", scale = 2", "%r", "%f, %fs, %n, %ns"))),
            "host merge_attention");
  EXPECT_EQ(last(lowered_calls(fmt::format(kWindow, "", "_", "%f, %fs, %n, %ns"))),
            "host merge_attention");
  EXPECT_EQ(last(lowered_calls(fmt::format(kWindow, "", "%r", "%f, %ns, %n, %fs"))),
            "host merge_attention");
}

// What a family says that it computes is what lowering takes it for, whatever the parameters.
TEST(SparseAttention, AFamilysOwnGraphIsACallOfIt) {
  const std::vector<std::pair<std::string, ir::graph::DimBindings>> problems = {
      {"attention_block_sparse tokens=70 heads=4 kv_heads=2 dim=8 block=32 kept=2 lse=true",
       {{"batch", 2}, {"tokens", 70}, {"context", 70}, {"query_blocks", 3}, {"kept", 2}}},
      {"attention_token_sparse tokens=3 context=70 heads=4 kv_heads=2 dim=8 page=5 kept=4 "
       "lengths=true sinks=true lse=true",
       {{"batch", 2}, {"tokens", 3}, {"context", 70}, {"kept", 4}}},
      {"attention_low_rank tokens=3 context=70 heads=4 kv_heads=2 dim=8 rank=4 value_rank=3 "
       "lse=true sinks=true causal=end",
       {{"batch", 2}, {"tokens", 3}, {"context", 70}}},
      {"attention_low_rank context=70 heads=4 kv_heads=2 dim=8 rank=4 up=heads recent=7 "
       "lengths=true",
       {{"batch", 2}, {"tokens", 1}, {"context", 70}}},
      {"attention_low_rank context=70 heads=4 kv_heads=1 dim=8 rank=4 up=heads type=f16 out=f32 "
       "recent=7",
       {{"batch", 2}, {"tokens", 1}, {"context", 70}}},
      {"attention_router tokens=70 context=90 heads=4 kv_heads=2 dim=8 block=32 rank=3 type=f16",
       {{"batch", 2}, {"tokens", 70}, {"context", 90}}},
      {"attention_page_scores pages=9 tokens=2 heads=4 kv_heads=2 dim=8 select=learned rank=5",
       {{"batch", 2}, {"tokens", 2}, {"pages", 9}}},
  };
  for (const auto& [line, sizes] : problems) {
    SCOPED_TRACE(line);
    const auto problem = parse_problem(line);
    ASSERT_TRUE(problem) << problem.error().message;
    const auto graph = problem->family().reference(*problem);
    ASSERT_TRUE(graph) << graph.error().message;
    const auto bound = ir::graph::bind_dims(*graph, sizes);
    ASSERT_TRUE(bound) << bound.error().message;
    size_t found = 0;
    for (const std::string& call : calls_of(*bound)) {
      EXPECT_NE(call.substr(0, 4), "host") << call;
      found += call.starts_with(problem->family().name) ? 1U : 0U;
    }
    EXPECT_EQ(found, 1U);
  }
}

}  // namespace
}  // namespace lathe::compiler::lowering
