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
    SCOPED_TRACE(family->smallest);
    // Some are asked for by their problems alone.
    if (family->form == CallForm::none && family->fragments.empty()) continue;
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
