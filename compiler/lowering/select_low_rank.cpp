// Attention against factors: which products make its keys and values, and what it is merged with.
#include <algorithm>
#include <optional>
#include <utility>

#include "compiler/lowering/attention_operands.h"
#include "compiler/lowering/select.h"

namespace lathe::compiler::lowering {
namespace {

using ir::Type;
using ir::graph::Graph;
using ir::graph::HeadLayout;
using ir::graph::Node;
using ir::graph::Shape;
using ir::graph::TensorType;

// Keys or values as rows [batch, tokens, heads, rank] times matrices [up_heads, rank, size].
struct Factors {
  ValueId rows = -1;
  std::vector<int64_t> strides;  ///< of the rows
  int64_t tokens = 0, heads = 0, rank = 0;
  ValueId up = -1;
  int64_t up_heads = 0, size = 0;
};

// What the value was transposed from where that swaps its second and third dimension of four; -1.
ValueId with_heads_swapped(const Graph& graph, ValueId value) {
  const Node* const node = producer_of(graph, value, "transpose");
  const std::vector<int64_t> swapped = {0, 2, 1, 3};
  return node != nullptr && node->attributes.integers("perm") == swapped ? node->operands.front()
                                                                         : -1;
}

// What the value is as f32: kernels widen 16-bit numbers themselves, exactly.
ValueId unwidened(const Graph& graph, ValueId value) {
  const Node* const node = producer_of(graph, value, "cast");
  if (node == nullptr || graph.type(value).element != Type::f32) return value;
  const Type from = graph.type(node->operands.front()).element;
  return from == Type::f16 || from == Type::bf16 ? node->operands.front() : value;
}

// Factors of k or v, which nothing but that node reads. The product has heads before tokens; where
// attention has them the other way about it is transposed, and so may the rows be. A number of
// heads of q for each of k may be a dimension of its own in the product.
std::optional<Factors> factors_of(const Graph& graph, const Node& attention, ValueId value) {
  const HeadLayout layout = ir::graph::head_layout(attention.attributes, 4);
  const Node* reader = &attention;
  const auto step_to = [&](ValueId from) {
    reader = producer_of(graph, value);
    value = from;
    return value >= 0 && !is_read_elsewhere(graph, value, *reader);
  };
  if (is_read_elsewhere(graph, value, attention)) return std::nullopt;
  if (layout.tokens < layout.heads && !step_to(with_heads_swapped(graph, value)))
    return std::nullopt;
  const Shape whole = graph.type(value).shape;  // [batch, up_heads, tokens, size]
  if (const Node* const join = producer_of(graph, value, "reshape"); join != nullptr) {
    const Shape& parts = graph.type(join->operands.front()).shape;
    const bool joins_heads =
        parts.size() == 5 && parts[0] == whole[0] && parts[3] == whole[2] && parts[4] == whole[3];
    if (!joins_heads || !step_to(join->operands.front())) return std::nullopt;
  }
  const Node* const multiply = producer_of(graph, value, "matmul");
  if (multiply == nullptr) return std::nullopt;
  Factors factors;
  factors.rows = unwidened(graph, multiply->operands[0]);
  factors.up = unwidened(graph, multiply->operands[1]);
  const Shape left = graph.type(factors.rows).shape, right = graph.type(factors.up).shape;
  const Shape& result = graph.type(value).shape;
  if (left.size() != result.size() || right.size() < 2 || right.size() > result.size())
    return std::nullopt;
  factors.heads = left[1].number();
  factors.tokens = left[left.size() - 2].number();
  factors.rank = left.back().number();
  factors.up_heads = whole[1].number();
  factors.size = whole[3].number();
  // Each head has a matrix of its own, the same for the whole batch; rows are of each item of it,
  // and the heads that share a head of k share them.
  Shape matrices(result.size() - right.size(), 1);
  matrices.insert(matrices.end(), right.begin(), right.end() - 2);
  const bool has_each = matrices.front() == ir::graph::Dim(1) &&
                        std::equal(matrices.begin() + 1, matrices.end(), result.begin() + 1);
  if (!has_each || left[0] != whole[0] || (left.size() == 5 && left[2] != ir::graph::Dim(1)))
    return std::nullopt;
  const int64_t heads = factors.heads, tokens = factors.tokens, rank = factors.rank;
  factors.strides = {heads * tokens * rank, rank, tokens * rank, 1};
  // Rows that lie the other way about are read so.
  ValueId by_head = factors.rows;
  const Node* const split = producer_of(graph, by_head, "reshape");
  if (split != nullptr && graph.type(split->operands.front()).shape ==
                              Shape{left[0], left[1], left[left.size() - 2], left.back()})
    by_head = unwidened(graph, split->operands.front());
  if (const ValueId by_token = with_heads_swapped(graph, by_head); by_token >= 0) {
    factors.rows = unwidened(graph, by_token);
    factors.strides = {heads * tokens * rank, heads * rank, rank, 1};
  }
  return factors;
}

// attention_low_rank as a graph has it: attention against products, and where it is merged with
// attention against the keys that follow, that, too.
struct Matched {
  const Node* factored = nullptr;
  const Node* recent = nullptr;  ///< null: there is none
  Factors k, v;
};

// Attention that is asked for no more than the family has parameters for.
bool is_plain(const Node& attention) {
  for (const size_t index : {kMask, kCuSeqlens, kCuSeqlensK, kOffset})
    if (operand_of(attention, index) >= 0) return false;
  return attention.attributes.integer("window") == 0 &&
         attention.attributes.integer("lookahead") < 0;
}

std::optional<Matched> match_factored(const Graph& graph, const Node& attention) {
  if (!is_plain(attention) || graph.type(attention.operands[kQ]).shape.size() != 4 ||
      graph.type(attention.operands[kK]).shape.size() != 4)
    return std::nullopt;
  auto k = factors_of(graph, attention, attention.operands[kK]);
  auto v = k ? factors_of(graph, attention, attention.operands[kV]) : std::nullopt;
  if (!v || v->heads != k->heads) return std::nullopt;
  return Matched{&attention, nullptr, std::move(*k), std::move(*v)};
}

// The node that attention's results y and log_sum_exp alone go to.
const Node* merged_attention(const Graph& graph, const Node& merge, size_t first) {
  const Node* const node = producer_of(graph, merge.operands[first], "attention");
  if (node == nullptr || node->results.size() < 2 || results_read(graph, *node) > 2) return nullptr;
  for (size_t i = 0; i < 2; ++i) {
    if (merge.operands[first + i] != node->results[i] ||
        is_read_elsewhere(graph, node->results[i], merge))
      return nullptr;
  }
  return node;
}

// Either part may be the one of factors.
std::optional<Matched> match_merged(const Graph& graph, const Node& merge) {
  for (const size_t first : {size_t{0}, size_t{2}}) {
    const Node* const factored = merged_attention(graph, merge, first);
    const Node* const recent = merged_attention(graph, merge, 2 - first);
    if (factored == nullptr || recent == nullptr) continue;
    const auto equal = [&](const char* name) {
      return *factored->attributes.find(name) == *recent->attributes.find(name);
    };
    if (factored->operands[kQ] != recent->operands[kQ] || !is_plain(*recent) ||
        operand_of(*recent, kSinks) >= 0 || operand_of(*recent, kLengths) < 0 ||
        factored->attributes.word("causal") != "none" || !equal("scale") || !equal("softcap") ||
        !equal("layout"))
      continue;
    auto matched = match_factored(graph, *factored);
    if (!matched) continue;
    matched->recent = recent;
    return matched;
  }
  return std::nullopt;
}

}  // namespace

bool select_low_rank(const LoweredGraph& lowered, const Node& node, Call& call,
                     std::string& reason) {
  const Graph& graph = lowered.graph;
  const auto type = [&](ValueId value) -> const TensorType& { return graph.type(value); };
  const auto refused = [&](const char* why) {
    reason = why;
    return false;
  };
  const bool is_merge = node.op->name == "merge_attention";
  const auto matched = is_merge ? match_merged(graph, node) : match_factored(graph, node);
  if (!matched) {
    return refused(is_merge ? "kernels merge attention against factors of low rank with attention "
                              "against whole keys that have lengths"
                            : "keys and values are not made of factors");
  }
  const Node& factored = *matched->factored;
  const Factors &of_k = matched->k, &of_v = matched->v;
  const Node* const recent = matched->recent;
  const HeadLayout layout = ir::graph::head_layout(
      node.op->name == "attention" ? node.attributes : factored.attributes, 4);
  const TensorType& q = type(factored.operands[kQ]);
  const int64_t batch = q.shape.front().number(), tokens = q.shape[layout.tokens].number();
  const int64_t heads = q.shape[layout.heads].number();
  const size_t results = results_read(graph, node);
  if (results > 2) return refused("the scores are asked for, too");
  if (elements(q) == 0 || elements(type(of_k.rows)) == 0 || elements(type(of_v.rows)) == 0 ||
      elements(type(of_k.up)) == 0 || elements(type(of_v.up)) == 0)
    return refused("nothing to do");
  if (of_k.up_heads != of_k.heads && of_k.up_heads != heads)
    return refused("matrices that are neither of the heads of q nor of those of k");
  call.kind = CallKind::kernel;
  call.outputs.assign(node.results.begin(),
                      node.results.begin() + static_cast<std::ptrdiff_t>(results));
  call.sizes = {{"batch", batch}, {"tokens", tokens}, {"context", of_k.tokens}};
  const auto set = [&](const char* name, const auto& value) {
    call.values[name] = fmt::format("{}", value);
  };
  set("tokens", tokens);
  set("context", of_k.tokens);
  set("heads", heads);
  set("kv_heads", of_k.heads);
  set("dim", of_k.size);
  set("value_dim", of_v.size);
  set("rank", of_k.rank);
  set("value_rank", of_v.rank);
  set("up", of_k.up_heads == of_k.heads ? "kv_heads" : "heads");
  set("causal", (recent != nullptr ? recent : &factored)->attributes.word("causal"));
  set("softcap", factored.attributes.real("softcap"));
  set("scale", factored.attributes.real("scale"));
  set("type", ir::name(q.element));
  set("kv_type", ir::name(type(of_k.rows).element));
  set("weight_type", ir::name(type(of_k.up).element));
  set("out", ir::name(type(node.results[0]).element));
  const auto read = [&](ValueId value, std::vector<int64_t> strides) {
    call.inputs.push_back(value);
    call.strides.push_back(std::move(strides));
  };
  read(factored.operands[kQ], strides_of_heads(q, layout, true));
  read(of_k.rows, of_k.strides);
  read(of_v.rows, of_v.strides);
  for (const Factors* const factors : {&of_k, &of_v})
    read(factors->up, {factors->rank * factors->size, factors->size, 1});
  if (recent != nullptr) {
    const TensorType& k = type(recent->operands[kK]);
    if (k.shape.size() != 4 || k.shape[layout.heads].number() != of_k.heads || elements(k) == 0 ||
        elements(type(recent->operands[kV])) == 0)
      return refused("whole keys that have not the heads of the factors");
    set("recent", k.shape[layout.tokens].number());
    for (const size_t index : {kK, kV}) {
      const ValueId cached = unwidened(graph, recent->operands[index]);
      read(cached, strides_of_heads(type(cached), layout, true));
    }
  }
  for (const Node* const part : {&factored, recent}) {
    const ValueId lengths = part == nullptr ? -1 : operand_of(*part, kLengths);
    if (!is_one_each(graph, lengths, batch))
      return refused("lengths that are not one i32 of each sequence");
    if (lengths < 0) continue;
    if (part == &factored) set("lengths", true);
    read(lengths, {1});
  }
  // Operands of one parameter each are of one type.
  for (size_t i = 2; i < call.inputs.size(); ++i) {
    const Type found = type(call.inputs[i]).element;
    const bool is_matrix = i == 3 || i == 4;
    if (found != Type::i32 && found != type(is_matrix ? of_k.up : of_k.rows).element)
      return refused("keys and values of different types");
  }
  if (const ValueId sinks = operand_of(factored, kSinks); sinks >= 0) {
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

}  // namespace lathe::compiler::lowering
