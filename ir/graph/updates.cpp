// Follows outputs back to the inputs that they update.
#include "ir/graph/updates.h"

#include <algorithm>

#include "ir/graph/op.h"

namespace lathe::ir::graph {
namespace {

// The input that the value is but for some elements, or kNoValue.
ValueId updated_by(const Graph& graph, ValueId id) {
  bool is_update = false;
  for (int32_t producer = graph.value(id).producer; producer >= 0;
       producer = graph.value(id).producer) {
    const Node& node = graph.nodes[static_cast<size_t>(producer)];
    if (node.op->updates >= 0 && graph.value(id).result == 0) {
      is_update = true;
      id = node.operands[static_cast<size_t>(node.op->updates)];
    } else if (is_op(node, "reshape")) {
      id = node.operands.front();
    } else {
      return kNoValue;
    }
  }
  return is_update ? id : kNoValue;
}

}  // namespace

std::vector<int> updated_inputs(const Graph& graph) {
  std::vector<int> updated;
  for (const ValueId output : graph.outputs) {
    const ValueId input = updated_by(graph, output);
    const auto found = std::find(graph.inputs.begin(), graph.inputs.end(), input);
    const int place =
        found == graph.inputs.end() ? -1 : static_cast<int>(found - graph.inputs.begin());
    const bool is_taken = std::find(updated.begin(), updated.end(), place) != updated.end();
    updated.push_back(is_taken ? -1 : place);
  }
  return updated;
}

std::vector<CallOperand> call_operands(const Graph& graph) {
  const std::vector<int> updated = updated_inputs(graph);
  std::vector<CallOperand> operands;
  for (size_t i = 0; i < graph.inputs.size(); ++i)
    if (std::find(updated.begin(), updated.end(), static_cast<int>(i)) == updated.end())
      operands.push_back({graph.inputs[i]});
  for (size_t i = 0; i < graph.outputs.size(); ++i)
    operands.push_back({graph.outputs[i], /*output=*/true, updated[i] >= 0});
  return operands;
}

}  // namespace lathe::ir::graph
