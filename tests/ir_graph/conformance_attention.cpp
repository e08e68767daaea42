// ONNX's Attention as a graph: heads taken apart, the past put before the keys, then one attention.
#include <algorithm>

#include "tests/ir_graph/conformance.h"

namespace lathe::ir::graph {
namespace {

// The slots of ONNX's operands and results.
enum Slot { kQ, kK, kV, kAttentionMask, kPastKey, kPastValue, kNonpadLengths };
enum Output { kY, kPresentKey, kPresentValue, kScores };

bool has(const CaseBuilder& c, int slot) { return c.in(slot).id != kNoValue; }

// Flat heads [batch, tokens, heads * size] and those of rank 4, as [batch, heads, tokens, size].
Var heads_first(CaseBuilder& c, int slot, const char* count) {
  if (c.rank(slot) == 4) return c.in(slot);
  const auto& shape = c.shape(slot);
  const Var split =
      c.op("reshape", {c.in(slot)},
           {{"shape", {shape[0], shape[1], (*c).attribute<int64_t>(count), Dim(-1)}}});
  return c.op("transpose", {split}, {{"perm", {0, 2, 1, 3}}});
}

Var with_past(CaseBuilder& c, Var now, int past) {
  return has(c, past) ? c.op("concat", {c.in(past), now}, {{"axis", 2}}) : now;
}

// ONNX hides the keys that its mask is too short for; a last dimension of 1 is no exception.
Var full_mask(CaseBuilder& c, int64_t keys) {
  if (!has(c, kAttentionMask) || c.shape(kAttentionMask).back() >= keys)
    return c.in(kAttentionMask);
  const auto& shape = c.shape(kAttentionMask);
  Shape rest(shape.begin(), shape.end());
  rest.back() = keys - shape.back();
  const Type type = c.type(kAttentionMask);
  const Var hidden = c.constant(type == Type::boolean ? 0 : -kInf, type, rest);
  return c.op("concat", {c.in(kAttentionMask), hidden}, {{"axis", -1}});
}

// Where the first query stands: after the past, or so that the last is at the last valid key.
Var offset(CaseBuilder& c, int64_t queries) {
  if (has(c, kPastKey)) {
    return c.constant(static_cast<double>(c.shape(kPastKey)[2]), Type::i64);
  }
  if (!has(c, kNonpadLengths)) return {};
  return c.op("sub", {c.cast(c.in(kNonpadLengths), Type::i64),
                      c.constant(static_cast<double>(queries), Type::i64)});
}

const char* scores_of_mode(int64_t mode) {
  constexpr const char* kModes[] = {"scaled", "capped", "masked", "softmax"};
  return mode >= 0 && mode < 4 ? kModes[mode] : nullptr;
}

}  // namespace

std::vector<Var> build_attention(CaseBuilder& c) {
  const Case& given = *c;
  const char* scores = scores_of_mode(given.attribute<int64_t>("qk_matmul_output_mode", 0));
  if (scores == nullptr) return c.decline("qk_matmul_output_mode is not one of 0 to 3");
  const auto scale = given.attribute<double>("scale", 0);
  if (scale == 0 && given.json["attributes"].contains("scale")) {
    return c.decline("a scale of 0 stands for the default in the graph");
  }
  const bool flat = c.rank(kQ) == 3;
  const int64_t queries = c.shape(kQ)[flat ? 1 : 2];
  const int64_t keys = c.shape(kK)[flat ? 1 : 2] + (has(c, kPastKey) ? c.shape(kPastKey)[2] : 0);
  const Var k = with_past(c, heads_first(c, kK, "kv_num_heads"), kPastKey);
  const Var v = with_past(c, heads_first(c, kV, "kv_num_heads"), kPastValue);

  const bool causal = given.attribute<int64_t>("is_causal", 0) != 0;
  const bool ends = causal && has(c, kNonpadLengths);  // the offset that causal = end says
  const auto left = given.attribute<int64_t>("left_window_size", -1);
  const auto attended =
      c.results("attention",
                {heads_first(c, kQ, "q_num_heads"),
                 k,
                 v,
                 full_mask(c, keys),
                 {},
                 {},
                 c.in(kNonpadLengths),
                 ends ? Var{} : offset(c, queries)},
                3,
                {{"causal", ends     ? "end"
                            : causal ? "start"
                                     : "none"},
                 {"window", left < 0 ? 0 : left + 1},  // ours counts the token's own key, too
                 {"lookahead", given.attribute<int64_t>("right_window_size", -1)},
                 {"softcap", std::max(given.attribute<double>("softcap", 0), 0.0)},
                 {"scores", scores},
                 {"scale", scale},
                 {"layout", "heads_tokens"}});

  std::vector<Var> outputs;
  for (const auto& [slot, expected] : given.outputs) {
    if (slot == kPresentKey) outputs.push_back(k);
    if (slot == kPresentValue) outputs.push_back(v);
    if (slot == kScores) outputs.push_back(attended[2]);
    if (slot != kY) continue;
    Var y = attended[0];
    if (flat) {
      y = c.op("transpose", {y}, {{"perm", {0, 2, 1, 3}}});
      y = c.op("reshape", {y}, {{"shape", {c.shape(kQ)[0], queries, Dim(-1)}}});
    }
    outputs.push_back(y);
  }
  return outputs;
}

}  // namespace lathe::ir::graph
