// The vision tower's operations against a tiny Qwen3-VL.
#include <functional>

#include "ir/graph/vision_positions.h"
#include "tests/ir_graph/golden.h"

namespace lathe::ir::graph {
namespace {

class VisionGolden : public testing::Test {
 protected:
  Golden golden{"vision.npz"};
  Tensor weight(const std::string& name) const { return golden.weight("visual." + name); }
};

const char* const kLayerNorm =
    "graph g(%x: f32[n, c], %w: f32[c], %b: f32[c]) -> (%y) { %y = layer_norm(%x, %w, %b) {eps = "
    "1e-06} }";

TEST_F(VisionGolden, Norms) {
  for (const std::string norm : {"norm1", "norm2"}) {
    golden.expect("images.block0." + norm + ".out", kLayerNorm,
                  {golden.tensor("images.block0." + norm + ".in"),
                   weight("blocks.0." + norm + ".weight"), weight("blocks.0." + norm + ".bias")});
  }
  for (const std::string merger : {"merger", "deepstack_merger_list.0"}) {
    golden.expect("images." + merger + ".norm.out", kLayerNorm,
                  {golden.tensor("images." + merger + ".norm.in"), weight(merger + ".norm.weight"),
                   weight(merger + ".norm.bias")});
  }
}

TEST_F(VisionGolden, Activations) {
  golden.expect("images.block0.mlp.act_fn.out",
                "graph g(%x: f32[n, c]) -> (%y) { %y = gelu(%x) {approximate = tanh} }",
                {golden.tensor("images.block0.mlp.act_fn.in")});
  for (const std::string merger : {"merger", "deepstack_merger_list.0"}) {
    golden.expect("images." + merger + ".act_fn.out",
                  "graph g(%x: f32[n, c]) -> (%y) { %y = gelu(%x) }",
                  {golden.tensor("images." + merger + ".act_fn.in")});
  }
}

// Two images of 40 and 32 patches: attention stays inside each, here through a mask.
TEST_F(VisionGolden, AttentionWithinSegments) {
  const std::string core = "images.block0.attn.core.";
  const Tensor bounds = golden.tensor("images.cu_seqlens");
  const auto segment = [&](int64_t token) {
    int64_t i = 0;
    while (static_cast<double>(token) >= bounds.at(i + 1)) ++i;
    return i;
  };
  Tensor mask(Type::boolean, {72, 72});
  for (int64_t i = 0; i < 72 * 72; ++i) mask.set(i, segment(i / 72) == segment(i % 72) ? 1 : 0);
  golden.expect(
      core + "out",
      "graph g(%q: f32[1, 4, n, 12], %k: f32[1, 4, n, 12], %v: f32[1, 4, n, 12], %m: bool[n, n]) "
      "-> (%y) {"
      "  %a = attention(%q, %k, %v, %m) {layout = heads_tokens}"
      "  %y = transpose(%a) {perm = [0, 2, 1, 3]} }",
      {golden.tensor(core + "q"), golden.tensor(core + "k"), golden.tensor(core + "v"), mask});
}

TEST_F(VisionGolden, Linears) {
  const char* const linear =
      "graph g(%x: f32[n, c], %w: f32[d, c], %b: f32[d]) -> (%y) { %y = linear(%x, %w, %b) }";
  golden.expect("images.block0.attn.qkv.out", linear,
                {golden.tensor("images.block0.norm1.out"), weight("blocks.0.attn.qkv.weight"),
                 weight("blocks.0.attn.qkv.bias")});
  golden.expect("images.block0.attn.proj.out", linear,
                {golden.tensor("images.block0.attn.proj.in"), weight("blocks.0.attn.proj.weight"),
                 weight("blocks.0.attn.proj.bias")});
}

// Heads of 12, so three frequencies for each of the two axes.
TEST_F(VisionGolden, RotaryTables) {
  const auto tables = run(
      "graph g(%p: i64[n, 2]) -> (%cos, %sin) {"
      "  %c, %s = rope_table() {theta = 10000, dim = 6, positions = 64}"
      "  %one = constant() {value = 1, shape = [n, 1, 6]}  %zero = constant() {value = 0, shape = "
      "[n, 1, 6]}"
      "  %x = concat(%one, %zero) {axis = -1}  %y = vision_rope(%x, %c, %s, %p)"
      "  %first = slice(%y) {axis = -1, end = 6}  %second = slice(%y) {axis = -1, begin = 6}"
      "  %cos = concat(%first, %first) {axis = -1}  %sin = concat(%second, %second) {axis = -1} }",
      {golden.tensor("images.rope2d.position_ids")});
  EXPECT_LE(relative_difference(tables[0].values, golden.values("images.rope2d.cos")),
            kGoldenLimit);
  EXPECT_LE(relative_difference(tables[1].values, golden.values("images.rope2d.sin")),
            kGoldenLimit);
}

TEST_F(VisionGolden, RotatedQueriesAndKeys) {
  for (const auto& [name, begin] : {std::pair("q", 0), std::pair("k", 48)}) {
    golden.expect(
        fmt::format("images.block0.attn.core.{}", name),
        fmt::format("graph g(%qkv: f32[n, 144], %p: i64[n, 2]) -> (%y) {{"
                    "  %c, %s = rope_table() {{theta = 10000, dim = 6, positions = 64}}"
                    "  %flat = slice(%qkv) {{axis = 1, begin = {}, end = {}}}"
                    "  %x = reshape(%flat) {{shape = [n, 4, 12]}}"
                    "  %r = vision_rope(%x, %c, %s, %p)"
                    "  %y = transpose(%r) {{perm = [1, 0, 2]}} }}",
                    begin, begin + 48),
        {golden.tensor("images.block0.attn.qkv.out"), golden.tensor("images.rope2d.position_ids")});
  }
}

// Joins the grids (frames, rows, columns) of one batch of images.
std::vector<double> over_grids(const Tensor& grids,
                               const std::function<Tensor(int64_t, int64_t)>& of_grid) {
  std::vector<double> joined;
  for (int64_t i = 0; i < grids.shape()[0]; ++i) {
    const auto at = [&](int64_t k) { return static_cast<int64_t>(grids.at(3 * i + k)); };
    const auto values = to_doubles(to_array(of_grid(at(1), at(2))));
    for (int64_t frame = 0; frame < at(0); ++frame)
      joined.insert(joined.end(), values.begin(), values.end());
  }
  return joined;
}

TEST_F(VisionGolden, PatchPositions) {
  expect_close(
      over_grids(golden.tensor("images.grid_thw"),
                 [](int64_t h, int64_t w) { return vision_patch_positions(h, w).value(); }),
      golden.values("images.rope2d.position_ids"), 0);
}

// Indices may name another corner where its weight is 0, so the embeddings are compared, not the
// rows.
TEST_F(VisionGolden, PositionEmbedding) {
  const char* const text =
      "graph g(%t: f32[144, 48], %i: i64[n, 4], %w: f32[n, 4]) -> (%y) { %y = "
      "bilinear_embedding(%t, %i, %w) }";
  const Tensor table = weight("pos_embed.weight");
  for (const std::string set : {"images", "clip"}) {
    golden.expect(
        set + ".pos.out", text,
        {table, golden.tensor(set + ".pos.indices"), golden.tensor(set + ".pos.weights")});
    const auto ours = over_grids(golden.tensor(set + ".grid_thw"), [&](int64_t h, int64_t w) {
      const BilinearRows rows = bilinear_rows(h, w, 12).value();
      return evaluate(parse_valid(text), std::vector<Tensor>{table, rows.indices, rows.weights})
          .value()[0];
    });
    EXPECT_LE(relative_difference(ours, golden.values(set + ".pos.out")), kGoldenLimit) << set;
  }
}

// Grouping four consecutive rows is a reshape, before or after the norm.
TEST_F(VisionGolden, Mergers) {
  const auto inputs = [&](const std::string& merger) {
    return std::vector<Tensor>{golden.tensor("images." + merger + ".in"),
                               weight(merger + ".norm.weight"),
                               weight(merger + ".norm.bias"),
                               weight(merger + ".linear_fc1.weight"),
                               weight(merger + ".linear_fc1.bias"),
                               weight(merger + ".linear_fc2.weight"),
                               weight(merger + ".linear_fc2.bias")};
  };
  const auto text = [](const char* norm_and_group, int width) {
    return fmt::format(
        "graph g(%x: f32[4*merged, 48], %nw: f32[{1}], %nb: f32[{1}], %w1: f32[192, 192], %b1: "
        "f32[192],"
        "        %w2: f32[64, 192], %b2: f32[64]) -> (%y) {{ {0}"
        "  %h = linear(%j, %w1, %b1)  %a = gelu(%h)  %y = linear(%a, %w2, %b2) }}",
        norm_and_group, width);
  };
  golden.expect("images.merger.out",
                text("%n = layer_norm(%x, %nw, %nb) %j = reshape(%n) {shape = [merged, 192]}", 48),
                inputs("merger"));
  golden.expect("images.deepstack_merger_list.0.out",
                text("%r = reshape(%x) {shape = [-1, 192]} %j = layer_norm(%r, %nw, %nb)", 192),
                inputs("deepstack_merger_list.0"));
}

}  // namespace
}  // namespace lathe::ir::graph
