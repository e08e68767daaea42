// What an instruction's expansion asks of the register allocator.
#pragma once

#include "codegen/x86/flat_program.h"

namespace lathe::codegen::x86 {

/// Scratch registers live from the reading of the sources to the writing of the result. The emitter
/// uses exactly these, so a form that needs more must say so here first.
struct Constraints {
  int vectors = 0, masks = 0, generals = 0;
  unsigned late_sources = 0;  ///< bit i: src[i] is read after the result's register is written
  bool divides = false;       ///< writes rax and rdx
};

/// Whether a comparison is made as "b … a": SSE has no "greater" for floats, and only "greater" for
/// integers before AVX-512.
bool compares_swapped(const Instr& instr, const ir::Target& target);

Constraints constraints_of(const Item& item, const ir::Target& target);

}  // namespace lathe::codegen::x86
