// Equal graphs hash alike whatever their values are called; different ones do not.
#include "ir/graph/hash.h"

#include "tests/ir_graph/graph_testing.h"

namespace lathe::ir::graph {
namespace {

uint64_t hash_of(std::string_view text) { return canonical_hash(parse_valid(text)); }

TEST(Hash, IgnoresNamesOfValuesAndGraph) {
  EXPECT_EQ(hash_of("graph a(%x: f32[n, 8]) -> (%y) { %h = silu(%x) %y = relu(%h) }"),
            hash_of("graph b(%p: f32[n, 8]) -> (%r) { %q = silu(%p) %r = relu(%q) }"));
}

TEST(Hash, SeesOpsAttributesTypesAndDimensionNames) {
  const uint64_t base = hash_of("graph a(%x: f32[n, 8]) -> (%y) { %y = rms_norm(%x) }");
  EXPECT_NE(base, hash_of("graph a(%x: f32[n, 8]) -> (%y) { %y = softmax(%x) }"));
  EXPECT_NE(base, hash_of("graph a(%x: f32[n, 8]) -> (%y) { %y = rms_norm(%x) {eps = 1e-05} }"));
  EXPECT_NE(base, hash_of("graph a(%x: f16[n, 8]) -> (%y) { %y = rms_norm(%x) }"));
  EXPECT_NE(base, hash_of("graph a(%x: f32[m, 8]) -> (%y) { %y = rms_norm(%x) }"));
}

TEST(Hash, TheSameOnEveryMachine) {
  const Graph graph = parse_valid("graph a(%x: f32[n, 8]) -> (%y) { %y = silu(%x) }");
  EXPECT_EQ(canonical_text(graph), "graph g(%0: f32[n, 8]) -> (%1) {\n  %1 = silu(%0)\n}\n");
  EXPECT_EQ(canonical_hash(graph), 8990997630954490997U);
}

}  // namespace
}  // namespace lathe::ir::graph
