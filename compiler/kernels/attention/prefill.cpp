// attention_prefill: attention of many rows over keys and values in memory.
//
// FlashAttention-2's algorithm (Dao, 2023) on Goto's products: blocks of scores stay in the second
// cache, sums are f32, and memory beside a packed copy of keys and values does not grow with
// lengths.
#include <algorithm>

#include "compiler/kernels/attention/attention.h"
#include "compiler/kernels/families.h"
#include "compiler/kernels/parameters.h"

namespace lathe::compiler::kernels {
namespace {

using attention::Attention;
using ir::Target;

SearchSpace space(const Problem& p, const Target& target) {
  const Attention attention(p);
  return attention::prefill_space(attention, target, /*block=*/0, [&](SearchSpace& space) {
    const bool many = attention.tokens.high > 32;
    space.knob("queries", many ? std::vector<int64_t>{32, 64, 128} : std::vector<int64_t>{32},
               many ? 64 : 32, "tokens of a block, for each head of it");
    space.knob("keys", {64, 128, 256}, 256, "keys of a block");
  });
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
  const int64_t kv_heads = std::min<int64_t>(attention.kv_heads, 2);
  LATHE_TRY(Problem small,
            with_numbers(p, {{"heads", kv_heads * attention.group()}, {"kv_heads", kv_heads}}));
  const int64_t tokens = attention.tokens.high < blocking.queries
                             ? attention.tokens.high
                             : blocking.queries + 2 * blocking.score_tile.mr - 1;
  const int64_t context = 2 * blocking.keys + blocking.scores.panel + target.lanes / 2 + 1;
  return Miniature{std::move(small), {{"batch", 1}, {"tokens", tokens}, {"context", context}}};
}

}  // namespace

const Family& attention_prefill() {
  static const Family family = [] {
    Family prefill = attention::family_of_attention("attention_prefill");
    prefill.summary = "y = softmax(softcap(q * transpose(k) * scale) + mask) * v for each head";
    prefill.example = "attention_prefill tokens=512..2047 heads=16 kv_heads=8 dim=128 causal=end";
    prefill.parameters[0].required = true;
    prefill.parameters[1].default_of = "tokens";
    prefill.smallest = "attention_prefill tokens=1 heads=1 dim=8";
    prefill.space = space;
    prefill.build = build;
    prefill.miniature = miniature;
    return prefill;
  }();
  return family;
}

}  // namespace lathe::compiler::kernels
