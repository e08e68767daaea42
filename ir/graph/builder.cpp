// Adding values and nodes one by one, keeping the first mistake.
#include "ir/graph/builder.h"

#include "ir/graph/ops.h"
#include "ir/graph/verify.h"

namespace lathe::ir::graph {

GraphBuilder::GraphBuilder(std::string name) { graph_.name = std::move(name); }

void GraphBuilder::keep(Error error) {
  if (!error_) error_ = std::move(error);
}

Var GraphBuilder::add_value(std::string name, TensorType type, int32_t producer, int32_t result) {
  if (name.empty()) {
    do {
      name = std::to_string(next_name_++);
    } while (graph_.find(name) != kNoValue);
  }
  graph_.values.push_back({.name = std::move(name),
                           .type = std::move(type),
                           .producer = producer,
                           .result = result,
                           .location = {}});
  return {static_cast<ValueId>(graph_.values.size() - 1)};
}

Var GraphBuilder::input(std::string name, Type type, Shape shape) {
  if (error_) return {};
  const Var var = add_value(std::move(name), {type, std::move(shape)}, -1, 0);
  graph_.inputs.push_back(var.id);
  return var;
}

Var GraphBuilder::op(std::string_view op_name, const std::vector<Var>& operands,
                     const std::vector<NamedAttribute>& attributes, std::string name) {
  return add_node(op_name, operands, 1, attributes, std::move(name))[0];
}

std::vector<Var> GraphBuilder::op_results(std::string_view op_name,
                                          const std::vector<Var>& operands, int count,
                                          const std::vector<NamedAttribute>& attributes) {
  return add_node(op_name, operands, count, attributes, {});
}

std::vector<Var> GraphBuilder::add_node(std::string_view op_name, const std::vector<Var>& operands,
                                        int count, const std::vector<NamedAttribute>& attributes,
                                        std::string first_name) {
  const auto add = [&]() -> Result<std::vector<Var>> {
    LATHE_TRY(const Op* op, find_op(op_name));
    Node node;
    node.op = op;
    for (const Var operand : operands) node.operands.push_back(operand.id);
    while (!node.operands.empty() && node.operands.back() == kNoValue) node.operands.pop_back();
    Attributes given;
    for (const NamedAttribute& attribute : attributes) given.set(attribute.name, attribute.value);
    LATHE_TRY(node.attributes, complete_attributes(*op, given));
    std::vector<const TensorType*> types;
    for (size_t i = 0; i < node.operands.size(); ++i) types.push_back(graph_.operand_type(node, i));
    LATHE_TRY(auto results, infer_node(*op, types, node.attributes, count));
    std::vector<Var> vars;
    for (int i = 0; i < count; ++i) {
      vars.push_back(add_value(i == 0 ? first_name : std::string(),
                               std::move(results[static_cast<size_t>(i)]),
                               static_cast<int32_t>(graph_.nodes.size()), i));
      node.results.push_back(vars.back().id);
    }
    graph_.nodes.push_back(std::move(node));
    return vars;
  };
  if (!error_) {
    auto vars = add();
    if (vars) return std::move(*vars);
    keep(Error{vars.error().code, fmt::format("graph {}, node {}: {}", graph_.name,
                                              graph_.nodes.size(), vars.error().message)});
  }
  return std::vector<Var>(count > 0 ? static_cast<size_t>(count) : 1);
}

Var GraphBuilder::constant(double value, Type type, Shape shape) {
  return op("constant", {}, {{"value", value}, {"type", type}, {"shape", std::move(shape)}});
}

TensorType GraphBuilder::type(Var var) const {
  return var.id == kNoValue ? TensorType{} : graph_.type(var.id);
}

Result<Graph> GraphBuilder::finish(const std::vector<Var>& outputs) {
  Graph graph = std::exchange(graph_, Graph{});
  next_name_ = 0;
  if (auto error = std::exchange(error_, std::nullopt)) return tl::unexpected(std::move(*error));
  for (const Var output : outputs) graph.outputs.push_back(output.id);
  LATHE_CHECK(verify(graph));
  return graph;
}

}  // namespace lathe::ir::graph
