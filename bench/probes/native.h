// A kernel program as a function of this process, without the kernel library around it.
#pragma once

#include "codegen/kernel_image.h"
#include "ir/program/program.h"
#include "runtime/cpu/executable_memory.h"

namespace lathe::bench {

struct Native {
  runtime::ExecutableMemory memory;
  codegen::KernelImage image;

  void operator()(const uint64_t* slots) const {
    memory.entry<ir::program::KernelFunction>(image.entry)(slots);
  }
};

/// Verifies, emits by the x86 backend and maps. `unsupported` where this CPU lacks what was
/// emitted.
Result<Native> make_native(const ir::program::Program& program);

}  // namespace lathe::bench
