// Graphs in the C++ interface: text in, an executor behind it.
#include <lathe/graph.h>

#include "ir/graph/text.h"
#include "runtime/graph/executor.h"

namespace lathe {
namespace {

constexpr std::string_view kNoGraph = "this Graph is empty; load one with a Library";

GraphOperand describe(const ir::graph::Value& value) {
  GraphOperand operand{value.name, static_cast<DataType>(value.type.element)};
  for (const ir::graph::Dim& dim : value.type.shape)
    operand.shape.push_back({dim.factor, dim.symbol});
  return operand;
}

}  // namespace

struct Graph::State {
  std::unique_ptr<runtime::Executor> executor;
  std::vector<GraphOperand> inputs, outputs;
};

std::span<const GraphOperand> Graph::inputs() const {
  return state_ ? std::span<const GraphOperand>(state_->inputs) : std::span<const GraphOperand>();
}

std::span<const GraphOperand> Graph::outputs() const {
  return state_ ? std::span<const GraphOperand>(state_->outputs) : std::span<const GraphOperand>();
}

Result<std::vector<std::vector<int64_t>>> Graph::output_shapes(
    std::span<const TensorView> inputs) const {
  if (!state_) return fail(ErrorCode::invalid_argument, "{}", kNoGraph);
  return state_->executor->output_shapes(inputs);
}

Status Graph::operator()(std::span<const TensorView> inputs,
                         std::span<const TensorView> outputs) const {
  if (!state_) return fail(ErrorCode::invalid_argument, "{}", kNoGraph);
  return state_->executor->run(inputs, outputs);
}

Status Graph::operator()(std::initializer_list<TensorView> inputs,
                         std::initializer_list<TensorView> outputs) const {
  return (*this)(std::span(inputs.begin(), inputs.size()),
                 std::span(outputs.begin(), outputs.size()));
}

Result<std::vector<GraphStep>> Graph::steps(std::span<const TensorView> inputs) const {
  if (!state_) return fail(ErrorCode::invalid_argument, "{}", kNoGraph);
  LATHE_TRY(const std::vector<runtime::ExecutionStep> found, state_->executor->steps(inputs));
  std::vector<GraphStep> steps;
  for (const runtime::ExecutionStep& step : found)
    steps.push_back({step.what, step.schedule, step.match, step.interpreted.has_value()});
  return steps;
}

Result<Graph> Library::load_graph(std::string_view text) const {
  LATHE_TRY(ir::graph::Graph graph, ir::graph::parse(text));
  auto state = std::make_shared<Graph::State>();
  for (const ir::graph::ValueId id : graph.inputs)
    state->inputs.push_back(describe(graph.value(id)));
  for (const ir::graph::ValueId id : graph.outputs)
    state->outputs.push_back(describe(graph.value(id)));
  LATHE_TRY(state->executor, runtime::Executor::create(std::move(graph), impl_));
  return Graph(std::move(state));
}

}  // namespace lathe
