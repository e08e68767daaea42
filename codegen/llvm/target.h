// Machines that LLVM can emit for, as targets that kernel programs are built for.
//
// The namespace is that of the folder; inside it the library is `::llvm`, written `ll` in sources.
#pragma once

#include <string_view>

#include "ir/target.h"

namespace lathe::codegen::llvm {

/// This machine, with the extensions that may be executed here. Detected once. Thread-safe.
ir::Target host_target();

/// The target of a CPU ("haswell", "znver3", "cortex-a76"), a triple ("aarch64-linux-gnu", its
/// generic CPU), "triple:cpu", "triple:cpu:+feature,-feature" (what Target::cpu holds, so it
/// round-trips), or "host". Lanes are 4 on any x86-64 and on aarch64, 8 from AVX2, 16 from AVX-512
/// F+BW+DQ+VL, and 1 where we know of no vector unit. not_found names the CPUs that are near, or
/// all of that machine; unsupported for machines that are not 64-bit and little-endian.
Result<ir::Target> target_for(std::string_view cpu_or_triple);

}  // namespace lathe::codegen::llvm
