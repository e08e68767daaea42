// The text decoder's operations against a tiny Qwen3-VL: text only, and with image tokens.
#include "tests/ir_graph/golden.h"

namespace lathe::ir::graph {
namespace {

const char* const kRmsNorm =
    "graph g(%x: f32[b, n, c], %w: f32[c]) -> (%y) { %y = rms_norm(%x, %w) {eps = 1e-06} }";
const char* const kHeadNorm =
    "graph g(%x: f32[b, n, heads, 32], %w: f32[32]) -> (%y) { %y = rms_norm(%x, %w) {eps = 1e-06} "
    "}";
const char* const kLinear =
    "graph g(%x: f32[b, n, c], %w: f32[d, c]) -> (%y) { %y = linear(%x, %w) }";
const char* const kEmbedding =
    "graph g(%t: f32[rows, c], %i: i64[b, n]) -> (%y) { %y = embedding(%t, %i) }";

// Normed q or k, in the order tokens, heads, to the rotated ones in the order heads, tokens.
const char* const kRotate =
    "graph g(%x: f32[b, n, heads, 32], %p: i64[3, b, n]) -> (%y) {"
    "  %c, %s = rope_table() {theta = 5e+06, dim = 32, positions = 256}"
    "  %r = mrope(%x, %c, %s, %p) {section = [6, 5, 5]}"
    "  %y = transpose(%r) {perm = [0, 2, 1, 3]} }";

// Rotating the unit vectors (1, 0) of every pair shows cos in its first lane and sin in its second.
const char* const kTables =
    "graph g(%p: i64[3, b, n]) -> (%cos, %sin) {"
    "  %c, %s = rope_table() {theta = 5e+06, dim = 32, positions = 256}"
    "  %one = constant() {value = 1, shape = [b, n, 1, 16]}  %zero = constant() {value = 0, shape "
    "= [b, n, 1, 16]}"
    "  %x = concat(%one, %zero) {axis = -1}"
    "  %y = mrope(%x, %c, %s, %p) {section = [6, 5, 5]}"
    "  %first = slice(%y) {axis = -1, end = 16}  %second = slice(%y) {axis = -1, begin = 16}"
    "  %cos = concat(%first, %first) {axis = -1}  %sin = concat(%second, %second) {axis = -1} }";

const char* const kSwiglu =
    "graph g(%g: f32[b, n, c], %u: f32[b, n, c]) -> (%y) { %y = swiglu(%g, %u) }";

// What both sets of arrays have, under prefix "prefill.layer0.".
class TextGolden : public testing::TestWithParam<const char*> {
 protected:
  Golden golden{GetParam()};
  const std::string layer = "prefill.layer0.";
};

INSTANTIATE_TEST_SUITE_P(Files, TextGolden, testing::Values("text.npz", "multimodal.npz"),
                         [](const auto& info) {
                           const std::string_view file = info.param;
                           return std::string(file.substr(0, file.find('.')));
                         });

TEST_P(TextGolden, Norms) {
  for (const std::string norm : {"input_layernorm", "post_attention_layernorm"}) {
    golden.expect(layer + norm + ".out", kRmsNorm,
                  {golden.tensor(layer + norm + ".in"),
                   golden.weight("language_model.layers.0." + norm + ".weight")});
  }
  for (const std::string step :
       {"prefill", "decode0", "decode1", "decode2", "decode3", "decode4"}) {
    golden.expect(step + ".norm.out", kRmsNorm,
                  {golden.tensor(step + ".norm.in"), golden.weight("language_model.norm.weight")});
  }
}

TEST_P(TextGolden, HeadNorms) {
  for (const std::string norm : {"self_attn.q_norm", "self_attn.k_norm"}) {
    golden.expect(layer + norm + ".out", kHeadNorm,
                  {golden.tensor(layer + norm + ".in"),
                   golden.weight("language_model.layers.0." + norm + ".weight")});
  }
}

TEST_P(TextGolden, RotaryTables) {
  for (const std::string step :
       {"prefill", "decode0", "decode1", "decode2", "decode3", "decode4"}) {
    const auto tables = run(kTables, {golden.tensor(step + ".mrope.position_ids")});
    EXPECT_LE(relative_difference(tables[0].values, golden.values(step + ".mrope.cos")),
              kGoldenLimit)
        << step;
    EXPECT_LE(relative_difference(tables[1].values, golden.values(step + ".mrope.sin")),
              kGoldenLimit)
        << step;
  }
}

TEST_P(TextGolden, RotatedQueriesAndKeys) {
  const Tensor positions = golden.tensor("prefill.mrope.position_ids");
  golden.expect(layer + "self_attn.core.q", kRotate,
                {golden.tensor(layer + "self_attn.q_norm.out"), positions});
  golden.expect(layer + "self_attn.core.k", kRotate,
                {golden.tensor(layer + "self_attn.k_norm.out"), positions});
}

TEST_P(TextGolden, Activations) {
  golden.expect(layer + "mlp.act_fn.out", "graph g(%x: f32[b, n, c]) -> (%y) { %y = silu(%x) }",
                {golden.tensor(layer + "mlp.act_fn.in")});
  golden.expect(layer + "mlp.down_proj.in", kSwiglu,
                {golden.tensor(layer + "mlp.act_fn.in"), golden.tensor(layer + "mlp.up_proj.out")});
}

TEST_P(TextGolden, Embedding) {
  for (const std::string step :
       {"prefill", "decode0", "decode1", "decode2", "decode3", "decode4"}) {
    golden.expect(step + ".embed_tokens.out", kEmbedding,
                  {golden.weight("language_model.embed_tokens.weight"),
                   golden.tensor(step + ".embed_tokens.in")},
                  0);
  }
}

TEST(TextOnlyGolden, CausalAttention) {
  const Golden golden("text.npz");
  const std::string core = "prefill.layer0.self_attn.core.";
  golden.expect(
      core + "out",
      "graph g(%q: f32[b, 4, n, 32], %k: f32[b, 2, n, 32], %v: f32[b, 2, n, 32]) -> (%y) {"
      "  %a = attention(%q, %k, %v) {causal = end, layout = heads_tokens}"
      "  %y = transpose(%a) {perm = [0, 2, 1, 3]} }",
      {golden.tensor(core + "q"), golden.tensor(core + "k"), golden.tensor(core + "v")});
}

TEST(TextOnlyGolden, Projections) {
  const Golden golden("text.npz");
  const std::string layer = "prefill.layer0.";
  for (const std::string name :
       {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "mlp.down_proj"}) {
    golden.expect(layer + name + ".out", kLinear,
                  {golden.tensor(layer + name + ".in"),
                   golden.weight("language_model.layers.0." + name + ".weight")});
  }
}

TEST(MultimodalGolden, Deepstack) {
  const Golden golden("multimodal.npz");
  golden.expect("prefill.deepstack.out",
                "graph g(%x: f32[b, n, c], %m: bool[b, n], %u: f32[image_tokens, c]) -> (%y) {"
                "  %y = scatter_add_rows(%x, %m, %u) }",
                {golden.tensor("prefill.deepstack.in"), golden.tensor("prefill.deepstack.mask"),
                 golden.tensor("prefill.deepstack.embeds")});
}

}  // namespace
}  // namespace lathe::ir::graph
