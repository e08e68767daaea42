// attention_prefill: attention of many rows over keys and values in memory.
//
// FlashAttention-2's algorithm (Dao, 2023) on Goto's products: blocks of scores stay in the second
// cache, sums are f32, and memory beside a packed copy of keys and values does not grow with
// lengths.
#include <algorithm>

#include "compiler/kernels/attention/attention.h"
#include "compiler/kernels/families.h"
#include "compiler/kernels/parameters.h"
#include "compiler/kernels/tile_shape.h"

namespace lathe::compiler::kernels {
namespace {

using attention::Attention;
using ir::Target;

SearchSpace space(const Problem& p, const Target& target) {
  const Attention attention(p);
  SearchSpace space;
  const TileRegisters registers{target.vector_registers, target.fused};
  std::vector<int64_t> vectors;
  for (const int64_t v : {1, 2, 3, 4})
    if (registers.fit(1, v, 1, 1)) vectors.push_back(v);
  const int64_t most_rows = std::min(attention.tokens.high, most_tile_rows(target));
  const TileShape best = best_shape(registers, vectors, most_rows, 0, target.lanes);
  const TileShape best_value =
      best_shape(registers, vectors, most_rows, attention.value_dim, target.lanes);
  const auto rows = [&](const TileShape& shape) {
    std::vector<int64_t> tiles;
    for (const int64_t tile :
         tile_rows(registers, vectors.front(), shape, attention.tokens, target))
      if (4 * tile * vectors.back() > 3 * shape.sums()) tiles.push_back(tile);
    return tiles;
  };
  space.knob("mr", rows(best), best.tile, "rows of the register tile of scores");
  space.knob("nr", vectors, best.vectors, "vectors of its keys");
  space.knob("value_mr", rows(best_value), best_value.tile, "rows of the register tile of values");
  space.knob("value_nr", vectors, best_value.vectors, "vectors of its columns");
  space.knob(
      "queries",
      attention.tokens.high > 32 ? std::vector<int64_t>{32, 64, 128} : std::vector<int64_t>{32},
      attention.tokens.high > 32 ? 64 : 32, "tokens of a block, for each head of it");
  space.knob("keys", {64, 128, 256}, 256, "keys of a block");
  if (attention.is_ragged()) {
    space.knob("edge", {1, 2, 4}, 2,
               "tiles of rows that are multiplied together where rows see different keys");
  }
  space.choice("next", {"off", "on"}, "on",
               "whether the tiles of a panel ask for the next panel, into the second cache");
  space.knob("prefetch", {0, 2048}, 0, "bytes of keys and values asked for ahead of their use");
  const auto shapes = [&](const char* tile, const char* wide, const TileShape& shape) {
    space.require([=](const Schedule& s) { return registers.fit(s[tile], s[wide], 1, 1); },
                  "a tile's sums and a step's operands must fit the vector registers");
    space.require([=](const Schedule& s) { return 4 * s[tile] * s[wide] > 3 * shape.sums(); },
                  "a tile of many rows must reuse what it loads");
  };
  shapes("mr", "nr", best);
  shapes("value_mr", "value_nr", best_value);
  return space;
}

Result<ir::plan::Plan> build(const Problem& p, const Schedule& s, const Target& target) {
  LATHE_CHECK(space(p, target).check(s));
  const Attention attention(p);
  return prefill_plan(attention, attention::Blocking(attention, s, target), target);
}

// Two heads of k; two blocks of tokens, the last with rows that fill no tile; three blocks of keys,
// the last with keys that fill no panel.
Result<Miniature> miniature(const Problem& p, const Schedule& s, const Target& target) {
  const Attention attention(p);
  const attention::Blocking blocking(attention, s, target);
  ProblemBuilder builder(p.family());
  for (const ParameterSpec& spec : p.family().parameters) {
    if (spec.name != "heads" && spec.name != "kv_heads") builder.set(spec.name, p.value(spec.name));
  }
  const int64_t kv_heads = std::min<int64_t>(attention.kv_heads, 2);
  LATHE_TRY(Problem small,
            builder.set("heads", kv_heads * attention.group()).set("kv_heads", kv_heads).build());
  const int64_t tokens = attention.tokens.high < blocking.queries
                             ? attention.tokens.high
                             : blocking.queries + 2 * blocking.score_tile.tile - 1;
  const int64_t context = 2 * blocking.keys + blocking.scores.panel + target.lanes / 2 + 1;
  return Miniature{std::move(small), {{"batch", 1}, {"tokens", tokens}, {"context", context}}};
}

}  // namespace

const Family& attention_prefill() {
  static const Family family = [] {
    Family prefill;
    prefill.name = "attention_prefill";
    prefill.summary = "y = softmax(softcap(q * transpose(k) * scale) + mask) * v for each head";
    prefill.example = "attention_prefill tokens=512..2047 heads=16 kv_heads=8 dim=128 causal=end";
    ParameterSpec tokens{"tokens", Bucket{}, "bucket of the number of rows of q, a run-time size"};
    tokens.required = true;
    ParameterSpec context{"context", Bucket{}, "bucket of the number of keys, a run-time size"};
    context.default_of = "tokens";
    prefill.parameters = {std::move(tokens), std::move(context)};
    for (ParameterSpec& shared : attention::shared_parameters())
      prefill.parameters.push_back(std::move(shared));
    prefill.limits = float_limits({1e-5, 2e-5});
    prefill.form = CallForm::attention;
    prefill.graph_ops = {"attention"};
    prefill.smallest = "attention_prefill tokens=1 heads=1 dim=8";
    prefill.validate = attention::validate;
    prefill.reference = attention::reference;
    prefill.space = space;
    prefill.build = build;
    prefill.work = attention::work;
    prefill.sample = attention::sample;
    prefill.miniature = miniature;
    return prefill;
  }();
  return family;
}

}  // namespace lathe::compiler::kernels
