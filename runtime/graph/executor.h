// Runs whole graphs: lowers once for each set of sizes, then launches kernel after kernel in one
// arena.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <lathe/tensor_view.h>

#include "compiler/lowering/lowered_graph.h"
#include "compiler/lowering/memory_plan.h"
#include "ir/graph/graph.h"
#include "ir/graph/reference.h"
#include "ir/tensor.h"
#include "runtime/library/kernel_library.h"

namespace lathe::runtime {

/// A node for which there is no kernel: the reference interpreter evaluates it, on one thread, in
/// double precision.
struct InterpretedNode {
  std::string results;  ///< "%y", or "%codes, %scale"
  std::string op;
  int line = 0;  ///< of the graph's text; 0: it was built without one
  std::string reason;
};
InterpretedNode interpreted_node(const ir::graph::Graph& graph, const ir::graph::Node& node,
                                 std::string reason);

/// What one run of a graph consists of; for --json and tests.
struct ExecutionStep {
  /// The problem line, "view", "pack …", "function <op>", or "host <op>: <reason>".
  std::string what;
  std::string schedule;  ///< of a kernel
  Match match = Match::default_;
  std::optional<InterpretedNode> interpreted{};  ///< of a step without kernel
};

/// A graph made ready for any sizes of its named dimensions. Thread-safe; runs of the same sizes
/// share their lowering, each run has its own arena.
class Executor {
 public:
  /// verify_error for a graph that breaks a rule. `interpreted`: whatever the library does.
  static Result<std::unique_ptr<Executor>> create(ir::graph::Graph graph,
                                                  std::shared_ptr<KernelLibrary> library,
                                                  Execution execution = Execution::native);

  /// One tensor for each graph input, in order. invalid_argument naming the input that does not
  /// fit.
  Result<std::vector<ir::Tensor>> run(std::span<const ir::Tensor> inputs);

  /// The same for inputs that the caller gives away: an output that is one of them but for some
  /// elements (ir/graph/updates.h), as a cache with new rows is, is made in its memory where
  /// nothing needs it afterwards; `inputs` has an empty tensor in its place then, after errors too.
  Result<std::vector<ir::Tensor>> run(std::vector<ir::Tensor>&& inputs);

  /// The same on dense views of the caller's memory, one for each input and output. An output that
  /// is an input but for some of its elements may have that input's memory where nothing needs it
  /// afterwards; no other overlap is allowed. invalid_argument naming the view that does not fit:
  /// nothing was written then.
  Status run(std::span<const TensorView> inputs, std::span<const TensorView> outputs);

  /// The outputs' shapes for inputs of these types and shapes.
  Result<std::vector<std::vector<int64_t>>> output_shapes(std::span<const TensorView> inputs);

  /// The steps for inputs of these shapes, and the planned memory.
  Result<std::vector<ExecutionStep>> steps(std::span<const ir::Tensor> inputs);
  Result<std::vector<ExecutionStep>> steps(std::span<const TensorView> inputs);

  const ir::graph::Graph& graph() const { return graph_; }

 private:
  struct Prepared;
  Executor(ir::graph::Graph graph, std::shared_ptr<KernelLibrary> library, Execution execution);
  Result<std::shared_ptr<const Prepared>> prepare(std::span<const ir::graph::InputShape> inputs);
  static Result<std::vector<ExecutionStep>> steps_of(const Prepared& prepared);
  /// `given`: the same tensors, of which outputs may take the memory; or null.
  Result<std::vector<ir::Tensor>> run_prepared(const Prepared& prepared,
                                               std::span<const ir::Tensor> inputs,
                                               std::vector<ir::Tensor>* given);
  /// Runs all calls; of each input and output its memory, which fits.
  Status execute(const Prepared& prepared, std::span<std::byte* const> inputs,
                 std::span<std::byte* const> outputs) const;

  ir::graph::Graph graph_;
  std::shared_ptr<KernelLibrary> library_;
  Execution execution_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<const Prepared>> prepared_;  ///< by sizes
};

}  // namespace lathe::runtime
