// Lowering by sizes, and the launch sequence.
#include "runtime/graph/executor.h"

#include <cstring>

#include "compiler/lowering/passes.h"
#include "ir/graph/op.h"
#include "ir/graph/reference.h"
#include "ir/graph/updates.h"
#include "ir/graph/verify.h"
#include "runtime/cpu/float_environment.h"
#include "runtime/graph/functions.h"
#include "runtime/graph/graph_views.h"
#include "runtime/launch/launch.h"
#include "runtime/weights/packed_weight.h"

namespace lathe::runtime {
namespace {

namespace lowering = compiler::lowering;
using ir::graph::Graph;
using ir::graph::ValueId;
using lowering::CallKind;
using lowering::Placement;

Result<std::vector<int64_t>> shape_of(const Graph& graph, ValueId value) {
  return ir::graph::numbers(graph.type(value).shape);
}

// A graph of one node, its operands as inputs: what the reference interpreter evaluates for the
// host.
Result<Graph> isolate(const Graph& graph, int32_t index) {
  const ir::graph::Node& node = graph.nodes[static_cast<size_t>(index)];
  Graph alone;
  alone.name = std::string(node.op->name);
  ir::graph::Node copy = node;
  std::map<ValueId, ValueId> ids;
  for (ValueId& operand : copy.operands) {
    if (operand < 0) continue;
    const auto [it, is_new] = ids.emplace(operand, static_cast<ValueId>(alone.values.size()));
    if (is_new) {
      ir::graph::Value value = graph.value(operand);
      value.producer = -1;
      alone.values.push_back(std::move(value));
      alone.inputs.push_back(it->second);
    }
    operand = it->second;
  }
  for (ValueId& result : copy.results) {
    ir::graph::Value value = graph.value(result);
    value.producer = 0;
    result = static_cast<ValueId>(alone.values.size());
    alone.values.push_back(std::move(value));
    alone.outputs.push_back(result);
  }
  alone.nodes.push_back(std::move(copy));
  LATHE_CHECK(ir::graph::verify(alone));
  return alone;
}

std::vector<ir::graph::InputShape> shapes_of(std::span<const ir::Tensor> inputs) {
  std::vector<ir::graph::InputShape> shapes;
  for (const ir::Tensor& input : inputs) shapes.push_back({input.type(), input.shape()});
  return shapes;
}

}  // namespace

InterpretedNode interpreted_node(const Graph& graph, const ir::graph::Node& node,
                                 std::string reason) {
  std::vector<std::string> results;
  for (const ValueId result : node.results) results.push_back("%" + graph.value(result).name);
  return {fmt::format("{}", fmt::join(results, ", ")), std::string(node.op->name),
          node.location.line, std::move(reason)};
}

// One lowering: calls with their kernels, and where every value lies.
struct Executor::Prepared {
  struct Launch {
    std::shared_ptr<const FetchedKernel> kernel;  // of a kernel call
    std::vector<ValueId> operands;
    std::vector<std::vector<int64_t>> shapes;   // as the kernel's signature, or the graph, has them
    std::vector<std::vector<int64_t>> strides;  // of those that are not dense; none: all are
    Graph host;                                 // of a host call
    std::vector<ValueId> host_inputs;
  };
  lowering::LoweredGraph lowered;
  lowering::MemoryPlan memory;
  std::vector<Launch> launches;

  /// Whether the input of that place, -1 for none, may have the memory of what it becomes.
  bool is_donated(int input) const {
    if (input < 0) return false;
    const ValueId value = lowered.graph.inputs[static_cast<size_t>(input)];
    return std::find(memory.donated.begin(), memory.donated.end(), value) != memory.donated.end();
  }
};

Executor::Executor(Graph graph, std::shared_ptr<KernelLibrary> library, Execution execution)
    : graph_(std::move(graph)), library_(std::move(library)), execution_(execution) {}

Result<std::unique_ptr<Executor>> Executor::create(Graph graph,
                                                   std::shared_ptr<KernelLibrary> library,
                                                   Execution execution) {
  LATHE_CHECK(ir::graph::verify(graph));
  return std::unique_ptr<Executor>(new Executor(std::move(graph), std::move(library), execution));
}

Result<std::shared_ptr<const Executor::Prepared>> Executor::prepare(
    std::span<const ir::graph::InputShape> inputs) {
  LATHE_TRY(const ir::graph::DimBindings sizes, ir::graph::bind_inputs(graph_, inputs));
  std::string key;
  for (const auto& [name, size] : sizes) key += fmt::format("{}={},", name, size);
  {
    const std::lock_guard lock(mutex_);
    if (auto found = prepared_.find(key); found != prepared_.end()) return found->second;
  }
  LATHE_TRY(Graph bound, ir::graph::bind_dims(graph_, sizes));
  auto prepared = std::make_shared<Prepared>();
  LATHE_TRY(prepared->lowered, lowering::lower(bound, {}, library_->layouts()));
  prepared->memory = lowering::plan_memory(prepared->lowered);
  for (const lowering::Call& call : prepared->lowered.calls) {
    Prepared::Launch launch;
    if (call.kind == CallKind::kernel) {
      LATHE_TRY(lowering::BoundProblem problem, lowering::problem_of(call, prepared->lowered));
      LATHE_TRY(launch.kernel, library_->fetch(problem.problem));
      launch.operands = std::move(problem.operands);
      launch.strides = std::move(problem.strides);
      for (const OperandRule& rule : launch.kernel->kernel->operands) {
        std::vector<int64_t> shape;
        for (const auto& dim : rule.shape) {
          const auto size = problem.sizes.find(dim.symbol);
          shape.push_back(dim.factor * (size == problem.sizes.end() ? 1 : size->second));
        }
        launch.shapes.push_back(std::move(shape));
      }
    } else if (call.kind == CallKind::function) {
      launch.operands = call.inputs;
      launch.operands.insert(launch.operands.end(), call.outputs.begin(), call.outputs.end());
      for (const ValueId operand : launch.operands) {
        LATHE_TRY(std::vector<int64_t> shape, shape_of(prepared->lowered.graph, operand));
        launch.shapes.push_back(std::move(shape));
      }
    } else if (call.kind == CallKind::host) {
      LATHE_TRY(launch.host, isolate(prepared->lowered.graph, call.node));
      for (ValueId value : call.inputs)
        if (value >= 0 && std::find(launch.host_inputs.begin(), launch.host_inputs.end(), value) ==
                              launch.host_inputs.end())
          launch.host_inputs.push_back(value);
    }
    prepared->launches.push_back(std::move(launch));
  }
  const std::lock_guard lock(mutex_);
  return prepared_.emplace(key, std::move(prepared)).first->second;
}

Result<std::vector<ExecutionStep>> Executor::steps(std::span<const ir::Tensor> inputs) {
  LATHE_TRY(const auto prepared, prepare(shapes_of(inputs)));
  return steps_of(*prepared);
}

Result<std::vector<ExecutionStep>> Executor::steps(std::span<const TensorView> inputs) {
  LATHE_TRY(const std::vector<ir::graph::InputShape> shapes, shapes_of(graph_, inputs));
  LATHE_TRY(const auto prepared, prepare(shapes));
  return steps_of(*prepared);
}

Result<std::vector<ExecutionStep>> Executor::steps_of(const Prepared& prepared) {
  std::vector<ExecutionStep> steps;
  for (size_t i = 0; i < prepared.launches.size(); ++i) {
    const lowering::Call& call = prepared.lowered.calls[i];
    ExecutionStep step;
    switch (call.kind) {
      case CallKind::kernel: {
        const FetchedKernel& fetched = *prepared.launches[i].kernel;
        const compiler::Problem& problem = fetched.kernel->problem;
        step.what = problem.line();
        step.schedule =
            problem.family().space(problem, fetched.kernel->target).print(fetched.kernel->schedule);
        step.match = fetched.match;
        break;
      }
      case CallKind::view: step.what = "view"; break;
      case CallKind::pack: step.what = "pack " + compiler::print(call.layout); break;
      case CallKind::function: {
        const auto& nodes = prepared.lowered.graph.nodes;
        step.what = fmt::format("function {}", nodes[static_cast<size_t>(call.node)].op->name);
        break;
      }
      case CallKind::host:
        step.interpreted = interpreted_node(
            prepared.lowered.graph, prepared.lowered.graph.nodes[static_cast<size_t>(call.node)],
            call.reason);
        step.what = fmt::format("host {}: {}", step.interpreted->op, call.reason);
        break;
    }
    steps.push_back(std::move(step));
  }
  return steps;
}

Result<std::vector<ir::Tensor>> Executor::run(std::span<const ir::Tensor> inputs) {
  LATHE_TRY(const auto prepared, prepare(shapes_of(inputs)));
  return run_prepared(*prepared, inputs, nullptr);
}

Result<std::vector<ir::Tensor>> Executor::run(std::vector<ir::Tensor>&& inputs) {
  LATHE_TRY(const auto prepared, prepare(shapes_of(inputs)));
  return run_prepared(*prepared, inputs, &inputs);
}

Result<std::vector<ir::Tensor>> Executor::run_prepared(const Prepared& prepared,
                                                       std::span<const ir::Tensor> inputs,
                                                       std::vector<ir::Tensor>* given) {
  const Graph& graph = prepared.lowered.graph;
  std::vector<std::byte*> from, to;
  // Kernels read inputs only; views are untyped in const.
  for (const ir::Tensor& input : inputs) from.push_back(const_cast<std::byte*>(input.data()));
  const std::vector<int> updated = ir::graph::updated_inputs(graph);
  std::vector<ir::Tensor> outputs;
  for (size_t i = 0; i < graph.outputs.size(); ++i) {
    const ValueId output = graph.outputs[i];
    LATHE_TRY(std::vector<int64_t> shape, shape_of(graph, output));
    if (ir::Tensor* memory_of = given != nullptr && prepared.is_donated(updated[i])
                                    ? &(*given)[static_cast<size_t>(updated[i])]
                                    : nullptr;
        memory_of != nullptr && memory_of->shape() == shape) {
      outputs.push_back(std::move(*memory_of));
      *memory_of = {};
    } else {
      outputs.emplace_back(graph.type(output).element, std::move(shape));
    }
  }
  for (ir::Tensor& output : outputs) to.push_back(output.data());
  LATHE_CHECK(execute(prepared, from, to));
  return outputs;
}

Status Executor::run(std::span<const TensorView> inputs, std::span<const TensorView> outputs) {
  LATHE_TRY(const std::vector<ir::graph::InputShape> shapes, shapes_of(graph_, inputs));
  LATHE_TRY(const auto prepared, prepare(shapes));
  const Graph& graph = prepared->lowered.graph;
  if (outputs.size() != graph.outputs.size())
    return fail(ErrorCode::invalid_argument, "graph {}: found {} outputs, expected {}", graph.name,
                outputs.size(), graph.outputs.size());
  const std::vector<int> updated = ir::graph::updated_inputs(graph);
  std::vector<std::byte*> from, to;
  for (size_t i = 0; i < inputs.size(); ++i) {
    LATHE_CHECK(check_graph_view("input", graph, graph.inputs[i], inputs[i]));
    from.push_back(static_cast<std::byte*>(inputs[i].data));
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    LATHE_CHECK(check_graph_view("output", graph, graph.outputs[i], outputs[i]));
    for (size_t k = 0; k < i; ++k)
      if (share_memory(outputs[i], outputs[k]))
        return fail(ErrorCode::invalid_argument,
                    "output %{}: its memory overlaps that of output %{}; give it memory of its own",
                    graph.value(graph.outputs[i]).name, graph.value(graph.outputs[k]).name);
    for (size_t k = 0; k < inputs.size(); ++k) {
      if (!share_memory(outputs[i], inputs[k])) continue;
      const bool may_be = updated[i] == static_cast<int>(k);
      if (may_be && outputs[i].data == inputs[k].data && prepared->is_donated(updated[i])) continue;
      return fail(ErrorCode::invalid_argument,
                  "output %{}: its memory overlaps that of input %{}{}; give it memory of its own",
                  graph.value(graph.outputs[i]).name, graph.value(graph.inputs[k]).name,
                  may_be ? ", which the graph reads afterwards, or of which it is a part" : "");
    }
    to.push_back(static_cast<std::byte*>(outputs[i].data));
  }
  return execute(*prepared, from, to);
}

Result<std::vector<std::vector<int64_t>>> Executor::output_shapes(
    std::span<const TensorView> inputs) {
  LATHE_TRY(const std::vector<ir::graph::InputShape> shapes, shapes_of(graph_, inputs));
  LATHE_TRY(const ir::graph::DimBindings sizes, ir::graph::bind_inputs(graph_, shapes));
  LATHE_TRY(const Graph bound, ir::graph::bind_dims(graph_, sizes));
  std::vector<std::vector<int64_t>> found;
  for (const ValueId output : bound.outputs) {
    LATHE_TRY(found.emplace_back(), shape_of(bound, output));
  }
  return found;
}

Status Executor::execute(const Prepared& prepared_run, std::span<std::byte* const> inputs,
                         std::span<std::byte* const> outputs) const {
  const DefaultFloatEnvironment environment;
  const Prepared* prepared = &prepared_run;
  const Graph& graph = prepared->lowered.graph;
  ir::Tensor arena(ir::Type::i8, {prepared->memory.arena_bytes});
  std::vector<std::byte*> memory(graph.values.size(), nullptr);
  for (size_t i = 0; i < inputs.size(); ++i)
    memory[static_cast<size_t>(graph.inputs[i])] = inputs[i];
  for (size_t i = 0; i < outputs.size(); ++i) {
    std::byte*& place = memory[static_cast<size_t>(graph.outputs[i])];
    if (place == nullptr) place = outputs[i];
  }
  for (size_t v = 0; v < memory.size(); ++v) {
    const Placement& placement = prepared->memory.placements[v];
    if (placement.kind == Placement::Kind::arena) memory[v] = arena.data() + placement.offset;
  }
  const auto address = [&](ValueId value) {
    while (prepared->memory.placements[static_cast<size_t>(value)].kind == Placement::Kind::alias)
      value = prepared->memory.placements[static_cast<size_t>(value)].alias;
    return memory[static_cast<size_t>(value)];
  };
  const auto bytes = [&](ValueId value) -> Result<int64_t> {
    LATHE_TRY(const std::vector<int64_t> shape, shape_of(graph, value));
    int64_t elements = 1;
    for (int64_t size : shape) elements *= size;
    return ir::bytes_of(graph.type(value).element, elements);
  };

  for (size_t i = 0; i < prepared->launches.size(); ++i) {
    const lowering::Call& call = prepared->lowered.calls[i];
    const Prepared::Launch& step = prepared->launches[i];
    if (call.kind == CallKind::kernel || call.kind == CallKind::function) {
      // What is updated is there before the call, in memory of its own where the caller or a later
      // call needs it as it is.
      if (call.updates >= 0) {
        std::byte* from = address(call.updates);
        std::byte* to = address(call.outputs.back());
        LATHE_TRY(const int64_t size, bytes(call.updates));
        if (from != to && size > 0) std::memcpy(to, from, static_cast<size_t>(size));
      }
      std::vector<TensorView> views;
      for (size_t k = 0; k < step.operands.size(); ++k) {
        views.emplace_back(address(step.operands[k]),
                           static_cast<DataType>(graph.type(step.operands[k]).element),
                           step.shapes[k].data(), static_cast<int>(step.shapes[k].size()));
        if (k < step.strides.size())
          std::copy(step.strides[k].begin(), step.strides[k].end(), views.back().strides);
      }
      if (call.kind == CallKind::function) {
        const ir::graph::Node& node = graph.nodes[static_cast<size_t>(call.node)];
        const std::span<const TensorView> all(views);
        const Status status =
            run_function(node, all.first(call.inputs.size()), all.subspan(call.inputs.size()));
        if (!status)
          return fail_with_context(ir::graph::describe(graph, node), Error(status.error()));
      } else if (execution_ == Execution::interpreted) {
        LATHE_CHECK(launch_interpreted(*step.kernel->kernel, views, step.kernel->pool->threads()));
      } else {
        LATHE_CHECK(launch(*step.kernel->kernel, views, *step.kernel->pool));
      }
    } else if (call.kind == CallKind::pack) {
      std::vector<WeightRows> sources;
      for (const ValueId weight : call.inputs) {
        const int64_t width = graph.type(weight).shape.back().number();
        WeightRows& rows = sources.emplace_back();
        rows.data = address(weight);
        rows.row_bytes = ir::bytes_of(call.layout.type, width);
        rows.transposed = call.transposed;
      }
      std::vector<std::byte*> parts;
      for (const ValueId part : call.outputs) parts.push_back(address(part));
      LATHE_CHECK(pack_parts(call.layout, sources, parts, *library_->pool()));
    } else if (call.kind == CallKind::view) {
      std::byte* from = address(call.inputs.front());
      std::byte* to = address(call.outputs.front());
      if (from != to && from != nullptr) {
        LATHE_TRY(const int64_t size, bytes(call.outputs.front()));
        std::memcpy(to, from, static_cast<size_t>(size));
      }
    } else {
      std::vector<ir::Tensor> operands;
      for (ValueId value : step.host_inputs) {
        LATHE_TRY(std::vector<int64_t> shape, shape_of(graph, value));
        ir::Tensor tensor(graph.type(value).element, std::move(shape));
        if (tensor.bytes() > 0)
          std::memcpy(tensor.data(), address(value), static_cast<size_t>(tensor.bytes()));
        operands.push_back(std::move(tensor));
      }
      LATHE_TRY(const std::vector<ir::Tensor> results, ir::graph::evaluate(step.host, operands));
      for (size_t k = 0; k < results.size(); ++k)
        if (results[k].bytes() > 0)
          std::memcpy(address(call.outputs[k]), results[k].data(),
                      static_cast<size_t>(results[k].bytes()));
    }
  }
  // The same value may be asked for twice, or an input handed through.
  for (size_t i = 0; i < outputs.size(); ++i) {
    std::byte* from = address(graph.outputs[i]);
    LATHE_TRY(const int64_t size, bytes(graph.outputs[i]));
    if (from != outputs[i] && size > 0) std::memcpy(outputs[i], from, static_cast<size_t>(size));
  }
  return {};
}

}  // namespace lathe::runtime
