// Attention: which nodes kernels compute, and how their operands lie.
#include <algorithm>

#include "compiler/lowering/select.h"
#include "ir/graph/head_layout.h"
#include "ir/graph/strides.h"

namespace lathe::compiler::lowering {
namespace {

using ir::Type;
using ir::graph::HeadLayout;
using ir::graph::Node;
using ir::graph::TensorType;

// The operands by their places in the op's table.
enum Operand : size_t { kQ, kK, kV, kMask, kCuSeqlens, kCuSeqlensK, kLengths, kOffset, kSinks };

ValueId operand(const Node& node, size_t index) {
  return index < node.operands.size() ? node.operands[index] : -1;
}

std::vector<int64_t> sizes_of(const TensorType& type) {
  std::vector<int64_t> sizes;
  for (const ir::graph::Dim& dim : type.shape) sizes.push_back(dim.number());
  return sizes;
}

// Of a tensor of heads, as [batch, tokens, heads, size]; without a size, as if it were 1.
std::vector<int64_t> strides_of_heads(const TensorType& type, const HeadLayout& layout,
                                      bool has_size) {
  std::vector<int64_t> sizes = sizes_of(type);
  if (!has_size) sizes.push_back(1);
  const std::vector<int64_t> dense = ir::graph::row_major_strides(sizes);
  return {layout.batched ? dense[0] : 0, dense[layout.tokens], dense[layout.heads], 1};
}

// As [batch, heads, tokens, keys]; empty where the keys of a row do not lie side by side.
std::vector<int64_t> strides_of_mask(const TensorType& type, int64_t keys) {
  const std::vector<int64_t> sizes = sizes_of(type);
  if (sizes.empty() || sizes.back() != keys) return {};
  std::vector<int64_t> strides = ir::graph::broadcast_strides(sizes, std::vector<int64_t>(4));
  strides.back() = 1;
  return strides;
}

}  // namespace

bool select_attention(const LoweredGraph& lowered, const Node& node, Call& call,
                      std::string& reason) {
  const auto type = [&](ValueId value) -> const TensorType& { return lowered.graph.type(value); };
  const TensorType& q = type(node.operands[kQ]);
  const TensorType& k = type(node.operands[kK]);
  const TensorType& v = type(node.operands[kV]);
  const HeadLayout layout = ir::graph::head_layout(node.attributes, q.shape.size());
  const auto refused = [&](const char* why) {
    reason = why;
    return false;
  };
  for (const size_t index : {kCuSeqlens, kCuSeqlensK, kOffset})
    if (operand(node, index) >= 0) return refused("sequences that are packed, or have places");
  if (node.attributes.integer("lookahead") >= 0 || node.attributes.integer("kept_keys") > 0)
    return refused("a window on both sides, or keys that it does not hide");
  if (node.results.size() > 2) return refused("the scores are asked for, too");
  if (elements(q) == 0 || elements(k) == 0 || elements(v) == 0) return refused("nothing to do");
  if (k.element != v.element) return refused("keys and values of different types");

  const int64_t keys = k.shape[layout.tokens].number();
  call.kind = CallKind::kernel;
  call.sizes = {{"batch", layout.batched ? q.shape.front().number() : 1},
                {"tokens", q.shape[layout.tokens].number()},
                {"context", keys}};
  const auto set = [&](const char* name, const auto& value) {
    call.values[name] = fmt::format("{}", value);
  };
  set("tokens", q.shape[layout.tokens].number());
  set("context", keys);
  set("heads", q.shape[layout.heads].number());
  set("kv_heads", k.shape[layout.heads].number());
  set("dim", q.shape.back().number());
  set("value_dim", v.shape.back().number());
  set("causal", node.attributes.word("causal"));
  set("window", node.attributes.integer("window"));
  set("softcap", node.attributes.real("softcap"));
  set("scale", node.attributes.real("scale"));
  set("type", ir::name(q.element));
  set("kv_type", ir::name(k.element));
  set("out", ir::name(type(node.results[0]).element));
  const auto read = [&](ValueId value, std::vector<int64_t> strides) {
    call.inputs.push_back(value);
    call.strides.push_back(std::move(strides));
  };
  for (const size_t index : {kQ, kK, kV})
    read(node.operands[index], strides_of_heads(type(node.operands[index]), layout, true));
  if (const ValueId mask = operand(node, kMask); mask >= 0) {
    const bool is_boolean = type(mask).element == Type::boolean;
    if (!is_boolean && type(mask).element != Type::f32)
      return refused("a mask of numbers that are not f32");
    std::vector<int64_t> strides = strides_of_mask(type(mask), keys);
    if (strides.empty()) return refused("a mask that is the same for all keys");
    set("mask", is_boolean ? "bool" : "add");
    read(mask, std::move(strides));
  }
  if (const ValueId lengths = operand(node, kLengths); lengths >= 0) {
    const bool has_one_each = type(lengths).shape.size() == 1;
    if (call.family->parameter("lengths") == nullptr || !has_one_each ||
        type(lengths).element != Type::i32)
      return refused("lengths of many tokens' sequences, or not one i32 of each");
    set("lengths", true);
    read(lengths, {1});
  }
  if (const ValueId sinks = operand(node, kSinks); sinks >= 0) {
    if (type(sinks).element != Type::f32) return refused("sinks that are not f32");
    set("sinks", true);
    read(sinks, {1});
  }
  call.strides.push_back(strides_of_heads(type(node.results[0]), layout, true));
  if (node.results.size() == 2) {
    set("lse", true);
    call.strides.push_back(strides_of_heads(type(node.results[1]), layout, false));
  }
  // The family says what it computes.
  std::string line = call.family->name;
  for (const auto& [name, value] : call.values) line += fmt::format(" {}={}", name, value);
  const auto problem = parse_problem(line);
  if (!problem) reason = problem.error().message;
  return problem.has_value();
}

}  // namespace lathe::compiler::lowering
