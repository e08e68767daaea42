// Attention: which nodes kernels compute, and how their operands lie.
#include <algorithm>
#include <optional>

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

// Whether a node other than `reader` reads the value, or whoever runs the graph does.
bool is_read_elsewhere(const ir::graph::Graph& graph, ValueId value, const Node& reader) {
  if (std::find(graph.outputs.begin(), graph.outputs.end(), value) != graph.outputs.end())
    return true;
  return std::any_of(graph.nodes.begin(), graph.nodes.end(), [&](const Node& node) {
    return &node != &reader &&
           std::find(node.operands.begin(), node.operands.end(), value) != node.operands.end();
  });
}

// What k or v are read from: a tensor, or pages of a pool.
struct Cached {
  ValueId value = -1;
  const Node* gather = nullptr;  // of the pages
};

// Goes back from k or v over the ops that attention_decode does itself, as long as nothing else
// reads what they give.
Cached cached_by(const ir::graph::Graph& graph, const Node& attention, ValueId value) {
  Cached cached{value};
  const Node* reader = &attention;
  while (true) {
    const int32_t producer = graph.value(cached.value).producer;
    if (producer < 0) return cached;
    const Node& node = graph.nodes[static_cast<size_t>(producer)];
    const ValueId from = node.operands.front();
    const bool is_block_pool = graph.type(from).element == Type::q8_0;
    if (node.op->name == "gather_pages" && cached.gather == nullptr) {
      cached.gather = &node;
    } else if (node.op->name != "dequantize" || !is_block_pool ||
               graph.type(cached.value).element != Type::f32) {
      return cached;
    }
    cached.value = from;
    reader = &node;
  }
}

// A cache that the kernel reads itself, for all of k and v; nothing where the two are of different
// kinds.
struct Cache {
  Cached k, v;
  ValueId block_table = -1;  // of a paged one
};

std::optional<Cache> cache_of(const ir::graph::Graph& graph, const Node& node) {
  Cache cache{cached_by(graph, node, node.operands[kK]), cached_by(graph, node, node.operands[kV])};
  const TensorType& k = graph.type(cache.k.value);
  const TensorType& v = graph.type(cache.v.value);
  if (k.element != v.element || (cache.k.gather == nullptr) != (cache.v.gather == nullptr))
    return std::nullopt;
  if (cache.k.gather == nullptr) return cache;
  // One table and one number of pages for both, and the lengths that attention has, too.
  cache.block_table = cache.k.gather->operands[1];
  const TensorType& table = graph.type(cache.block_table);
  const HeadLayout layout = ir::graph::head_layout(node.attributes, 4);
  for (const Node* gather : {cache.k.gather, cache.v.gather}) {
    const HeadLayout pages = ir::graph::head_layout(gather->attributes, 4);
    if (gather->operands[1] != cache.block_table || operand(*gather, 2) < 0 ||
        operand(*gather, 2) != operand(node, kLengths) || pages.tokens != layout.tokens)
      return std::nullopt;
  }
  if (table.element != Type::i32 || k.shape.front() != v.shape.front() ||
      k.shape[layout.tokens] != v.shape[layout.tokens] || elements(table) == 0)
    return std::nullopt;
  return cache;
}

}  // namespace

bool select_attention(const LoweredGraph& lowered, const Node& node, Call& call,
                      std::string& reason) {
  const auto type = [&](ValueId value) -> const TensorType& { return lowered.graph.type(value); };
  const TensorType& q = type(node.operands[kQ]);
  const TensorType& k = type(node.operands[kK]);
  const TensorType& v = type(node.operands[kV]);
  // As the graph has them, or as the kernel reads them itself.
  Cache cache{{node.operands[kK]}, {node.operands[kV]}};
  if (call.family->parameter("cache") != nullptr)
    if (const auto found = cache_of(lowered.graph, node)) cache = *found;
  const TensorType& keys_read = type(cache.k.value);
  const TensorType& values_read = type(cache.v.value);
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
  if (elements(q) == 0 || elements(k) == 0 || elements(v) == 0 || elements(keys_read) == 0)
    return refused("nothing to do");
  if (keys_read.element != values_read.element)
    return refused("keys and values of different types");

  const int64_t keys = k.shape[layout.tokens].number();
  call.kind = CallKind::kernel;
  call.sizes = {{"batch", layout.batched ? q.shape.front().number() : 1},
                {"tokens", q.shape[layout.tokens].number()}};
  if (cache.block_table >= 0) {
    call.sizes["pages"] = keys_read.shape.front().number();
    call.sizes["most"] = type(cache.block_table).shape.back().number();
  } else {
    call.sizes["context"] = keys;
  }
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
  set("kv_type", ir::name(keys_read.element));
  if (cache.block_table >= 0) {
    set("cache", "paged");
    set("page", keys_read.shape[layout.tokens].number());
  }
  set("out", ir::name(type(node.results[0]).element));
  const auto read = [&](ValueId value, std::vector<int64_t> strides) {
    call.inputs.push_back(value);
    call.strides.push_back(std::move(strides));
  };
  for (const ValueId value : {node.operands[kQ], cache.k.value, cache.v.value})
    read(value, strides_of_heads(type(value), layout, true));
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
  if (cache.block_table >= 0)
    read(cache.block_table, ir::graph::row_major_strides(sizes_of(type(cache.block_table))));
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
