// Attention: which nodes kernels compute, and how their operands lie.
#include <algorithm>
#include <optional>

#include "compiler/lowering/attention_operands.h"
#include "compiler/lowering/select.h"
#include "ir/graph/strides.h"

namespace lathe::compiler::lowering {
namespace {

using ir::Type;
using ir::graph::HeadLayout;
using ir::graph::Node;
using ir::graph::TensorType;

// As [batch, heads, tokens, keys], or where it repeats for all keys [batch, heads, tokens, 1].
std::vector<int64_t> strides_of_mask(const TensorType& type) {
  std::vector<int64_t> strides =
      ir::graph::broadcast_strides(sizes_of(type), std::vector<int64_t>(4));
  strides.back() = 1;
  return strides;
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
    if (producer < 0 || is_read_elsewhere(graph, cached.value, *reader)) return cached;
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
    if (gather->operands[1] != cache.block_table || operand_of(*gather, 2) < 0 ||
        operand_of(*gather, 2) != operand_of(node, kLengths) || pages.tokens != layout.tokens)
      return std::nullopt;
  }
  if (table.element != Type::i32 || k.shape.front() != v.shape.front() ||
      k.shape[layout.tokens] != v.shape[layout.tokens] || elements(table) == 0)
    return std::nullopt;
  return cache;
}

bool is_of_rows(const TensorType& mask, int64_t keys) {
  return keys != 1 && (mask.shape.empty() || mask.shape.back().number() == 1);
}

// Lists that say which keys are seen, in place of a mask that is made of them: of blocks a count
// and numbers for each block of tokens, or numbers of pages.
struct Lists {
  const Node* mask = nullptr;  ///< block_mask or page_mask; null: there are no such lists
  std::vector<ValueId> values;
};

// Those of the unit that the family lists. They are of the same heads, tokens and keys as
// attention.
Lists lists_of(const ir::graph::Graph& graph, const Family& family, const Node& attention,
               const ir::graph::Shape& scores, int64_t kv_heads) {
  const bool lists_blocks = family.parameter("block") != nullptr;
  const ValueId mask = operand_of(attention, kMask);
  const Node* const node = producer_of(graph, mask, lists_blocks ? "block_mask" : "page_mask");
  if (node == nullptr) return {};
  ir::graph::Shape expected = scores;
  if (!lists_blocks) expected[2] = 1;
  Lists lists{node, {node->operands.end() - (lists_blocks ? 2 : 1), node->operands.end()}};
  const TensorType& first = graph.type(lists.values.front());
  return graph.type(mask).shape == expected && first.shape[1] == ir::graph::Dim(kv_heads) ? lists
                                                                                          : Lists{};
}

// Where tokens stand, as the word for it: "none" or "start" where an offset changes nothing, "end"
// where it is that of a last token at the last key. Nothing for other places.
std::optional<std::string> causal_of(const ir::graph::Graph& graph, const Node& node,
                                     int64_t last_offset) {
  const std::string& causal = node.attributes.word("causal");
  const ValueId offset = operand_of(node, kOffset);
  const bool has_places = causal != "none" || node.attributes.integer("window") > 0 ||
                          node.attributes.integer("lookahead") >= 0;
  if (offset < 0 || !has_places) return causal;
  const Node* const source = producer_of(graph, offset, "constant");
  if (source == nullptr) return std::nullopt;
  const double value = source->attributes.real("value");
  if (value == 0) return causal;
  const bool is_at_end = causal != "none" && operand_of(node, kCuSeqlens) < 0 &&
                         operand_of(node, kLengths) < 0 &&
                         value == static_cast<double>(last_offset);
  return is_at_end ? std::optional<std::string>("end") : std::nullopt;
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
  const HeadLayout key_layout = ir::graph::head_layout(node.attributes, k.shape.size());
  const auto refused = [&](const char* why) {
    reason = why;
    return false;
  };
  const size_t results = results_read(lowered.graph, node);
  if (results > 2) return refused("the scores are asked for, too");
  if (elements(q) == 0 || elements(k) == 0 || elements(v) == 0 || elements(keys_read) == 0)
    return refused("nothing to do");
  if (keys_read.element != values_read.element)
    return refused("keys and values of different types");

  const int64_t keys = k.shape[key_layout.tokens].number();
  const int64_t tokens = q.shape[layout.tokens].number();
  const int64_t heads = q.shape[layout.heads].number();
  const int64_t kv_heads = k.shape[key_layout.heads].number();
  const auto has = [&](std::string_view name) { return call.family->parameter(name) != nullptr; };
  Lists lists;
  if (has("kept")) {
    lists = lists_of(
        lowered.graph, *call.family, node,
        {key_layout.batched ? k.shape.front() : ir::graph::Dim(1), heads, tokens, keys}, kv_heads);
    if (lists.mask == nullptr) return refused("the mask is not made of lists");
  }
  const auto causal = causal_of(lowered.graph, node, keys - tokens);
  if (!causal) return refused("sequences that have places");
  call.outputs.assign(node.results.begin(),
                      node.results.begin() + static_cast<std::ptrdiff_t>(results));
  const bool is_packed = operand_of(node, kCuSeqlens) >= 0;
  const char* const packed = !is_packed                           ? "none"
                             : key_layout.batched                 ? "queries"
                             : operand_of(node, kCuSeqlensK) >= 0 ? "separate"
                                                                  : "shared";
  call.kind = CallKind::kernel;
  call.sizes = {{"batch", key_layout.batched ? k.shape.front().number() : 1}, {"tokens", tokens}};
  if (cache.block_table >= 0) {
    call.sizes["pages"] = keys_read.shape.front().number();
    call.sizes["most"] = type(cache.block_table).shape.back().number();
  } else {
    call.sizes["context"] = keys;
  }
  const auto set = [&](const char* name, const auto& value) {
    call.values[name] = fmt::format("{}", value);
  };
  set("tokens", tokens);
  set("context", keys);
  // What a family has no parameter for may be asked for only where it changes nothing.
  const auto set_unless_none = [&](const char* name, const auto& value) {
    if (value != 0 || has(name)) set(name, value);
  };
  set("heads", heads);
  set("kv_heads", kv_heads);
  set("dim", q.shape.back().number());
  set("value_dim", v.shape.back().number());
  set("causal", *causal);
  set_unless_none("window", node.attributes.integer("window"));
  if (is_packed) set("packed", packed);
  const int64_t lookahead = node.attributes.integer("lookahead");
  if (lookahead >= 0 && *causal == "none") set("lookahead", lookahead);  // else none is ahead
  if (const int64_t kept = node.attributes.integer("kept_keys"); kept > 0) set("kept_keys", kept);
  set_unless_none("softcap", node.attributes.real("softcap"));
  set("scale", node.attributes.real("scale"));
  set("type", ir::name(q.element));
  set("kv_type", ir::name(keys_read.element));
  // Of one head both layouts are the same.
  const bool is_heads_first = key_layout.heads < key_layout.tokens;
  if (is_heads_first && k.shape[key_layout.heads].number() > 1) set("kv_layout", "hnd");
  if (cache.block_table >= 0) {
    set("cache", "paged");
    set("page", keys_read.shape[key_layout.tokens].number());
  }
  set("out", ir::name(type(node.results[0]).element));
  const auto read = [&](ValueId value, std::vector<int64_t> strides) {
    call.inputs.push_back(value);
    call.strides.push_back(std::move(strides));
  };
  read(node.operands[kQ], strides_of_heads(q, layout, true));
  for (const ValueId value : {cache.k.value, cache.v.value})
    read(value, strides_of_heads(type(value), key_layout, true));
  if (lists.mask != nullptr) {
    const char* const unit = has("block") ? "block" : "page";
    const TensorType& numbers = type(lists.values.back());
    for (const ValueId list : lists.values) {
      if (type(list).element != Type::i32) return refused("lists that are not i32");
      read(list, ir::graph::row_major_strides(sizes_of(type(list))));
    }
    if (elements(numbers) == 0) return refused("lists without room");
    call.sizes["kept"] = numbers.shape.back().number();
    if (has("block")) call.sizes["query_blocks"] = numbers.shape[2].number();
    set(unit, lists.mask->attributes.integer(unit));
    set("kept", numbers.shape.back().number());
  } else if (const ValueId mask = operand_of(node, kMask); mask >= 0) {
    const bool is_boolean = type(mask).element == Type::boolean;
    set("mask", is_boolean ? "bool" : "add");
    if (!is_boolean) set("mask_type", ir::name(type(mask).element));
    set("mask_of_rows", is_of_rows(type(mask), keys));
    read(mask, strides_of_mask(type(mask)));
  }
  for (const size_t index : {kCuSeqlens, kCuSeqlensK}) {
    const ValueId bounds = operand_of(node, index);
    if (bounds < 0) continue;
    if (type(bounds).element != Type::i32) return refused("bounds of sequences that are not i32");
    read(bounds, {1});
  }
  if (const ValueId lengths = operand_of(node, kLengths); lengths >= 0) {
    const int64_t sequences = key_layout.batched ? k.shape.front().number() : 0;
    if (!is_one_each(lowered.graph, lengths, sequences))
      return refused("lengths that are not one i32 of each sequence");
    set("lengths", true);
    read(lengths, {1});
  }
  if (cache.block_table >= 0)
    read(cache.block_table, ir::graph::row_major_strides(sizes_of(type(cache.block_table))));
  if (const ValueId sinks = operand_of(node, kSinks); sinks >= 0) {
    if (type(sinks).element != Type::f32) return refused("sinks that are not f32");
    set("sinks", true);
    read(sinks, {1});
  }
  call.strides.push_back(strides_of_heads(type(node.results[0]), layout, true));
  if (results == 2) {
    set("lse", true);
    call.strides.push_back(strides_of_heads(type(node.results[1]), layout, false));
  }
  return is_problem(call, reason);
}

bool is_problem(const Call& call, std::string& reason) {
  std::string line = call.family->name;
  for (const auto& [name, value] : call.values) line += fmt::format(" {}={}", name, value);
  const auto problem = parse_problem(line);
  if (!problem) reason = problem.error().message;
  return problem.has_value();
}

}  // namespace lathe::compiler::lowering
