// Operands of row kernels: sizes, names, traffic.
#include "compiler/kernels/signature.h"

#include <algorithm>

namespace lathe::compiler::kernels {
namespace {

using ir::graph::Dim;

Port port_of(const FragmentInput& input, ir::Type type, ir::Type weight_type, int64_t width) {
  switch (input.kind) {
    case LeafKind::vector: return row_vector(input.name, weight_type, width);
    case LeafKind::column: return matrix(input.name, ir::Type::f32, 1);
    default: return matrix(input.name, type, width);
  }
}

bool is_graph_input(const Port& port) { return !port.output || port.updated(); }

const Port* find(const Signature& signature, std::string_view name) {
  const auto found = std::find_if(signature.begin(), signature.end(),
                                  [&](const Port& port) { return port.name == name; });
  return found == signature.end() ? nullptr : &*found;
}

}  // namespace

Port matrix(std::string name, ir::Type type, int64_t width) {
  return {std::move(name), type, {"rows", width}};
}

Port row_vector(std::string name, ir::Type type, int64_t width) {
  return {std::move(name), type, {width}};
}

Port output(Port port) {
  port.output = true;
  return port;
}

void add_inputs(Signature& signature, const Fragment& fragment, ir::Type type, ir::Type weight_type,
                int64_t width, std::string_view bound) {
  for (const FragmentInput& input : fragment.inputs()) {
    if (input.name == bound || find(signature, input.name) != nullptr) continue;
    signature.push_back(port_of(input, type, weight_type, width));
  }
}

Status check_inputs(const Signature& signature, const Fragment& fragment, int64_t width,
                    std::string_view parameter, const std::vector<std::string_view>& taken) {
  for (const FragmentInput& input : fragment.inputs()) {
    if (std::find(taken.begin(), taken.end(), input.name) != taken.end()) {
      return fail(ErrorCode::invalid_argument,
                  "{}: the input's name '{}' means something else here; choose another", parameter,
                  input.name);
    }
    const Port* known = find(signature, input.name);
    const Port wanted = port_of(input, ir::Type::f32, ir::Type::f32, width);
    if (known != nullptr && known->shape != wanted.shape) {
      return fail(ErrorCode::invalid_argument, "{}: input '{}' has shape {} here and {} elsewhere",
                  parameter, input.name, ir::graph::to_string(wanted.shape),
                  ir::graph::to_string(known->shape));
    }
  }
  return {};
}

std::vector<ir::graph::Var> add_graph_inputs(ir::graph::GraphBuilder& graph,
                                             const Signature& signature) {
  std::vector<ir::graph::Var> inputs;
  for (const Port& port : signature) {
    if (is_graph_input(port)) inputs.push_back(graph.input(port.name, port.type, port.shape));
  }
  return inputs;
}

ir::graph::Var NamedInputs::operator[](std::string_view name) const {
  size_t input = 0;
  for (const Port& port : signature_) {
    if (!is_graph_input(port)) continue;
    if (port.name == name) return inputs_[input];
    ++input;
  }
  return {};
}

ir::graph::Var NamedInputs::wide(std::string_view name) const {
  return cast_to(graph_, (*this)[name], ir::Type::f32);
}

ir::graph::Var cast_to(ir::graph::GraphBuilder& graph, ir::graph::Var x, ir::Type type) {
  if (graph.type(x).element == type) return x;
  return graph.op(ir::info(type).block_elements > 1 ? "quantize" : "cast", {x}, {{"type", type}});
}

ir::graph::Var fragment_graph(ir::graph::GraphBuilder& graph, const Fragment& fragment,
                              std::vector<ir::graph::Var> inputs, ir::Type out) {
  for (ir::graph::Var& input : inputs) input = cast_to(graph, input, ir::Type::f32);
  return cast_to(graph, to_graph(fragment, graph, inputs), out);
}

int64_t size_named(const Sizes& sizes, const std::string& name) {
  const auto found = sizes.find(name);
  return found == sizes.end() ? 1 : found->second;
}

Work work_of(const Signature& signature, const Sizes& sizes, double flops_per_row) {
  const auto rows = static_cast<double>(size_of(Dim("rows"), sizes));
  Work work;
  const auto batch = static_cast<double>(size_named(sizes, "batch"));
  const auto has_batch = [](const Port& port) { return port.dimension("batch") >= 0; };
  const bool is_batched = std::any_of(signature.begin(), signature.end(), has_batch);
  work.flops = flops_per_row * rows * (is_batched ? batch : 1);
  for (const Port& port : signature) {
    double bytes = 0;
    if (port.gathered) {
      const double whole = static_cast<double>(port.row_bytes(sizes));
      const double entries =
          static_cast<double>(std::max<int64_t>(size_of(port.shape.front(), sizes), 1));
      bytes = std::min(rows, entries) * whole / entries;
    } else {
      const bool has_rows = port.row_dimension() >= 0 || port.updated();
      bytes = static_cast<double>(port.row_bytes(sizes)) * (has_rows ? rows : 1);
      if (port.updated() && has_batch(port)) bytes *= batch;
    }
    (port.output ? work.bytes_written : work.bytes_read) += bytes;
  }
  return work;
}

}  // namespace lathe::compiler::kernels
