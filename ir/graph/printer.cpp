// Graph to .lir text.
#include "ir/graph/op.h"
#include "ir/graph/text.h"

namespace lathe::ir::graph {
namespace {

std::string operand_name(const Graph& graph, ValueId id) {
  return id == kNoValue ? "_" : "%" + graph.value(id).name;
}

template <typename List, typename Print>
std::string join(const List& list, Print print) {
  std::string text;
  for (const auto& item : list) {
    if (!text.empty()) text += ", ";
    text += print(item);
  }
  return text;
}

std::string print_attributes(const Node& node) {
  std::string text;
  for (const AttributeSpec& spec : node.op->attributes) {
    const AttributeValue* value = node.attributes.find(spec.name);
    if (value == nullptr || (spec.default_value && *value == *spec.default_value)) continue;
    text += fmt::format("{}{} = {}", text.empty() ? " {" : ", ", spec.name, to_string(*value));
  }
  return text.empty() ? text : text + "}";
}

}  // namespace

std::string print(const Graph& graph, PrintTypes types) {
  const auto operand = [&](ValueId id) { return operand_name(graph, id); };
  const auto typed = [&](ValueId id) { return operand(id) + ": " + to_string(graph.type(id)); };
  std::string text = fmt::format("graph {}({}) -> ({}) {{\n", graph.name, join(graph.inputs, typed),
                                 join(graph.outputs, operand));
  for (const Node& node : graph.nodes) {
    text += fmt::format("  {} = {}({}){}", join(node.results, operand), node.op->name,
                        join(node.operands, operand), print_attributes(node));
    if (types == PrintTypes::yes) {
      text += " : " + join(node.results, [&](ValueId id) { return to_string(graph.type(id)); });
    }
    text += "\n";
  }
  return text + "}\n";
}

}  // namespace lathe::ir::graph
