// Queries on graphs, and the spelling of names.
#include "ir/graph/graph.h"

#include <algorithm>

#include "ir/graph/characters.h"
#include "ir/graph/op.h"

namespace lathe::ir::graph {
const TensorType* Graph::operand_type(const Node& node, size_t index) const {
  if (index >= node.operands.size() || node.operands[index] == kNoValue) return nullptr;
  return &type(node.operands[index]);
}

ValueId Graph::find(std::string_view value_name) const {
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i].name == value_name) return static_cast<ValueId>(i);
  }
  return kNoValue;
}

std::vector<int32_t> Graph::users(ValueId id) const {
  std::vector<int32_t> result;
  for (size_t i = 0; i < nodes.size(); ++i) {
    const auto& operands = nodes[i].operands;
    if (std::find(operands.begin(), operands.end(), id) != operands.end()) {
      result.push_back(static_cast<int32_t>(i));
    }
  }
  return result;
}

std::vector<std::string> Graph::dim_names() const {
  std::vector<std::string> names;
  for (const ValueId input : inputs) {
    for (const Dim& dim : type(input).shape) {
      if (!dim.is_number() && std::find(names.begin(), names.end(), dim.symbol) == names.end()) {
        names.push_back(dim.symbol);
      }
    }
  }
  return names;
}

bool is_op(const Node& node, std::string_view op_name) {
  return node.op != nullptr && node.op->name == op_name;
}

std::string describe(const Graph& graph, const Node& node) {
  std::string text;
  if (node.location.line > 0) {
    text = fmt::format("{}:{}: ", node.location.line, node.location.column);
  }
  const bool named = !node.results.empty() && node.results.front() >= 0 &&
                     static_cast<size_t>(node.results.front()) < graph.values.size();
  return fmt::format("{}%{} = {}", text, named ? graph.value(node.results.front()).name : "?",
                     node.op != nullptr ? node.op->name : "?");
}

bool is_value_name(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_name_character);
}

bool is_word(std::string_view text) {
  return is_value_name(text) && is_letter(text.front()) && text != "_";
}

}  // namespace lathe::ir::graph
