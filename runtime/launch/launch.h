// Checks a call's arguments and runs a kernel's plan on the thread pool.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include <lathe/tensor_view.h>

#include "runtime/cpu/thread_pool.h"
#include "runtime/launch/compiled_kernel.h"

namespace lathe::runtime {

/// Arguments that passed every check: addresses of the operands, and the plan's input variables;
/// what lies behind these has no value.
struct BoundCall {
  static constexpr int kMaxOperands = 24;  ///< 16 inputs of a fragment, and those of its family
  static constexpr int kMaxVariables = 96;
  /// Of a program: each operand and its strides, scratch, and what blocks of rows, columns and k
  /// need.
  static constexpr int kMaxSlots = 4 * kMaxOperands;
  std::array<std::byte*, kMaxOperands> pointers;
  std::array<int64_t, kMaxVariables> variables;
  bool empty = false;  ///< a dimension of an output is 0: nothing to do
};

/// Bytes from a view's first element to past its last; of one that has elements.
int64_t span_bytes(const TensorView& view);

/// Checks `operands` (inputs, then outputs) against the kernel's signature: count, null, type,
/// rank, shape (equal names have equal sizes), strides (last dimension contiguous, none negative),
/// bytes within an address space, alignment to the element, overlap of an output with anything
/// else, index operands in range (of an empty table no index is) and, where they must be, distinct.
/// Of an empty operand all of this holds, too, but that its pointer may be null. invalid_argument
/// naming operand, found and expected; `call` is of no use then.
Status bind_call(const CompiledKernel& kernel, std::span<const TensorView> operands, int threads,
                 BoundCall& call);

/// Runs a bound call of a native kernel, in the default floating-point environment.
/// resource_exhausted when working memory cannot be had: nothing was written then.
Status run_call(const CompiledKernel& kernel, const BoundCall& call, ThreadPool& pool);

/// Both, or launch_interpreted() where the kernel was made for it.
Status launch(const CompiledKernel& kernel, std::span<const TensorView> operands, ThreadPool& pool);

/// The same by the plan interpreter, which checks every access and that `threads` workers write
/// disjoint bytes: verify_error otherwise. Nothing native runs.
Status launch_interpreted(const CompiledKernel& kernel, std::span<const TensorView> operands,
                          int threads);

}  // namespace lathe::runtime
