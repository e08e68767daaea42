// Input tensors for a problem: ordinary ones to time with, adversarial ones to check with.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <lathe/tensor_view.h>

#include "compiler/check_inputs.h"
#include "compiler/problem.h"
#include "ir/tensor.h"
#include "runtime/launch/compiled_kernel.h"
#include "tuner/memory_order.h"

namespace lathe::tuner {

/// resource_exhausted where the problem's operands at these sizes exceed a quarter of the free
/// memory: what tuning may take.
Status check_memory(const compiler::Problem& problem, const compiler::Sizes& sizes);

/// A shape for every operand of the signature.
Result<std::vector<std::vector<int64_t>>> operand_shapes(
    const std::vector<runtime::OperandRule>& rules, const compiler::Sizes& sizes);

/// One tensor for each input, as compiler::fill_input makes them: the same for the same seed on
/// every host.
Result<std::vector<ir::Tensor>> make_inputs(const runtime::CompiledKernel& kernel,
                                            const compiler::Sizes& sizes,
                                            compiler::InputPattern pattern, uint64_t seed);

/// Draws the elements of the index operands among `inputs` anew.
void redraw_indices(const runtime::CompiledKernel& kernel, const compiler::Sizes& sizes,
                    uint64_t seed, std::vector<ir::Tensor>& inputs);

/// For each input, whether it is a table: an index operand names the entries that a call reads.
std::vector<bool> tables_of(const runtime::CompiledKernel& kernel);

/// How many indices of the call name entries of the table that input `table` is.
int64_t named_entries(const runtime::CompiledKernel& kernel, size_t table,
                      const std::vector<ir::Tensor>& inputs);
/// Calls `visit` with each of these indices, repeated ones too.
void for_each_named_entry(const runtime::CompiledKernel& kernel, size_t table,
                          const std::vector<ir::Tensor>& inputs,
                          const std::function<void(int64_t)>& visit);

/// For a call on a part of the operands `whole`: makes the tables among `part` of the entries alone
/// that its index operands name, and renumbers these. The same call, without what it does not read.
void keep_named_entries(const runtime::CompiledKernel& kernel, const std::vector<ir::Tensor>& whole,
                        std::vector<ir::Tensor>& part);

/// Of operand `operand`, an output that is updated: whether an index operand names, along its first
/// dimension, the entries that a call writes. for_each_named_entry() and named_entries() are for
/// these, too.
bool names_entries(const runtime::CompiledKernel& kernel, size_t operand);

/// Bytes that one call touches: operands whole, of those with named entries these at most.
int64_t bytes_touched(const runtime::CompiledKernel& kernel, const std::vector<ir::Tensor>& inputs,
                      const std::vector<ir::Tensor>& outputs);

/// Zeroed tensors for the outputs; ordinary values for those that are updated, always the same.
Result<std::vector<ir::Tensor>> make_outputs(const runtime::CompiledKernel& kernel,
                                             const compiler::Sizes& sizes);

/// What the reference graph takes for a call: `inputs`, then those of `outputs` that are updated.
std::vector<ir::Tensor> graph_inputs(const runtime::CompiledKernel& kernel,
                                     const std::vector<ir::Tensor>& inputs,
                                     const std::vector<ir::Tensor>& outputs);

/// Ordinary inputs of one call, for who checks a kernel and who times it: the largest weights of a
/// model are held once, and one call's memory serves the next, in whatever order its operands lie
/// (views_of). Not thread-safe.
class SharedInputs {
 public:
  using Inputs = std::shared_ptr<std::vector<ir::Tensor>>;

  /// The same as long as the kernel's operands have the same types and shapes. Tensors of those
  /// before that nobody else holds are used again where type and shape are the same.
  Result<Inputs> of(const runtime::CompiledKernel& kernel, const compiler::Sizes& sizes);
  void clear() { inputs_.reset(); }

 private:
  std::string signature_;
  Inputs inputs_;
};

/// The order in which the problem says that the operand's dimensions lie in memory; empty: that of
/// its shape (compiler::order_in_memory).
std::vector<int> order_of(const runtime::CompiledKernel& kernel, size_t operand);

/// Views in call order. The tensors are memory: what they hold is an operand's in the order that
/// the kernel's problem says. Values drawn at random are so in any.
std::vector<TensorView> views_of(const runtime::CompiledKernel& kernel,
                                 std::vector<ir::Tensor>& inputs, std::vector<ir::Tensor>& outputs);

}  // namespace lathe::tuner
