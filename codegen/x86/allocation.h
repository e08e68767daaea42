// Which machine register each virtual register lives in: linear scan over live segments.
#pragma once

#include <array>
#include <vector>

#include "codegen/x86/flat_program.h"

namespace lathe::codegen::x86 {

/// Machine registers by number (vectors 0-31, masks k1-k7, generals as encoded: rax 0 … r15 15).
struct Allocation {
  std::vector<int16_t> home;  ///< by register key; -1 where unused
  struct Scratch {
    std::array<int16_t, 2> vectors{-1, -1}, masks{-1, -1}, generals{-1, -1};
  };
  std::vector<Scratch> scratch;  ///< by item
  int vectors_used = 0, masks_used = 0;
  std::array<bool, 16> generals_used{};
};

/// Allocates, moving constants to memory and scalars to the stack as needed (which rewrites
/// `flat`). `rejected`, naming both counts, where vectors or masks do not fit even so.
Result<Allocation> allocate(FlatProgram& flat);

}  // namespace lathe::codegen::x86
