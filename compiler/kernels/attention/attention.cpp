// The operands of attention, and a schedule's numbers.
#include "compiler/kernels/attention/attention.h"

#include <algorithm>
#include <cmath>

namespace lathe::compiler::kernels::attention {
namespace {

using ir::Type;
using ir::graph::Dim;

Causal causal_of(const std::string& text) {
  return text == "start" ? Causal::start : text == "end" ? Causal::end : Causal::none;
}

Packing packing_of(const std::string& text) {
  return text == "shared"     ? Packing::shared
         : text == "separate" ? Packing::separate
         : text == "queries"  ? Packing::queries
                              : Packing::none;
}

// Beyond any context, and small enough for the arithmetic of lanes.
constexpr int64_t kMostWindow = int64_t{1} << 30;

MaskKind mask_of(const std::string& text) {
  return text == "bool" ? MaskKind::boolean : text == "add" ? MaskKind::additive : MaskKind::none;
}

double scale_of(const Problem& p) {
  const double scale = p.number("scale");
  return scale != 0 ? scale : 1 / std::sqrt(static_cast<double>(p.integer("dim")));
}

product::Blocking tile_of(int64_t rows, int64_t vectors, int64_t kc, const Schedule& s) {
  product::Blocking tile;
  tile.mr = static_cast<int>(rows);
  tile.nr = static_cast<int>(vectors);
  tile.kc = kc;
  tile.mc = INT32_MAX / rows * rows;
  tile.prefetch = s["prefetch"];
  tile.next_panel = s["next"] == 1;
  tile.prefetch_y = false;  // scores and sums stay near
  return tile;
}

}  // namespace

Attention::Attention(const Problem& p)
    : tokens(p.bucket("tokens")),
      context(p.bucket("context")),
      heads(p.integer("heads")),
      kv_heads(p.integer("kv_heads")),
      dim(p.integer("dim")),
      value_dim(p.integer("value_dim")),
      causal(causal_of(p.text("causal"))),
      packed(p.has("packed") ? packing_of(p.text("packed")) : Packing::none),
      window(p.has("window") ? std::min(p.integer("window"), kMostWindow) : 0),
      lookahead(p.has("lookahead") ? std::min(p.integer("lookahead"), kMostWindow) : -1),
      kept_keys(p.has("kept_keys") ? std::min(p.integer("kept_keys"), kMostWindow) : 0),
      sinks(p.flag("sinks")),
      softcap(p.has("softcap") ? p.number("softcap") : 0),
      scale(scale_of(p)),
      mask(p.has("mask") ? mask_of(p.text("mask")) : MaskKind::none),
      mask_of_rows(p.has("mask_of_rows") && p.flag("mask_of_rows")),
      lengths(p.has("lengths") && p.flag("lengths")),
      page(p.has("cache") ? p.integer("page") : 0),
      lse(p.flag("lse")),
      memory(p.has("memory") ? p.integer("memory") : 0),
      block(p.has("block") ? p.integer("block") : 0),
      type(p.type("type")),
      kv_type(p.type("kv_type")),
      out(p.type("out")) {
  if (mask != MaskKind::none)
    mask_type = mask == MaskKind::boolean ? Type::u8 : p.type("mask_type");
  // Packed items are one item of a batch.
  const Dim batch = packs_tokens() ? Dim(1) : Dim("batch");
  const Dim keys = is_paged()                  ? page * Dim("most")
                   : packed == Packing::shared ? Dim("tokens")
                                               : Dim("context");
  const Dim outer = is_paged() ? Dim("pages") : packs_keys() ? Dim(1) : Dim("batch");
  const Dim inner = is_paged() ? Dim(page) : keys;
  signature.push_back({"q", type, {batch, "tokens", heads, dim}});
  signature.push_back({"k", kv_type, {outer, inner, kv_heads, dim}});
  signature.push_back({"v", kv_type, {outer, inner, kv_heads, value_dim}});
  if (mask != MaskKind::none) {
    signature.push_back({"mask",
                         mask == MaskKind::boolean ? Type::boolean : mask_type,
                         {batch, heads, "tokens", mask_of_rows ? Dim(1) : keys}});
  }
  // A bound more than sequences.
  if (packs_tokens()) signature.push_back({"cu_seqlens", Type::i32, {"bounds"}});
  if (packed == Packing::separate) signature.push_back({"cu_seqlens_k", Type::i32, {"bounds"}});
  if (lengths) signature.push_back({"lengths", Type::i32, {"batch"}});
  if (is_paged()) signature.push_back({"block_table", Type::i32, {"batch", "most"}});
  if (is_sparse()) {
    signature.push_back({"counts", Type::i32, {"batch", kv_heads, "query_blocks"}});
    signature.push_back({"blocks", Type::i32, {"batch", kv_heads, "query_blocks", "kept"}});
  }
  if (sinks) signature.push_back({"sinks", Type::f32, {heads}});
  signature.push_back(output({"y", out, {batch, "tokens", heads, value_dim}}));
  if (lse) signature.push_back(output({"lse", Type::f32, {batch, "tokens", heads, 1}}));
}

Blocking::Blocking(const Attention& attention, const Schedule& s, const ir::Target& target)
    : is_whole(s.has(kAlgorithm) && s[kAlgorithm] == 1),
      queries(s["queries"]),
      keys(attention.is_sparse() ? attention.block
           : is_whole            ? attention.context.high
                                 : s["keys"]) {
  const int64_t lanes = target.lanes;
  const int64_t key_panel = s["nr"] * lanes;
  keys = (keys + key_panel - 1) / key_panel * key_panel;
  if (s.has("together")) together = s["together"];
  const Bucket rows = {1, attention.tokens.high};
  scores = product::packed_product("attention_scores", rows, keys, attention.dim, key_panel,
                                   attention.dim);
  score_tile = tile_of(s["mr"], s["nr"], attention.dim, s);
  // Blocks of keys are of any length up to theirs: k is what no block reaches, nor a multiple of
  // what is unrolled.
  const int64_t row_keys = together * keys;
  values = product::packed_product("attention_values", rows, attention.value_dim, 2 * row_keys + 1,
                                   s["value_nr"] * lanes, keys);
  value_tile = tile_of(s["value_mr"], s["value_nr"], row_keys, s);
  edge_rows = attention.is_ragged() ? std::min(queries, s["edge"] * s["mr"]) : queries;
}

int64_t Blocking::scratch_bytes(const Attention& attention) const {
  using product::kLine;
  const int64_t rows = attention.group() * queries;
  int64_t bytes = 0;
  for (const int64_t each : {rows * query_bytes(), queries * weight_bytes(), rows * 4, rows * 4,
                             rows * sum_bytes(), key_block_bytes(), value_block_bytes()})
    bytes += (each + kLine - 1) / kLine * kLine;  // each begins at a line of its own
  return bytes;
}

DecodeBlocking::DecodeBlocking(const Attention& attention, const Schedule& s)
    : keys(s["keys"]),
      split(s["split"]),
      mr(static_cast<int>(s["mr"])),
      key_rows(static_cast<int>(s["key_rows"])),
      value_rows(static_cast<int>(s["value_rows"])),
      ahead(s["ahead"]),
      rows{keys, row_bytes(keys), row_bytes(attention.value_dim)} {
  queries.name = "attention_decode";
  queries.k = attention.dim;
  queries.type = attention.type;
  packed.kc = attention.dim;
}

void DecodeBlocking::pair_up(const Attention& attention) {
  const bool has_pairs = attention.kv_type == Type::bf16;
  pairs_keys = has_pairs && attention.dim % 2 == 0;
  rows.pairs = has_pairs && attention.value_dim % 2 == 0;
}

int64_t row_bytes(int64_t columns) {
  using product::kLine;
  return (columns * 4 + kLine - 1) / kLine / 2 * 2 * kLine + kLine;
}

}  // namespace lathe::compiler::kernels::attention
