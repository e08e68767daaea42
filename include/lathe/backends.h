// The code generators that a program links: pass the ones you want to Library::open.
#pragma once

#include <memory>
#include <vector>

namespace lathe {

namespace codegen {
class Backend;
}

/// SSE4.1, AVX2, AVX-512 and scalar machine code by Xbyak; link lathe::codegen::x86.
std::shared_ptr<const codegen::Backend> x86_backend();

/// Any machine LLVM knows, target "llvm"; link lathe::codegen::llvm.
std::shared_ptr<const codegen::Backend> llvm_backend();

/// What LibraryOptions starts with: the x86 backend. Link lathe::lathe.
std::vector<std::shared_ptr<const codegen::Backend>> default_backends();

}  // namespace lathe
