// Kernel programs to ELF objects and IR text through LLVM, and objects to callable kernels.
#pragma once

#include <memory>
#include <string>

#include <lathe/backends.h>

#include "codegen/backend.h"

namespace lathe::codegen::llvm {

/// The backend named "llvm", that of lathe::llvm_backend(): emits for targets of host_target() and
/// target_for(), whose code goes into relocatable ELF objects without undefined symbols; loads
/// those of this machine's architecture and extensions into memory that is never writable and
/// executable at once. It counts no registers (LLVM spills), and so rejects no program. compile()
/// also fails with unsupported where code for the machine would need a function of a runtime
/// library.
std::shared_ptr<const Backend> make_backend();

enum class IrStage { lowered, optimised };

/// LLVM's own text of a verified program, before or after the passes. Errors as Backend::compile.
Result<std::string> emit_llvm_ir(const ir::program::Program& program,
                                 IrStage stage = IrStage::optimised);

}  // namespace lathe::codegen::llvm
