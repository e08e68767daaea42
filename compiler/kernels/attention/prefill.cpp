// attention_prefill: attention of many rows over keys and values in memory.
//
// FlashAttention-2's algorithm (Dao, 2023) on Goto's products: blocks of scores stay in the second
// cache, sums are f32, and memory beside a packed copy of keys and values does not grow with
// lengths.
#include <algorithm>

#include "compiler/kernels/attention/attention.h"
#include "compiler/kernels/attention/heads.h"
#include "compiler/kernels/families.h"
#include "compiler/kernels/parameters.h"

namespace lathe::compiler::kernels {
namespace {

using attention::Attention;
using ir::Target;

// Sequences that are packed side by side where nobody says how many.
constexpr int64_t kUsualSequences = 4;

// The longest context of a bucket of which all scores of a block of tokens are kept: they are half
// a MiB then, for 64 tokens.
constexpr int64_t kMostWholeContext = 2047;

// Blocks of so many tokens and keys.
struct Blocks {
  int64_t queries, keys;
};

// Where memory is limited: which blocks it leaves a thread, and what the smallest need.
class MemoryLimit {
 public:
  MemoryLimit(const Attention& attention, const product::Tiles& scores,
              const product::Tiles& values, const Target& target)
      : attention_(attention), scores_(scores), values_(values), target_(target) {}

  bool fits(const Schedule& s) const { return bytes(s) <= attention_.memory; }

  // The usual blocks where these fit, else the largest.
  Blocks usual(const std::vector<int64_t>& queries, const std::vector<int64_t>& keys,
               Blocks blocks) const {
    for (auto q = queries.rbegin(); q != queries.rend(); ++q)
      for (auto k = keys.rbegin(); k != keys.rend(); ++k)
        if (*q <= blocks.queries && *k <= blocks.keys &&
            bytes({*q, *k}, scores_.usual.nr, values_.usual.nr) <= attention_.memory)
          return {*q, *k};
    return {queries.front(), keys.front()};
  }

  int64_t least(Blocks blocks) const {
    int64_t least = INT64_MAX;
    for (const int64_t nr : scores_.nr)
      for (const int64_t value_nr : values_.nr)
        least = std::min(least, bytes(blocks, nr, value_nr));
    return least;
  }

 private:
  int64_t bytes(const Schedule& s) const {
    return attention::Blocking(attention_, s, target_).scratch_bytes(attention_);
  }
  int64_t bytes(Blocks blocks, int64_t nr, int64_t value_nr) const {
    Schedule s;
    for (const auto& [name, value] : {std::pair{"mr", scores_.mr.front()},
                                      {"nr", nr},
                                      {"value_mr", values_.mr.front()},
                                      {"value_nr", value_nr},
                                      {"queries", blocks.queries},
                                      {"keys", blocks.keys},
                                      {"edge", int64_t{1}},
                                      {"next", int64_t{0}},
                                      {"prefetch", int64_t{0}}})
      s.set(name, value);
    return bytes(s);
  }

  Attention attention_;
  product::Tiles scores_, values_;
  Target target_;
};

SearchSpace space(const Problem& p, const Target& target) {
  const Attention attention(p);
  SearchSpace space = attention::prefill_space(
      attention, target, /*block=*/0,
      [&](SearchSpace& space, const product::Tiles& scores, const product::Tiles& values) {
        const bool many = attention.tokens.high > 32;
        const auto queries = many ? std::vector<int64_t>{32, 64, 128} : std::vector<int64_t>{32};
        const std::vector<int64_t> keys = {64, 128, 256};
        Blocks usual = {many ? 64 : 32, 256};
        if (attention.memory > 0) {
          const MemoryLimit limit(attention, scores, values, target);
          usual = limit.usual(queries, keys, usual);
          space.require(
              [=](const Schedule& s) { return limit.fits(s); },
              fmt::format("the working memory of a thread must fit memory={}; the least that any "
                          "schedule needs are {} bytes",
                          attention.memory, limit.least({queries.front(), keys.front()})));
        }
        space.knob("queries", queries, usual.queries, "tokens of a block, for each head of it");
        space.knob("keys", keys, usual.keys, "keys of a block");
      });
  if (!attention.packs_tokens() && attention.memory == 0 &&
      attention.context.high <= kMostWholeContext) {
    space.choice(attention::kAlgorithm, {"flash", "naive"}, "flash",
                 "whether the softmax runs along with blocks of keys, or all scores of a block of "
                 "tokens are made before it");
    space.require(
        [](const Schedule& s) { return s[attention::kAlgorithm] == 0 || s["keys"] == 256; },
        "without blocks of keys their size is that of the default");
  }
  return space;
}

Result<ir::plan::Plan> build(const Problem& p, const Schedule& s, const Target& target) {
  LATHE_CHECK(space(p, target).check(s));
  const Attention attention(p);
  return prefill_plan(attention, attention::Blocking(attention, s, target), target);
}

// Two heads of k; two blocks of tokens, the last with rows that fill no tile; three blocks of keys,
// the last with keys that fill no panel. Of packed sequences there are two, which share them.
Result<Miniature> miniature(const Problem& p, const Schedule& s, const Target& target) {
  const Attention attention(p);
  const attention::Blocking blocking(attention, s, target);
  LATHE_TRY(Problem small, attention::with_few_heads(p));
  const int64_t tokens = attention.tokens.high < blocking.queries
                             ? attention.tokens.high
                             : blocking.queries + 2 * blocking.score_tile.mr - 1;
  const int64_t rest = blocking.scores.panel + target.lanes / 2 + 1;
  // Of all keys in one block a few panels say enough.
  const int64_t whole_keys = blocking.is_whole ? 2 * blocking.scores.panel : 2 * blocking.keys;
  Sizes sizes = {{"batch", 1}, {"tokens", tokens}, {"context", whole_keys + rest}};
  if (attention.packs_tokens()) sizes["bounds"] = 3;
  switch (attention.packed) {
    case attention::Packing::none: break;
    case attention::Packing::queries: sizes["batch"] = 2; break;
    case attention::Packing::shared:
      sizes.erase("context");
      sizes["tokens"] = std::max(tokens, blocking.keys + rest);
      [[fallthrough]];
    case attention::Packing::separate: sizes.erase("batch"); break;
  }
  return Miniature{std::move(small), std::move(sizes)};
}

// Packed sequences are a few, or as many as k and v have.
Status derive_sizes(const Problem& p, Sizes& sizes) {
  const Attention attention(p);
  if (!attention.packs_tokens()) return {};
  int64_t sequences = kUsualSequences;
  if (!attention.packs_keys()) {
    const auto batch = sizes.find("batch");
    sequences = batch == sizes.end() ? 1 : std::min(batch->second, INT64_MAX - 1);
  }
  sizes.emplace("bounds", sequences + 1);
  return {};
}

}  // namespace

const Family& attention_prefill() {
  static const Family family = [] {
    Family prefill = attention::family_of_attention("attention_prefill");
    prefill.summary = "y = softmax(softcap(q * transpose(k) * scale) + mask) * v for each head";
    prefill.example = "attention_prefill tokens=512..2047 heads=16 kv_heads=8 dim=128 causal=end";
    prefill.parameters[0].required = true;
    prefill.parameters[1].default_of = "tokens";
    for (ParameterSpec& parameter : attention::prefill_parameters())
      prefill.parameters.push_back(std::move(parameter));
    prefill.revision = 2;
    prefill.validate = attention::validate_prefill;
    prefill.smallest = "attention_prefill tokens=1 heads=1 dim=8";
    prefill.space = space;
    prefill.build = build;
    prefill.derive_sizes = derive_sizes;
    prefill.miniature = miniature;
    return prefill;
  }();
  return family;
}

}  // namespace lathe::compiler::kernels
