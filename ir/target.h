// What a kernel program is built for: lanes, registers and features of one instruction path.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "support/error.h"

namespace lathe::ir {

/// The instruction paths. `generic` is whatever machine LLVM is told to emit for.
enum class Isa : uint8_t { scalar, sse, avx2, avx512, generic };

/// "scalar", "sse", "avx2", "avx512" or "generic".
std::string_view name(Isa isa);
/// not_found naming the known paths.
Result<Isa> parse_isa(std::string_view text);

/// A program is built for exactly one target, and its meaning depends on `lanes` and `fused` alone;
/// everything else decides whether and how it can be emitted.
struct Target {
  std::string name = "scalar";  ///< scalar | sse | avx2 | avx512 | llvm
  Isa isa = Isa::scalar;
  int lanes = 1;  ///< 32-bit lanes of a vector register: 1, 4, 8 or 16
  int vector_registers = 16;
  int mask_registers = 0;      ///< 0: a mask occupies a vector register
  int general_registers = 14;  ///< for scalars and pointers together
  bool fused = false;  ///< fma, fms and fnma round once; otherwise twice (multiply, then add)
  bool f16c = false;   ///< converts f16 in hardware
  bool vnni = false;   ///< four-way u8·s8 dot in one instruction
  std::string cpu;     ///< a machine LLVM or the emitter is asked for, empty: this host

  int vector_bytes() const { return lanes * 4; }
  bool operator==(const Target&) const = default;
};

/// The named paths scalar, sse, avx2, avx512 (avx512 is F+BW+DQ+VL), with their full register
/// files. not_found naming the known paths otherwise. "llvm" is made by codegen::llvm, which knows
/// the host.
Result<Target> parse_target(std::string_view name);

/// In order of preference, widest first; "interpret" and "reference" are not among them.
const std::vector<std::string>& target_names();

}  // namespace lathe::ir
