// The backend for x86-64: kernel programs to machine code by Xbyak.
#pragma once

#include <memory>

#include "codegen/backend.h"

namespace lathe::codegen::x86 {

/// Emits flat images for scalar, sse, avx2 and avx512, on whatever x86-64 host. compile() legalises
/// the program first; it keeps no state.
std::unique_ptr<Backend> make_backend();

}  // namespace lathe::codegen::x86
