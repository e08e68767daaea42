// A program through LLVM's passes and code generator; internal to codegen/llvm.
#pragma once

#include <string>

#include "codegen/kernel_image.h"
#include "codegen/llvm/backend.h"

namespace lathe::codegen::llvm {

/// The relocatable object and its facts, without undefined symbols.
Result<KernelImage> compile_object(const ir::program::Program& program);

}  // namespace lathe::codegen::llvm
