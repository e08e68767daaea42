// The reference interpreter: binds sizes, runs nodes in order, drops values after their last use.
#include "ir/graph/reference.h"

#include <optional>

#include "ir/graph/op.h"
#include "ir/graph/verify.h"

namespace lathe::ir::graph {
namespace {

constexpr int64_t kMaxValueElements = int64_t{1} << 28;

// One dimension of an input against its declaration; learns a name's size or checks it.
Status bind_dim(const Value& input, size_t index, int64_t found, DimBindings& bindings) {
  const Dim& dim = input.type.shape[index];
  if (dim.is_number()) {
    if (dim.number() == found) return {};
    return fail(ErrorCode::invalid_argument, "input %{}: found {} in dimension {}, expected {}",
                input.name, found, index, dim.number());
  }
  if (found % dim.factor != 0) {
    return fail(ErrorCode::invalid_argument,
                "input %{}: found {} in dimension {}, expected a multiple of {} ({})", input.name,
                found, index, dim.factor, to_string(dim));
  }
  const auto [entry, added] = bindings.emplace(dim.symbol, found / dim.factor);
  if (!added && entry->second != found / dim.factor) {
    return fail(ErrorCode::invalid_argument,
                "input %{}: found {} in dimension {} ({}), expected {} because an earlier input "
                "has {} = {}",
                input.name, found, index, to_string(dim), dim.factor * entry->second, dim.symbol,
                entry->second);
  }
  return {};
}

Status check_sizes(const Graph& graph, const Node& node) {
  for (const ValueId id : node.results) {
    LATHE_TRY(const DimProduct count, product(graph.type(id).shape));
    LATHE_CHECK(numbers(graph.type(id).shape));
    if (count.factor > kMaxValueElements) {
      return fail(ErrorCode::resource_exhausted, "{}: {} has {} elements, expected at most {}",
                  describe(graph, node), to_string(graph.type(id)), count.factor,
                  kMaxValueElements);
    }
  }
  return {};
}

// For each value the index of the last node that reads it; the node count for outputs.
std::vector<size_t> last_uses(const Graph& graph) {
  std::vector<size_t> last(graph.values.size(), 0);
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    for (const ValueId id : graph.nodes[i].operands) {
      if (id != kNoValue) last[static_cast<size_t>(id)] = i;
    }
  }
  for (const ValueId id : graph.outputs) last[static_cast<size_t>(id)] = graph.nodes.size();
  return last;
}

Result<std::vector<Array>> run_node(const Graph& graph, const Node& node,
                                    const std::vector<std::optional<Array>>& arrays) {
  LATHE_CHECK(check_sizes(graph, node));
  std::vector<const Array*> operands;
  for (const ValueId id : node.operands) {
    operands.push_back(id == kNoValue ? nullptr : &*arrays[static_cast<size_t>(id)]);
  }
  std::vector<TensorType> types;
  for (const ValueId id : node.results) types.push_back(graph.type(id));
  auto results = node.op->eval(EvalContext{operands, node.attributes, types});
  if (!results) {
    return fail(results.error().code, "{}: {}", describe(graph, node), results.error().message);
  }
  return results;
}

}  // namespace

Result<DimBindings> bind_inputs(const Graph& graph, std::span<const InputShape> inputs) {
  if (inputs.size() != graph.inputs.size()) {
    return fail(ErrorCode::invalid_argument, "graph {}: found {} inputs, expected {}", graph.name,
                inputs.size(), graph.inputs.size());
  }
  DimBindings bindings;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Value& input = graph.value(graph.inputs[i]);
    const std::span<const int64_t> shape = inputs[i].shape;
    if (inputs[i].type != input.type.element || shape.size() != input.type.shape.size()) {
      const TensorType found{inputs[i].type, Shape(shape.begin(), shape.end())};
      return fail(ErrorCode::invalid_argument, "input %{}: found {}, expected {}", input.name,
                  to_string(found), to_string(input.type));
    }
    for (size_t d = 0; d < shape.size(); ++d) LATHE_CHECK(bind_dim(input, d, shape[d], bindings));
  }
  return bindings;
}

Result<DimBindings> bind_inputs(const Graph& graph, std::span<const Tensor> inputs) {
  std::vector<InputShape> shapes;
  for (const Tensor& input : inputs) shapes.push_back({input.type(), input.shape()});
  return bind_inputs(graph, shapes);
}

Result<std::vector<Array>> evaluate_arrays(const Graph& graph, std::span<const Tensor> inputs) {
  LATHE_TRY(const DimBindings bindings, bind_inputs(graph, inputs));
  LATHE_TRY(const Graph bound, bind_dims(graph, bindings));

  std::vector<std::optional<Array>> arrays(bound.values.size());
  for (size_t i = 0; i < inputs.size(); ++i) {
    arrays[static_cast<size_t>(bound.inputs[i])] = to_array(inputs[i]);
  }
  const auto last = last_uses(bound);
  for (size_t i = 0; i < bound.nodes.size(); ++i) {
    const Node& node = bound.nodes[i];
    LATHE_TRY(auto results, run_node(bound, node, arrays));
    for (size_t r = 0; r < node.results.size(); ++r) {
      arrays[static_cast<size_t>(node.results[r])] = std::move(results[r]);
    }
    for (const ValueId id : node.operands) {
      if (id != kNoValue && last[static_cast<size_t>(id)] == i)
        arrays[static_cast<size_t>(id)].reset();
    }
  }
  std::vector<Array> outputs;
  for (const ValueId id : bound.outputs) outputs.push_back(*arrays[static_cast<size_t>(id)]);
  return outputs;
}

Result<std::vector<DoubleTensor>> evaluate_double(const Graph& graph,
                                                  std::span<const Tensor> inputs) {
  LATHE_TRY(const auto arrays, evaluate_arrays(graph, inputs));
  std::vector<DoubleTensor> outputs;
  for (const Array& array : arrays) outputs.push_back({array.type, array.shape, to_doubles(array)});
  return outputs;
}

Result<std::vector<Tensor>> evaluate(const Graph& graph, std::span<const Tensor> inputs) {
  LATHE_TRY(const auto arrays, evaluate_arrays(graph, inputs));
  std::vector<Tensor> outputs;
  for (const Array& array : arrays) outputs.push_back(to_tensor(array));
  return outputs;
}

}  // namespace lathe::ir::graph
