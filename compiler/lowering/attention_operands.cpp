// Strides, readers and producers.
#include "compiler/lowering/attention_operands.h"

#include <algorithm>

#include "ir/graph/op.h"
#include "ir/graph/strides.h"

namespace lathe::compiler::lowering {

using ir::graph::Graph;
using ir::graph::Node;
using ir::graph::TensorType;
using ir::graph::ValueId;

ValueId operand_of(const Node& node, size_t index) {
  return index < node.operands.size() ? node.operands[index] : -1;
}

const Node* producer_of(const Graph& graph, ValueId value) {
  const int32_t producer = value < 0 ? -1 : graph.value(value).producer;
  return producer < 0 ? nullptr : &graph.nodes[static_cast<size_t>(producer)];
}

const Node* producer_of(const Graph& graph, ValueId value, std::string_view op) {
  const Node* const node = producer_of(graph, value);
  return node != nullptr && node->op->name == op ? node : nullptr;
}

std::vector<int64_t> sizes_of(const TensorType& type) {
  std::vector<int64_t> sizes;
  for (const ir::graph::Dim& dim : type.shape) sizes.push_back(dim.number());
  return sizes;
}

std::vector<int64_t> strides_of_heads(const TensorType& type, const ir::graph::HeadLayout& layout,
                                      bool has_size) {
  std::vector<int64_t> sizes = sizes_of(type);
  if (!has_size) sizes.push_back(1);
  const std::vector<int64_t> dense = ir::graph::row_major_strides(sizes);
  return {layout.batched ? dense[0] : 0, dense[layout.tokens], dense[layout.heads], 1};
}

bool is_read_elsewhere(const Graph& graph, ValueId value, const Node& reader) {
  if (std::find(graph.outputs.begin(), graph.outputs.end(), value) != graph.outputs.end())
    return true;
  return std::any_of(graph.nodes.begin(), graph.nodes.end(), [&](const Node& node) {
    return &node != &reader &&
           std::find(node.operands.begin(), node.operands.end(), value) != node.operands.end();
  });
}

size_t results_read(const Graph& graph, const Node& node) {
  size_t count = node.results.size();
  while (count > 1 && !is_read_elsewhere(graph, node.results[count - 1], node)) --count;
  return count;
}

bool is_one_each(const Graph& graph, ValueId value, int64_t sequences) {
  if (value < 0) return true;
  const TensorType& type = graph.type(value);
  return type.element == ir::Type::i32 && (type.shape.size() == 1 || sequences == 1);
}

}  // namespace lathe::compiler::lowering
