// One worker walks the plan; every call goes to mapped code.
#include "tests/kernels_native/native_executor.h"

#include <lathe/backends.h>

#include "ir/program/printer.h"
#include "runtime/launch/compiled_kernel.h"
#include "tests/support/guarded_buffer.h"
#include "tests/support/plan_calls.h"

namespace lathe::tests {

const runtime::Backends& backends() {
  static const runtime::Backends all = {
      x86_backend(),
#if LATHE_HAS_CODEGEN_LLVM
      llvm_backend(),
#endif
  };
  return all;
}

Result<ir::program::KernelFunction> NativeExecutor::function(const ir::program::Program& program) {
  auto& kernel = loaded_[ir::program::print(program)];
  if (!kernel) {
    LATHE_TRY(const codegen::KernelImage image, selected_.backend->compile(program));
    LATHE_TRY(kernel, runtime::load_image(image, selected_.backend.get()));
  }
  return kernel->function();
}

Status NativeExecutor::run(const ir::plan::Plan& plan,
                           std::span<const ir::plan::OperandView> operands,
                           std::span<const int64_t> variables) {
  constexpr size_t kScratchAlignment = 64;  // as the runtime promises
  std::vector<ir::program::KernelFunction> functions;
  for (const auto& program : plan.programs) {
    LATHE_TRY(functions.emplace_back(), function(program));
  }
  std::vector<std::byte*> starts;
  for (const ir::plan::OperandView& view : operands) starts.push_back(view.data + view.start);
  const PlanCalls calls = calls_of(plan, variables, starts);
  std::vector<GuardedBuffer> scratch;
  for (const int64_t bytes : calls.scratch_bytes)
    scratch.emplace_back(static_cast<size_t>(bytes), GuardedBuffer::Side::after, kScratchAlignment);
  for (const PlanCall& call : calls.calls) {
    std::vector<uint64_t> slots;
    for (const PlanCall::Place& place : call.buffers) {
      std::byte* base = place.scratch ? scratch[place.index].data()
                                      : operands[place.index].data + operands[place.index].start;
      slots.push_back(reinterpret_cast<uint64_t>(base) + static_cast<uint64_t>(place.offset));
    }
    for (const int64_t parameter : call.parameters)
      slots.push_back(static_cast<uint64_t>(parameter));
    functions[call.program](slots.data());
  }
  for (const GuardedBuffer& buffer : scratch)
    if (!buffer.intact())
      return fail(ErrorCode::mismatch, "{}: wrote beyond its scratch", plan.name);
  return {};
}

}  // namespace lathe::tests
