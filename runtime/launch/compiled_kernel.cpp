// From an artifact to mapped code.
#include "runtime/launch/compiled_kernel.h"

#include "runtime/cpu/executable_memory.h"
#include "runtime/cpu/gdb_jit.h"
#include "runtime/cpu/perf_map.h"
#include "runtime/launch/launch.h"
#include "support/hardware.h"

namespace lathe::runtime {
namespace {

// A flat image in memory of its own.
class FlatKernel : public codegen::LoadedKernel {
 public:
  FlatKernel(ExecutableMemory memory, size_t entry) : memory_(std::move(memory)) {
    function_ = memory_.entry<ir::program::KernelFunction>(entry);
  }
  void attach(GdbRegistration registration) { registration_ = std::move(registration); }
  std::span<const std::byte> code() const { return memory_.code(); }

 private:
  ExecutableMemory memory_;
  GdbRegistration registration_;
};

// A launch binds calls in arrays of fixed sizes.
Status check_room(const Artifact& artifact) {
  const auto refuse = [&](size_t found, std::string_view what, int most) {
    return fail(ErrorCode::verify_error, "{}: found {} {}, expected at most {}",
                artifact.problem.line(), found, what, most);
  };
  const ir::plan::Plan& plan = artifact.plan;
  if (plan.operands.size() > BoundCall::kMaxOperands)
    return refuse(plan.operands.size(), "operands", BoundCall::kMaxOperands);
  if (plan.variables.size() > BoundCall::kMaxVariables)
    return refuse(plan.variables.size(), "variables", BoundCall::kMaxVariables);
  for (const ir::program::Program& program : plan.programs) {
    const size_t slots = program.buffers.size() + program.parameters.size();
    if (slots > BoundCall::kMaxSlots)
      return refuse(slots, "arguments of program '" + program.name + "'", BoundCall::kMaxSlots);
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<codegen::LoadedKernel>> load_image(const codegen::KernelImage& image,
                                                          const codegen::Backend* object_loader) {
  const support::IsaMask missing = image.required_isa.without(support::executable_isa());
  if (!missing.empty()) {
    return fail(ErrorCode::unsupported, "kernel '{}' uses {}, which this CPU ({}) does not have",
                image.name, support::to_string(missing), support::host().name);
  }
  if (image.format == codegen::KernelImage::Format::object) {
    if (object_loader != nullptr && object_loader->name() == image.backend)
      return object_loader->load(image);
    return fail(ErrorCode::unsupported,
                "kernel '{}' is an object file of the backend '{}', found {}; link that backend",
                image.name, image.backend,
                object_loader == nullptr ? "none" : fmt::format("'{}'", object_loader->name()));
  }
  LATHE_TRY(ExecutableMemory memory, ExecutableMemory::map(image.code));
  auto kernel = std::make_unique<FlatKernel>(std::move(memory), image.entry);
  LATHE_CHECK(add_to_perf_map(image.name, kernel->code()));
  if (gdb_jit_enabled()) kernel->attach(GdbRegistration::add(image.name, kernel->code()));
  return kernel;
}

Result<std::shared_ptr<const CompiledKernel>> load_artifact(Artifact artifact,
                                                            const codegen::Backend* object_loader,
                                                            Execution execution) {
  LATHE_CHECK(check_room(artifact));
  if (execution == Execution::interpreted && !artifact.has_programs) {
    return fail(
        ErrorCode::unsupported,
        "{}: an artifact that was read back has machine code, but not the programs that the "
        "interpreter needs; build it from its problem and schedule",
        artifact.problem.line());
  }
  auto kernel = std::make_shared<CompiledKernel>();
  static_cast<Artifact&>(*kernel) = std::move(artifact);
  kernel->execution = execution;
  kernel->threads_variable = kernel->plan.find("threads");
  if (execution == Execution::interpreted) return kernel;
  for (const codegen::KernelImage& image : kernel->images) {
    LATHE_TRY(std::unique_ptr<codegen::LoadedKernel> loaded, load_image(image, object_loader));
    kernel->functions.push_back(loaded->function());
    kernel->programs.push_back(std::move(loaded));
  }
  return kernel;
}

Result<std::shared_ptr<const CompiledKernel>> compile_kernel(const compiler::Problem& problem,
                                                             const compiler::Schedule& schedule,
                                                             const ir::Target& target,
                                                             const codegen::Backend& backend,
                                                             Execution execution) {
  LATHE_TRY(Artifact artifact, build_artifact(problem, schedule, target, backend));
  return load_artifact(std::move(artifact), &backend, execution);
}

}  // namespace lathe::runtime
