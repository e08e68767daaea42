// Calls as canonical problems: equal chains of different graphs are one problem.
#include <gtest/gtest.h>

#include "compiler/lowering/passes.h"
#include "ir/graph/text.h"
#include "ir/graph/verify.h"

namespace lathe::compiler::lowering {
namespace {

std::vector<std::string> problems(std::string_view text) {
  const auto graph = ir::graph::parse(text);
  EXPECT_TRUE(graph.has_value()) << graph.error().message;
  std::vector<std::string> lines;
  if (!graph) return lines;
  const auto lowered = lower(*graph);
  EXPECT_TRUE(lowered.has_value()) << lowered.error().message;
  if (!lowered) return lines;
  for (const Call& call : lowered->calls) {
    if (call.kind != CallKind::kernel) continue;
    const auto bound = problem_of(call, *lowered);
    EXPECT_TRUE(bound.has_value()) << bound.error().message;
    if (bound) lines.push_back(bound->problem.line());
  }
  return lines;
}

TEST(ProblemOf, ChainsWithAFamilyOfTheirOwn) {
  EXPECT_EQ(problems("graph a(%foo: f32[8, 64]) -> (%y) {\n  %y = silu(%foo)\n}\n"),
            std::vector<std::string>{"silu rows=8..31 width=64"});
  EXPECT_EQ(
      problems("graph a(%p: f32[8, 64], %q: f32[8, 64]) -> (%y) {\n  %y = swiglu(%p, %q)\n}\n"),
      std::vector<std::string>{"swiglu rows=8..31 width=64"});
  EXPECT_EQ(problems("graph a(%p: f32[8, 64], %q: f32[8, 64]) -> (%y) {\n"
                     "  %s = silu(%p)\n  %y = mul(%s, %q)\n}\n"),
            std::vector<std::string>{"swiglu rows=8..31 width=64"});
}

// What a family says that it computes is what lowering takes it for.
TEST(ProblemOf, AFamilysOwnGraphIsACallOfIt) {
  for (const Family* family : catalogue()) {
    // Of some families lowering makes no calls.
    if (family->form == CallForm::none && family->fragments.empty()) continue;
    SCOPED_TRACE(family->smallest);
    const auto problem = parse_problem(family->smallest);
    ASSERT_TRUE(problem) << problem.error().message;
    const auto graph = family->reference(*problem);
    ASSERT_TRUE(graph) << graph.error().message;
    ir::graph::DimBindings sizes;
    for (const std::string& name : graph->dim_names()) sizes[name] = 3;
    const auto bound = ir::graph::bind_dims(*graph, sizes);
    ASSERT_TRUE(bound) << bound.error().message;
    const auto lowered = lower(*bound);
    ASSERT_TRUE(lowered) << lowered.error().message;
    std::vector<std::string> families;
    for (const Call& call : lowered->calls) {
      if (call.kind != CallKind::kernel) continue;
      const auto of_call = problem_of(call, *lowered);
      ASSERT_TRUE(of_call) << of_call.error().message;
      families.push_back(of_call->problem.family().name);
    }
    // linear's has its weight in panels, of which the graph first makes a matrix.
    if (family->form == CallForm::linear) families.erase(families.begin(), families.end() - 1);
    // Of the attention families the number of tokens chooses, and few are few to both.
    if (family->form == CallForm::attention) {
      ASSERT_EQ(families.size(), 1U) << print(*lowered);
      EXPECT_EQ((*find_family(families.front()))->form, CallForm::attention);
      continue;
    }
    EXPECT_EQ(families, std::vector<std::string>{family->name}) << print(*lowered);
  }
}

TEST(ProblemOf, NamesDoNotMatter) {
  const std::vector<std::string> expected = {
      "rms_norm rows=8..31 width=64 prologue=add(x,r) keep=true"};
  for (const std::string name : {"hidden", "x", "zz"}) {
    EXPECT_EQ(problems("graph g(%" + name +
                       ": f32[8, 64], %r9: f32[8, 64], %w: f32[64]) -> (%h, %y) {\n" +
                       "  %h = add(%" + name + ", %r9)\n  %y = rms_norm(%h, %w)\n}\n"),
              expected);
  }
}

TEST(ProblemOf, ProductsNameBiasesAndResidualsAlike) {
  const std::string shapes = "(%p: f32[8, 64], %v: f32[96, 64], %c: f32[96], %q: f32[8, 96])";
  EXPECT_EQ(problems("graph a" + shapes +
                     " -> (%y) {\n  %l = linear(%p, %v, %c)\n"
                     "  %y = add(%q, %l)\n}\n"),
            std::vector<std::string>{"linear rows=8..31 n=96 k=64 epilogue=add(add(y,vec(b)),r)"});
  EXPECT_EQ(problems("graph a" + shapes +
                     " -> (%y) {\n  %l = linear(%p, %v)\n"
                     "  %g = mul(%l, %q)\n  %y = gelu(%g) {approximate = tanh}\n}\n"),
            std::vector<std::string>{"linear rows=8..31 n=96 k=64 epilogue=gelu_tanh(mul(y,r))"});
  EXPECT_EQ(
      problems("graph a(%p: f32[8, 64], %v: f32[96, 64], %w: f32[96, 64]) -> (%y) {\n"
               "  %u = linear(%p, %v)\n  %g = linear(%p, %w)\n  %y = swiglu(%g, %u)\n}\n"),
      std::vector<std::string>{"linear rows=8..31 n=96 k=64 pair=true epilogue=mul(silu(y),z)"});
}

// Pages and blocks are the kernel's own; where the rows are read elsewhere, too, or attention is
// not one for few tokens, it reads what others make of them.
TEST(ProblemOf, AttentionReadsCaches) {
  const auto decode = [](const std::string& tokens, const std::string& pool,
                         const std::string& outputs, const std::string& type = "f32") {
    return problems("graph g(%q: " + type + "[2, " + tokens + ", 8, 64], %k: " + pool +
                    "[9, 16, 4, 64], %v: " + pool +
                    "[9, 16, 4, 64], %t: i32[2, 5], %l: i32[2]) -> (" + outputs +
                    ") {\n  %ks = gather_pages(%k, %t, %l)\n  %vs = gather_pages(%v, %t, %l)\n"
                    "  %y = attention(%q, %ks, %vs, _, _, _, %l) {causal = end}\n}\n");
  };
  const std::string of_64 = "heads=8 kv_heads=4 dim=64 causal=end";
  EXPECT_EQ(decode("1", "f32", "%y"),
            std::vector<std::string>{"attention_decode context=32..127 " + of_64 +
                                     " lengths=true cache=paged page=16"});
  EXPECT_EQ(decode("1", "q8_0", "%y"),
            std::vector<std::string>{"attention_decode context=32..127 " + of_64 +
                                     " kv_type=q8_0 lengths=true cache=paged page=16"});
  EXPECT_EQ(decode("1", "f16", "%y", "f16"),
            std::vector<std::string>{"attention_decode context=32..127 " + of_64 +
                                     " type=f16 lengths=true cache=paged page=16"});
  EXPECT_EQ(
      decode("1", "q8_0", "%y, %vs"),
      std::vector<std::string>{"attention_decode context=32..127 " + of_64 + " lengths=true"});
  EXPECT_EQ(
      decode("40", "f32", "%y"),
      std::vector<std::string>{"attention_prefill tokens=32..127 " + of_64 + " lengths=true"});
  EXPECT_EQ(problems("graph g(%q: f32[2, 1, 8, 64], %k: q8_0[2, 70, 4, 64]) -> (%y) {\n"
                     "  %d = dequantize(%k)\n  %y = attention(%q, %d, %d)\n}\n"),
            std::vector<std::string>{
                "attention_decode context=32..127 heads=8 kv_heads=4 dim=64 kv_type=q8_0"});
  EXPECT_EQ(problems("graph g(%q: f32[2, 40, 8, 64], %k: q8_0[2, 70, 4, 64]) -> (%y) {\n"
                     "  %d = dequantize(%k)\n  %y = attention(%q, %d, %d)\n}\n"),
            std::vector<std::string>{"attention_prefill tokens=32..127 heads=8 kv_heads=4 dim=64"});
}

// The layout of a graph's keys is that of the problem; of one head both are the same.
TEST(ProblemOf, AttentionKnowsHowItsCacheLies) {
  const auto decode = [](const std::string& cache, const std::string& layout) {
    return problems("graph g(%q: f32[2, 4, 1, 64], %k: f32[2, " + cache +
                    ", 64]) -> (%y) {\n  %y = attention(%q, %k, %k) {layout = " + layout +
                    "}\n}\n");
  };
  EXPECT_EQ(decode("2, 70", "heads_tokens"),
            std::vector<std::string>{
                "attention_decode context=32..127 heads=4 kv_heads=2 dim=64 kv_layout=hnd"});
  EXPECT_EQ(decode("1, 70", "heads_tokens"),
            std::vector<std::string>{"attention_decode context=32..127 heads=4 kv_heads=1 dim=64"});
  EXPECT_EQ(problems("graph g(%q: f32[2, 1, 4, 64], %k: f32[2, 70, 2, 64]) -> (%y) {\n"
                     "  %y = attention(%q, %k, %k) {layout = tokens_heads}\n}\n"),
            std::vector<std::string>{"attention_decode context=32..127 heads=4 kv_heads=2 dim=64"});
  EXPECT_EQ(problems("graph g(%q: f32[2, 4, 1, 64], %k: f32[9, 2, 16, 64], %t: i32[2, 5], %l: "
                     "i32[2]) -> (%y) {\n"
                     "  %ks = gather_pages(%k, %t, %l) {layout = heads_tokens}\n"
                     "  %vs = gather_pages(%k, %t, %l) {layout = heads_tokens}\n"
                     "  %y = attention(%q, %ks, %vs, _, _, _, %l) {layout = heads_tokens}\n}\n"),
            std::vector<std::string>{
                "attention_decode context=32..127 heads=4 kv_heads=2 dim=64 kv_layout=hnd "
                "lengths=true cache=paged page=16"});
}

TEST(ProblemOf, AttentionOfAnyFormIsACall) {
  const auto packed = [](std::string_view keys, std::string_view operands, std::string_view rest) {
    return problems(
        fmt::format("graph a(%q: f32[40, 4, 16], %k: f32[{}, 2, 16], %b: i32[4]{}) -> "
                    "(%y) {{\n  %y = attention(%q, %k, %k, _, %b{}) {{causal = end}}\n}}\n",
                    keys, operands, rest));
  };
  const auto one = [](const std::string& line) { return std::vector<std::string>{line}; };
  EXPECT_EQ(packed("40", "", ""), one("attention_prefill tokens=32..127 heads=4 kv_heads=2 dim=16 "
                                      "causal=end packed=shared"));
  EXPECT_EQ(packed("90", ", %c: i32[4]", ", %c"),
            one("attention_prefill tokens=32..127 heads=4 kv_heads=2 dim=16 causal=end "
                "packed=separate"));
  EXPECT_EQ(packed("3, 150", ", %n: i32[3]", ", _, %n"),
            one("attention_prefill tokens=32..127 context=128..511 heads=4 kv_heads=2 dim=16 "
                "causal=end packed=queries lengths=true"));
  const auto masked = [](std::string_view mask, std::string_view attributes) {
    return problems(
        fmt::format("graph a(%x: f32[2, 40, 4, 16], %m: {}) -> (%y) {{\n"
                    "  %y = attention(%x, %x, %x, %m) {{{}}}\n}}\n",
                    mask, attributes));
  };
  const std::string heads = "attention_prefill tokens=32..127 heads=4 dim=16 ";
  EXPECT_EQ(masked("bool[40, 1]", "window = 3"),
            one(heads + "window=3 mask=bool mask_of_rows=true"));
  EXPECT_EQ(masked("f16[1, 1, 1, 40]", "lookahead = 1, window = 3, kept_keys = 2"),
            one(heads + "window=3 mask=add mask_type=f16 lookahead=1 kept_keys=2"));
  EXPECT_EQ(masked("bf16[]", "causal = start, lookahead = 1"),
            one(heads + "causal=start mask=add mask_of_rows=true mask_type=bf16"));
  EXPECT_EQ(masked("f32[40]", "causal = start"), one(heads + "causal=start mask=add"));
  // An offset that puts the last token at the last key; results that nobody reads.
  EXPECT_EQ(problems("graph a(%q: f32[1, 40, 4, 16], %k: f32[1, 50, 4, 16]) -> (%y) {\n"
                     "  %o = constant() {value = 10, type = i64, shape = []}\n"
                     "  %y, %l, %s = attention(%q, %k, %k, _, _, _, _, %o) {causal = start}\n}\n"),
            one("attention_prefill tokens=32..127 heads=4 dim=16 causal=end"));
  // Few tokens, too, where attention_decode has not what is asked for.
  EXPECT_EQ(problems("graph a(%q: f32[1, 3, 4, 16], %k: f32[1, 40, 4, 16]) -> (%y) {\n"
                     "  %y = attention(%q, %k, %k) {causal = end, window = 8, kept_keys = 2}\n}\n"),
            one("attention_prefill tokens=2..7 context=32..127 heads=4 dim=16 causal=end window=8 "
                "kept_keys=2"));
}

TEST(ProblemOf, LeadingDimensionsAreRows) {
  EXPECT_EQ(problems("graph a(%x: f32[4, 5, 6, 64]) -> (%y) {\n  %y = softmax(%x)\n}\n"),
            std::vector<std::string>{"softmax rows=32..127 width=64"});
}

TEST(ProblemOf, TheTokensOfAllSequencesOfABatchAreRows) {
  const auto rope = [](std::string_view positions) {
    return problems("graph a(%x: f32[2, 5, 4, 32], %c: f32[64, 16], %s: f32[64, 16], %p: " +
                    std::string(positions) +
                    ") -> (%y) {\n  %y = mrope(%x, %c, %s, %p) {section = [6, 5, 5]}\n}\n");
  };
  EXPECT_EQ(rope("i32[3, 2, 5]"),
            std::vector<std::string>{"rope rows=8..31 kind=mrope heads=4 dim=32 section=6:5:5"});
  EXPECT_EQ(rope("i32[3, 5]"), std::vector<std::string>{}) << "shared positions would need copies";
}

}  // namespace
}  // namespace lathe::compiler::lowering
