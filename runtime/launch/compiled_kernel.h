// A kernel in memory: its artifact, and the artifact's images where they are mapped.
#pragma once

#include <memory>
#include <vector>

#include "codegen/backend.h"
#include "runtime/artifact/artifact.h"

namespace lathe::runtime {

/// How kernels run: as machine code, or by the plan interpreter, which checks every access and
/// needs no executable memory.
enum class Execution { native, interpreted };

/// An artifact that can be launched. Immutable once made; safe to run from any thread.
struct CompiledKernel : Artifact {
  int threads_variable = -1;
  Execution execution = Execution::native;
  // Of native ones:
  std::vector<std::unique_ptr<codegen::LoadedKernel>> programs;  ///< as plan.programs
  std::vector<ir::program::KernelFunction> functions;            ///< their entries
};

/// Maps an artifact's images; where they are to be interpreted, they are not mapped.
/// `object_loader` maps images of Format::object, which only the backend that made them can: null
/// where there is none. Errors: unsupported (the host lacks an instruction that an image needs:
/// nothing is mapped then; or lets no memory become executable; no loader for an image; nothing to
/// interpret in an artifact that was read back), verify_error for more operands, variables or
/// arguments of a program than a launch has room for.
Result<std::shared_ptr<const CompiledKernel>> load_artifact(
    Artifact artifact, const codegen::Backend* object_loader,
    Execution execution = Execution::native);

/// build_artifact(), then load_artifact().
Result<std::shared_ptr<const CompiledKernel>> compile_kernel(
    const compiler::Problem& problem, const compiler::Schedule& schedule, const ir::Target& target,
    const codegen::Backend& backend, Execution execution = Execution::native);

/// Maps a flat image, or lets its backend load it; refuses an image that needs extensions the host
/// lacks. Registers its name with perf and gdb where asked.
Result<std::unique_ptr<codegen::LoadedKernel>> load_image(const codegen::KernelImage& image,
                                                          const codegen::Backend* object_loader);

}  // namespace lathe::runtime
