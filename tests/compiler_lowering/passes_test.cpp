// Each pass before and after, as text.
#include "compiler/lowering/passes.h"

#include <gtest/gtest.h>

#include "ir/graph/builder.h"
#include "ir/graph/text.h"
#include "tests/support/golden.h"

namespace lathe::compiler::lowering {
namespace {

constexpr std::string_view kBlock = R"(
graph block(%x: f32[8, 64], %r: f32[8, 64], %w: f32[64], %g: f32[8, 64], %dead: f32[8, 64]) -> (%h, %z) {
  %unused = exp(%dead)
  %h = add(%x, %r)
  %n = rms_norm(%h, %w) {eps = 1e-06}
  %half = constant() {value = 0.5}
  %a = silu(%n)
  %b = mul(%a, %g)
  %c = mul(%b, %half)
  %z = reshape(%c) {shape = [16, 32]}
}
)";

constexpr std::string_view kHeads = R"(
graph heads(%q: f32[8, 4, 32], %w: f32[32], %cos: f32[100, 16], %sin: f32[100, 16], %p: i32[3, 8]) -> (%y) {
  %n = rms_norm(%q, %w)
  %y = mrope(%n, %cos, %sin, %p) {section = [6, 5, 5]}
}
)";

constexpr std::string_view kHost = R"(
graph host(%x: f32[4, 6], %i: i64[4, 6]) -> (%t, %j) {
  %t = transpose(%x) {perm = [1, 0]}
  %j = add(%i, %i)
}
)";

constexpr std::string_view kMlp = R"(
graph mlp(%x: f32[8, 64], %g: f32[96, 64], %u: f32[96, 64], %d: f32[64, 96], %b: bf16[64], %w: f32[64]) -> (%h, %n) {
  %gate = linear(%x, %g)
  %up = linear(%x, %u)
  %a = swiglu(%gate, %up)
  %down = linear(%a, %d, %b)
  %h = add(%x, %down)
  %n = rms_norm(%h, %w)
}
)";

constexpr std::string_view kProducts = R"(
graph products(%x: f32[8, 64], %w: f32[96, 64], %m: f32[64, 5], %i: i32[8, 8], %q: f32[8, 64]) -> (%y, %z, %t, %j, %s) {
  %p = linear(%x, %w)
  %y = gelu(%p) {approximate = tanh}
  %z = linear(%q, %w)
  %t = matmul(%x, %m)
  %j = matmul(%i, %i)
  %s = add(%p, %z)
}
)";

constexpr std::string_view kBatched = R"(
graph batched(%q: f32[2, 4, 9, 16], %k: f32[2, 4, 21, 16], %v: f32[2, 1, 21, 8], %m: f32[8, 21], %e: f32[2, 1, 4, 9, 16], %f: f32[1, 3, 1, 16, 2]) -> (%o, %p, %d) {
  %t = transpose(%k) {perm = [0, 1, 3, 2]}
  %s = matmul(%q, %t)
  %scale = constant() {value = 0.25, type = f32, shape = []}
  %w = mul(%s, %scale)
  %u = softmax(%w)
  %o = matmul(%u, %v)
  %n = transpose(%m) {perm = [1, 0]}
  %p = matmul(%u, %n)
  %d = matmul(%e, %f)
}
)";

constexpr std::string_view kQuantised = R"(
graph quantised(%x: f32[8, 64], %r: f32[8, 64], %g: q8_0[96, 64], %u: q8_0[96, 64], %d: q4_0[64, 96], %b: bf16[64], %w: f32[64], %e: bf16[8, 32], %f: q8_0[16, 64]) -> (%y, %l, %t, %o) {
  %h = add(%x, %r)
  %n = rms_norm(%h, %w)
  %nq = quantize(%n)
  %nd = dequantize(%nq)
  %gate = linear(%nd, %g)
  %up = linear(%nd, %u)
  %a = swiglu(%gate, %up)
  %aq = quantize(%a)
  %ad = dequantize(%aq)
  %down = linear(%ad, %d, %b)
  %y = add(%h, %down)
  %m = layer_norm(%e)
  %l = quantize(%m)
  %s = softmax(%x)
  %sq = quantize(%s)
  %t = dequantize(%sq) {type = bf16}
  %o = linear(%s, %f)
}
)";

std::string after(std::string_view text, std::string_view pass) {
  const auto graph = ir::graph::parse(text);
  EXPECT_TRUE(graph.has_value()) << graph.error().message;
  if (!graph) return {};
  const auto lowered = lower(*graph, pass);
  EXPECT_TRUE(lowered.has_value()) << lowered.error().message;
  return lowered ? print(*lowered) : std::string();
}

TEST(Passes, BlockAfterEachPass) {
  std::string text = "== select_kernels\n" + after(kBlock, "select_kernels");
  for (const Pass& pass : passes())
    text += "== " + std::string(pass.name) + "\n" + after(kBlock, pass.name);
  EXPECT_TRUE(tests::matches_golden("lowering/block.txt", text));
}

TEST(Passes, AGatedMlpIsTwoProducts) {
  std::string text = "== select_kernels\n" + after(kMlp, "select_kernels");
  for (const char* pass : {"fuse_linear_pair", "fuse_linear_epilogue", "fuse_norm_rope"})
    text += "== " + std::string(pass) + "\n" + after(kMlp, pass);
  EXPECT_TRUE(tests::matches_golden("lowering/mlp.txt", text));
}

// A product that two calls read keeps its own call; a weight that two products read is packed once.
TEST(Passes, ProductsThatOthersReadStayAlone) {
  EXPECT_TRUE(tests::matches_golden("lowering/products.txt", after(kProducts, "")));
}

// Transposes become the other way to read, a scale the epilogue, shared matrices more rows.
TEST(Passes, ProductsOfTwoVariableSides) {
  EXPECT_TRUE(tests::matches_golden("lowering/batched.txt", after(kBatched, "")));
}

// Norms and products write the blocks that products read; what is read otherwise stays as it is,
// and a product with blocks of an x that is not rounded is the host's.
TEST(Passes, QuantisedProductsReadWhatNormsAndProductsWrite) {
  std::string text = "== select_kernels\n" + after(kQuantised, "select_kernels");
  for (const char* pass : {"fuse_norm_rope", "fuse_quantize"})
    text += "== " + std::string(pass) + "\n" + after(kQuantised, pass);
  EXPECT_TRUE(tests::matches_golden("lowering/quantised.txt", text));
}

TEST(Passes, HeadNormJoinsItsRotation) {
  EXPECT_TRUE(tests::matches_golden(
      "lowering/heads.txt", after(kHeads, "fuse_norm_epilogue") + "==\n" + after(kHeads, "")));
}

TEST(Passes, TheHostTakesWhatNoKernelComputes) {
  EXPECT_TRUE(tests::matches_golden("lowering/host.txt", after(kHost, "")));
}

// A chain that no kernel has room for becomes the fewest kernels that have, however long it is:
// what is fused takes time in proportion to its length (cubic, this one took minutes).
TEST(Passes, LongChainsAreCut) {
  constexpr int kLinks = 4000;
  ir::graph::GraphBuilder builder("chain");
  const ir::graph::Var x = builder.input("x", ir::Type::f32, {64, 32});
  ir::graph::Var y = x;
  for (int i = 0; i < kLinks; ++i) y = builder.op("add", {builder.op("silu", {y}), x});
  const auto graph = builder.finish({y});
  ASSERT_TRUE(graph) << graph.error().message;
  const auto lowered = lower(*graph, "fuse_elementwise");
  ASSERT_TRUE(lowered) << lowered.error().message;
  size_t operations = 0;
  for (const Call& call : lowered->calls) {
    ASSERT_TRUE(call.is(CallForm::chain));
    operations += (call.prologue.size() - 1) / 2;
  }
  EXPECT_LT(lowered->calls.size(), kLinks / 4);
  EXPECT_GE(operations, kLinks);
}

// However calls are fused: no call reads what a later one makes.
TEST(Passes, EveryValueIsMadeBeforeItIsRead) {
  for (const char* body :
       {// h is read between its producer and the norm that could take it in.
        "-> (%p, %n) {\n  %h = add(%x, %r)\n  %p = linear(%h, %v)\n  %n = rms_norm(%h, %w)\n}\n",
        // p is not there yet where the first norm stands.
        "-> (%y) {\n  %n = rms_norm(%x, %w)\n  %p = softmax(%r)\n  %y = mul(%n, %p)\n}\n"}) {
    const auto graph = ir::graph::parse(
        std::string("graph g(%x: f32[8, 64], %r: f32[8, 64], %w: f32[64], %v: f32[64, 64]) ") +
        body);
    ASSERT_TRUE(graph) << graph.error().message;
    const auto lowered = lower(*graph);
    ASSERT_TRUE(lowered) << lowered.error().message;
    for (size_t i = 0; i < lowered->calls.size(); ++i) {
      for (const ValueId read : lowered->calls[i].reads())
        EXPECT_LT(lowered->producer(read), static_cast<int>(i)) << body;
    }
  }
}

TEST(Passes, AChainHasSixInputsAtMost) {
  for (const int inputs : {6, 7}) {
    ir::graph::GraphBuilder builder("sum");
    ir::graph::Var sum = builder.input("x0", ir::Type::f32, {8, 64});
    for (int i = 1; i < inputs; ++i)
      sum =
          builder.op("add", {sum, builder.input("x" + std::to_string(i), ir::Type::f32, {8, 64})});
    const auto graph = builder.finish({sum});
    ASSERT_TRUE(graph) << graph.error().message;
    const auto lowered = lower(*graph);
    ASSERT_TRUE(lowered) << lowered.error().message;
    EXPECT_EQ(lowered->calls.size(), inputs == 6 ? 1U : 2U) << inputs;
  }
}

TEST(Passes, AnUnknownPassIsNamedWithTheKnownOnes) {
  const auto graph = ir::graph::parse(kHost);
  ASSERT_TRUE(graph.has_value());
  const auto lowered = lower(*graph, "fuse_everything");
  ASSERT_FALSE(lowered.has_value());
  EXPECT_EQ(lowered.error().code, ErrorCode::not_found);
  EXPECT_NE(lowered.error().message.find("fuse_norm_rope"), std::string::npos);
}

}  // namespace
}  // namespace lathe::compiler::lowering
