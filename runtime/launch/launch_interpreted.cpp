// A launch through the plan interpreter.
#include "ir/plan/interpreter.h"
#include "runtime/cpu/float_environment.h"
#include "runtime/launch/launch.h"

namespace lathe::runtime {
Status launch_interpreted(const CompiledKernel& kernel, std::span<const TensorView> operands,
                          int threads) {
  BoundCall call;
  LATHE_CHECK(bind_call(kernel, operands, threads, call));
  if (call.empty) return {};
  const DefaultFloatEnvironment environment;
  std::vector<ir::plan::OperandView> views;
  for (const TensorView& view : operands)
    views.push_back({static_cast<std::byte*>(view.data), span_bytes(view), 0});
  ir::plan::PlanOptions options;
  options.workers = threads;
  auto trace = ir::plan::interpret(
      kernel.plan, views, std::span(call.variables).first(static_cast<size_t>(kernel.plan.inputs)),
      options);
  if (!trace) return tl::unexpected(std::move(trace).error());
  return {};
}

}  // namespace lathe::runtime
