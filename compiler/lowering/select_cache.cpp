// Writes into caches: which nodes the kernel computes, and how their operands lie.
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

// Of a tensor of heads, as [tokens, heads, size], after the batch where there is one that is kept.
std::vector<int64_t> strides_as_tokens(const TensorType& type, const HeadLayout& layout,
                                       bool keep_batch) {
  std::vector<int64_t> sizes;
  for (const ir::graph::Dim& dim : type.shape) sizes.push_back(dim.number());
  const std::vector<int64_t> dense = ir::graph::row_major_strides(sizes);
  std::vector<int64_t> strides = {dense[layout.tokens], dense[layout.heads], 1};
  if (keep_batch) strides.insert(strides.begin(), dense.front());
  return strides;
}

// Where `value` is a transpose of just tokens and heads of another, that other; else -1.
ValueId with_heads_the_other_way(const ir::graph::Graph& graph, ValueId value) {
  const int32_t producer = graph.value(value).producer;
  if (producer < 0) return -1;
  const Node& node = graph.nodes[static_cast<size_t>(producer)];
  if (node.op->name != "transpose") return -1;
  const std::vector<int64_t>& perm = node.attributes.integers("perm");
  const bool swaps =
      perm == std::vector<int64_t>{1, 0, 2} || perm == std::vector<int64_t>{0, 2, 1, 3};
  return swaps ? node.operands.front() : -1;
}

}  // namespace

bool select_write_cache(const LoweredGraph& lowered, const Node& node, Call& call,
                        std::string& reason) {
  const ir::graph::Graph& graph = lowered.graph;
  const ValueId cache = node.operands[0], positions = node.operands[2];
  ValueId rows = node.operands[1];
  const TensorType& type = graph.type(cache);
  const HeadLayout layout = ir::graph::head_layout(node.attributes, type.shape.size());
  if (elements(type) == 0 || elements(graph.type(rows)) == 0) {
    reason = "the cache or its new rows are empty";
    return false;
  }
  HeadLayout rows_layout = layout;
  if (const ValueId source = with_heads_the_other_way(graph, rows); source >= 0) {
    rows = source;
    std::swap(rows_layout.tokens, rows_layout.heads);
  }
  const int64_t batch = layout.batched ? type.shape.front().number() : 1;
  const int64_t tokens = graph.type(rows).shape[rows_layout.tokens].number();
  const bool is_batched = batch > 1;
  call.kind = CallKind::kernel;
  call.inputs = {rows, positions};
  call.updates = cache;
  call.rows = batch * tokens;
  call.batch = batch;
  call.values["heads"] = std::to_string(type.shape[layout.heads].number());
  call.values["dim"] = std::to_string(type.shape.back().number());
  call.values["type"] = call.values["out"] = ir::name(type.element);
  if (graph.type(positions).element != Type::i32)
    call.values["slots_type"] = ir::name(graph.type(positions).element);
  if (is_batched) call.values["slots"] = "batched";
  call.sizes = {{"rows", tokens}, {"capacity", type.shape[layout.tokens].number()}};
  if (is_batched) call.sizes["batch"] = batch;
  // The items of a batch may share their positions.
  const bool is_shared = is_batched && graph.type(positions).shape.size() == 1;
  call.strides = {strides_as_tokens(graph.type(rows), rows_layout, is_batched),
                  is_shared ? std::vector<int64_t>{0, 1} : std::vector<int64_t>{},
                  strides_as_tokens(type, layout, is_batched)};
  return true;
}

}  // namespace lathe::compiler::lowering
