// Valid graphs that between them use every form of the text: for round trips and as seeds of
// mutation.
#pragma once

#include <array>
#include <string_view>

namespace lathe::ir::graph {

inline constexpr std::array<std::string_view, 7> kSampleGraphs = {
    R"(# SwiGLU with its norm
graph mlp(%x: f32[tokens, 2048], %w: f32[2048], %gate: q8_0[6144, 2048], %up: bf16[6144, 2048],
          %down: q4_K[2048, 6144]) -> (%y) {
  %h = rms_norm(%x, %w) {eps = 1e-06}
  %g = linear(%h, %gate) : f32[tokens, 6144]
  %u = linear(%h, %up)
  %s = swiglu(%g, %u)   # silu(g) * u
  %d = linear(%s, %down)
  %y = add(%x, %d)
}
)",
    R"(graph qk(%q: f16[tokens, 16, 128], %w: f32[128], %positions: i32[3, tokens]) -> (%r, %cos) {
  %cos, %sin = rope_table() {theta = 5e+06, dim = 128, positions = 4096}
  %n = rms_norm(%q, %w)
  %r = mrope(%n, %cos, %sin, %positions) {section = [24, 20, 20]}
}
)",
    R"(graph merge(%x: f32[4*patches, 1024], %w: f32[1024], %b: f32[1024]) -> (%y, %mean) {
  %n, %mean, %d = layer_norm(%x, %w, %b) {eps = 1e-06, axis = 1}
  %j = reshape(%n) {shape = [patches, -1]}
  %y = gelu(%j) {approximate = tanh} : f32[patches, 4096]
}
)",
    R"(graph pick(%x: f32[batch, tokens, 64], %i: i64[n], %m: bool[batch, tokens], %u: f32[marked, 64]) -> (%a, %b, %c) {
  %last = slice(%x) {axis = 1, begin = -1}
  %t = transpose(%last) {perm = [2, 0, 1]}
  %a = gather(%t, %i) {axis = 0}
  %b = scatter_add_rows(%x, %m, %u)
  %two = concat(%x, %b) {axis = 1}
  %c = softmax(%two) {axis = -2}
}
)",
    R"(graph elementwise(%a: i8[n, 1], %b: i8[3], %c: bool[]) -> (%y, %z, %q) {
  %s = add(%a, %b)
  %p = mul(%s, %b)
  %w = where(%c, %s, %p)
  %l = less_equal(%w, %a)
  %y = cast(%l) {type = f32}
  %k = constant() {value = -inf, type = f16, shape = [2*n, 32]}
  %z = fma(%a, %b, %s)
  %q = quantize(%k) {type = q4_0}
}
)",
    R"(graph vision(%t: f32[2304, 1024], %i: i64[patches, 4], %w: f32[patches, 4], %p: i64[patches, 2],
             %x: f32[16, patches, 64], %c: f32[side, 16], %s: f32[side, 16]) -> (%e, %r) {
  %e = bilinear_embedding(%t, %i, %w)
  %r = vision_rope(%x, %c, %s, %p) {layout = heads_tokens}
}
)",
    R"(graph decode(%q: f32[tokens, 8, 64], %k: f16[pages, 16, 2, 64], %v: f16[pages, 16, 2, 64], %t: i32[batch, most],
             %b: i32[bounds], %l: i32[batch], %s: f32[8], %n: f16[tokens, 2, 64], %p: i64[tokens]) -> (%y, %l1, %kw) {
  %kf = reshape(%k) {shape = [16*pages, 2, 64]}
  %kn = write_cache(%kf, %n, %p)
  %kw = reshape(%kn) {shape = [pages, 16, 2, 64]}
  %ks = gather_pages(%kw, %t, %l)
  %vs = gather_pages(%v, %t, %l)
  %y, %l1 = attention(%q, %ks, %vs, _, %b, _, %l, _, %s) {causal = end, window = 128, kept_keys = 4, softcap = 30}
}
)",
};

}  // namespace lathe::ir::graph
