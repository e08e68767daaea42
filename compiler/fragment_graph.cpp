// A fragment as graph nodes: its reference semantics.
#include <string_view>

#include "compiler/fragment.h"

namespace lathe::compiler {
namespace {

using Op = Fragment::Op;
using ir::graph::GraphBuilder;
using ir::graph::Var;

// The graph's name of a function that is one node without attributes.
std::string_view graph_name(Op op) {
  switch (op) {
    case Op::recip: return "reciprocal";
    case Op::lt: return "less";
    case Op::le: return "less_equal";
    case Op::gt: return "greater";
    case Op::ge: return "greater_equal";
    case Op::eq: return "equal";
    case Op::ne: return "not_equal";
    default: return name(op);
  }
}

Var round_through(GraphBuilder& graph, Var x, ir::Type type) {
  return graph.op("cast", {graph.op("cast", {x}, {{"type", type}})}, {{"type", ir::Type::f32}});
}

}  // namespace

Var to_graph(const Fragment& fragment, GraphBuilder& graph, const std::vector<Var>& inputs) {
  std::vector<Var> values;
  for (const Fragment::Node& node : fragment.nodes()) {
    std::vector<Var> arguments;
    for (const int argument : node.arguments)
      arguments.push_back(values[static_cast<size_t>(argument)]);
    switch (node.op) {
      case Op::input: values.push_back(inputs[static_cast<size_t>(node.input)]); break;
      case Op::number: values.push_back(graph.constant(static_cast<double>(node.number))); break;
      case Op::gelu_tanh:
      case Op::gelu_erf:
        values.push_back(graph.op("gelu", arguments,
                                  {{"approximate", node.op == Op::gelu_erf ? "none" : "tanh"}}));
        break;
      case Op::round_bf16:
        values.push_back(round_through(graph, arguments[0], ir::Type::bf16));
        break;
      case Op::round_f16:
        values.push_back(round_through(graph, arguments[0], ir::Type::f16));
        break;
      default: values.push_back(graph.op(graph_name(node.op), arguments));
    }
  }
  return values.back();
}

}  // namespace lathe::compiler
