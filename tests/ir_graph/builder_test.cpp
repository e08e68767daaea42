// Graphs built in C++ equal those parsed from text, and the first mistake is the one reported.
#include "ir/graph/builder.h"

#include "tests/ir_graph/graph_testing.h"

namespace lathe::ir::graph {
namespace {

TEST(Builder, BuildsWhatTheTextSays) {
  GraphBuilder b("mlp");
  const Var x = b.input("x", Type::f32, {"tokens", 2048});
  const Var w = b.input("w", Type::f32, {2048});
  const Var h = b.op("rms_norm", {x, w}, {{"eps", 1e-5}}, "h");
  const Var r = b.op("reshape", {h}, {{"shape", {"tokens", 16, 128}}});
  EXPECT_EQ(to_string(b.type(r)), "f32[tokens, 16, 128]");
  const auto results = b.op_results("layer_norm", {r, Var{}, Var{}}, 2);
  const Var k = b.constant(2.0);
  const Var y = b.op("mul", {results[0], k});
  const auto graph = b.finish({y, results[1]});
  ASSERT_TRUE(graph.has_value()) << graph.error().message;
  EXPECT_EQ(print(*graph),
            "graph mlp(%x: f32[tokens, 2048], %w: f32[2048]) -> (%4, %2) {\n"
            "  %h = rms_norm(%x, %w) {eps = 1e-05}\n"
            "  %0 = reshape(%h) {shape = [tokens, 16, 128]}\n"
            "  %1, %2 = layer_norm(%0)\n"
            "  %3 = constant() {value = 2}\n"
            "  %4 = mul(%1, %3)\n"
            "}\n");
  EXPECT_EQ(print(parse_valid(print(*graph))), print(*graph));
}

TEST(Builder, KeepsTheFirstMistakeAndIgnoresTheRest) {
  GraphBuilder b("g");
  const Var x = b.input("x", Type::f32, {"tokens", 8});
  const Var bad = b.op("sillu", {x});
  EXPECT_EQ(bad.id, kNoValue);
  const auto more = b.op_results("layer_norm", {bad}, 3);
  EXPECT_EQ(more.size(), 3U);
  const auto graph = b.finish({more[0]});
  ASSERT_FALSE(graph.has_value());
  EXPECT_EQ(graph.error().code, ErrorCode::not_found);
  EXPECT_EQ(graph.error().message, "graph g, node 0: unknown op 'sillu'; did you mean 'silu'?");
}

TEST(Builder, FinishVerifies) {
  GraphBuilder same_name("g");
  const Var x = same_name.input("x", Type::f32, {1});
  same_name.input("x", Type::f32, {1});
  EXPECT_EQ(same_name.finish({x}).error().message, "two values are named '%x'");
  GraphBuilder no_outputs("g");
  EXPECT_EQ(no_outputs.finish({}).error().message,
            "found a graph without outputs, expected one or more");
  GraphBuilder bad_name("qwen3-vl");
  const Var y = bad_name.input("y", Type::f32, {1});
  EXPECT_FALSE(bad_name.finish({y}).has_value());
}

TEST(Builder, NumbersSkipNamesThatAreTaken) {
  GraphBuilder b("g");
  const Var x = b.input("0", Type::f32, {1});
  const Var y = b.op("silu", {x});
  EXPECT_EQ(print(*b.finish({y})), "graph g(%0: f32[1]) -> (%1) {\n  %1 = silu(%0)\n}\n");
}

}  // namespace
}  // namespace lathe::ir::graph
