// attention_decode: attention of a few new tokens of each sequence against a long cache, at the
// speed at which memory delivers it.
#include <algorithm>

#include "compiler/kernels/attention/attention.h"
#include "compiler/kernels/attention/decoded_tokens.h"
#include "compiler/kernels/attention/heads.h"
#include "compiler/kernels/families.h"
#include "compiler/kernels/parameters.h"
#include "compiler/sizes.h"

namespace lathe::compiler::kernels {
namespace {

using attention::Attention;
using attention::kMostDecodedTokens;
using ir::Target;

Status validate_cache(const Problem& p) {
  const bool is_paged = p.text("cache") == "paged";
  if (is_paged != (p.integer("page") > 0)) {
    return fail(ErrorCode::invalid_argument, "page: found {} with cache={}, expected {}",
                p.integer("page"), p.text("cache"),
                is_paged ? "the number of keys of a page" : "0: a contiguous cache has no pages");
  }
  if (is_paged && !p.flag("lengths")) {
    return fail(ErrorCode::invalid_argument,
                "lengths: found false with cache=paged, expected true: they say how many pages "
                "each sequence has");
  }
  const int64_t block = ir::info(p.type("kv_type")).block_elements;
  for (const char* name : {"dim", "value_dim"}) {
    if (p.integer(name) % block != 0) {
      return fail(ErrorCode::invalid_argument,
                  "{}: found {}, expected a multiple of the block of {} of kv_type={}", name,
                  p.integer(name), block, ir::name(p.type("kv_type")));
    }
  }
  return {};
}

Status validate_decode(const Problem& p) {
  if (p.bucket("tokens").low > kMostDecodedTokens) {
    return fail(ErrorCode::invalid_argument,
                "tokens: found {}, expected at most {}; attention_prefill is for more",
                print(p.bucket("tokens")), kMostDecodedTokens);
  }
  if (p.flag("lengths") && p.text("causal") == "start") {
    return fail(ErrorCode::invalid_argument,
                "causal: found start with lengths=true, expected end, which counts from each "
                "sequence's length, or none");
  }
  LATHE_CHECK(validate_cache(p));
  return attention::validate(p);
}

}  // namespace

SearchSpace attention::decode_space(const Attention& attention, const ir::Target& target,
                                    const DecodeSpaceOptions& options) {
  SearchSpace space;
  const int64_t most_rows = attention.group() * std::min(attention.tokens.high, kMostDecodedTokens);
  const int64_t registers = target.vector_registers - (target.fused ? 0 : 1);
  // A tile's sums or weights, what it multiplies, and one value that all share.
  const auto fits = [=](int64_t rows, int64_t wide) { return rows * wide + wide + 1 <= registers; };
  // Of blocks each sum is twice there, of all blocks and of one, and so is a scale.
  const bool has_blocks = ir::info(attention.kv_type).block_elements > 1;
  const auto scores_fit = [=](int64_t rows, int64_t wide) {
    return has_blocks ? 2 * rows * wide + wide + 2 <= registers : fits(rows, wide);
  };
  std::vector<int64_t> rows;
  for (const int64_t count : {1, 2, 4})
    if (count <= most_rows) rows.push_back(count);
  space.knob("mr", rows, rows.back(), "rows of q that are multiplied at once");
  // Caches narrower than f32 are bound by instructions: several rows share the loads of queries and
  // sums.
  const bool is_small = rows.back() <= 2;
  const bool is_narrow = has_blocks || ir::size_of(attention.kv_type) < 4;
  const auto usual = [&](int64_t of_narrow) {
    int64_t together = is_narrow ? std::max(of_narrow, options.together) : options.together;
    while (together > 1 && !fits(rows.back(), together)) together /= 2;
    return together;
  };
  space.knob("key_rows", {1, 2, 4}, usual(has_blocks && !is_small ? 1 : 2),
             "keys that they meet at once");
  space.knob("value_rows", {1, 2, 4}, usual(is_small ? 4 : 2),
             "rows of v that they weight at once");
  // Long runs of memory, one after the other: 512 keys read 1.07 of what 256 do on Zen 4.
  const bool is_long = attention.context.low >= 2048;
  space.knob("keys", {64, 128, 256, 512, 1024, 2048}, is_long ? 512 : 256,
             "keys of a block, whose scores are kept");
  space.knob("split",
             attention.context.high > 256 ? std::vector<int64_t>{256, 512, 1024, 2048, 0}
                                          : std::vector<int64_t>{0},
             attention.context.high > 256 ? (is_long ? 512 : 256) : 0,
             "keys that a thread goes over at once; 0: all of a sequence");
  if (options.listed) {
    space.knob("ahead", {0, attention::kNextHead}, attention::kNextHead,
               "-1: rows of the next page are asked for ahead of their use");
  } else {
    // On Zen 4 the next head's rows are the best wherever rows lie apart: 1.4 times as fast as 16
    // ahead.
    space.knob("ahead", {0, 8, 16, attention::kNextHead}, attention::kNextHead,
               "rows of k and v that are asked for ahead of their use, where they do not lie one "
               "right behind the other; -1: the next head's");
  }
  space.require([=](const Schedule& s) { return scores_fit(s["mr"], s["key_rows"]); },
                "the sums of rows and keys must fit the vector registers");
  space.require([=](const Schedule& s) { return fits(s["mr"], s["value_rows"]); },
                "the weights of rows and values must fit the vector registers");
  space.require([](const Schedule& s) { return s["split"] == 0 || s["split"] >= s["keys"]; },
                "a part of the context has at least a block of keys");
  return space;
}

namespace {

SearchSpace space_of_decode(const Problem& p, const Target& target) {
  return attention::decode_space(Attention(p), target);
}

Result<ir::plan::Plan> build_decode(const Problem& p, const Schedule& s, const Target& target) {
  LATHE_CHECK(space_of_decode(p, target).check(s));
  const Attention attention(p);
  attention::DecodeBlocking blocking(attention, s);
  blocking.pair_up(attention);
  return decode_plan(attention, blocking, target);
}

// Two heads of k; two parts of the context, with two blocks of keys each, the last short. Where
// sequences have lengths, the first has all of it, the last nothing, and there is one between.
Result<Miniature> decode_miniature(const Problem& p, const Schedule& s, const Target&) {
  const Attention attention(p);
  const attention::DecodeBlocking blocking(attention, s);
  LATHE_TRY(Problem small, attention::with_few_heads(p));
  const int64_t context = std::max(blocking.split, blocking.keys) + blocking.keys + 7;
  Sizes sizes = {{"batch", attention.lengths ? 3 : 1},
                 {"tokens", std::min<int64_t>(attention.tokens.high, 3)}};
  if (attention.is_paged()) {
    sizes["most"] = (context + attention.page - 1) / attention.page;
    sizes["pages"] = 3 * sizes["most"] + 2;
  } else {
    sizes["context"] = context;
  }
  return Miniature{std::move(small), std::move(sizes)};
}

// Of a paged cache the context is given by the pages of a sequence, and there are as many pages as
// all sequences have.
Status derive_sizes(const Problem& p, Sizes& sizes) {
  const Attention attention(p);
  if (!attention.is_paged()) return {};
  int64_t context = representative(attention.context);
  if (const auto given = sizes.find("context"); given != sizes.end()) {
    context = given->second;
    LATHE_CHECK(check_size("context", context, attention.context));
    sizes.erase(given);
  }
  const int64_t most =
      sizes.emplace("most", context / attention.page + (context % attention.page > 0 ? 1 : 0))
          .first->second;
  const auto batch = sizes.find("batch");
  int64_t pages = most;
  if (batch != sizes.end() && __builtin_mul_overflow(most, batch->second, &pages)) {
    return fail(ErrorCode::invalid_argument, "size batch={}: found as many sequences of {} pages",
                batch->second, most);
  }
  sizes.emplace("pages", pages);
  return {};
}

}  // namespace

const Family& attention_decode() {
  static const Family family = [] {
    Family decode = attention::family_of_attention("attention_decode");
    decode.summary = "attention of up to 16 new tokens of each sequence against a cache";
    decode.example = "attention_decode tokens=1 context=2048..8191 heads=16 kv_heads=8 dim=128";
    decode.parameters[1].required = true;
    decode.parameters.push_back(
        flag_parameter("lengths", false, "[batch] i32: how many keys each sequence has"));
    decode.parameters.push_back(
        choice_parameter("cache", {"contiguous", "paged"},
                         "whether k and v are rows of their sequence, or pools of pages that a "
                         "block table [batch, most] i32 names"));
    decode.parameters.push_back(
        integer_parameter("page", 0, 0, INT32_MAX, "keys of a page of a paged cache"));
    for (ParameterSpec& parameter : decode.parameters)
      if (parameter.name == "kv_type") parameter.choices.emplace_back("q8_0");
    decode.revision = 3;
    decode.smallest = "attention_decode context=1 heads=1 dim=8";
    decode.validate = validate_decode;
    decode.space = space_of_decode;
    decode.build = build_decode;
    decode.derive_sizes = derive_sizes;
    decode.miniature = decode_miniature;
    return decode;
  }();
  return family;
}

}  // namespace lathe::compiler::kernels
