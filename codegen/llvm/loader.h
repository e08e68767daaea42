// Objects into executable memory; internal to codegen/llvm.
#pragma once

#include <memory>

#include "codegen/kernel_image.h"

namespace lathe::codegen::llvm {

/// Links and maps an object of compile_object(). Thread-safe. unsupported where the object is of
/// another architecture or needs extensions that this host lacks; corrupt where it is no object.
Result<std::unique_ptr<LoadedKernel>> load_object(const KernelImage& image);

}  // namespace lathe::codegen::llvm
