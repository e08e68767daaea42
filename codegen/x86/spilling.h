// Scalars and pointers on the stack, where general registers do not suffice.
#pragma once

#include "codegen/x86/flat_program.h"
#include "codegen/x86/liveness.h"

namespace lathe::codegen::x86 {

/// The least used (weighted by loop depth) registers without which at most `limit` general
/// registers are live anywhere, scratch included, or as near to it as spilling comes. No counters,
/// bounds and steps of loops, which are read where nothing can be loaded first. Empty where no more
/// than `limit` are live. `segments`: of `flat`.
std::vector<Reg> scalars_to_spill(const FlatProgram& flat,
                                  const std::vector<std::vector<Segment>>& segments, int limit);

/// Makes room in the general registers: each of `scalars` lives on the stack and is loaded before
/// each use and stored after each write.
void spill_scalars(FlatProgram& flat, const std::vector<Reg>& scalars);

}  // namespace lathe::codegen::x86
