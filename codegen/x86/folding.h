// Loads and constants as memory operands of the instructions that use them.
#pragma once

#include "codegen/x86/flat_program.h"

namespace lathe::codegen::x86 {

/// Folds a load into its only reader where the machine has such a form, both are in one block, and
/// no store, loop, branch or change of the address lies between.
void fold_loads(FlatProgram& flat);

/// Makes room in the vector registers: each register of `constants` (written once, by vconst or
/// viota) is read from the image at each use, as a memory operand or by a load just before it.
void demote_constants(FlatProgram& flat, const std::vector<Reg>& constants);

/// Registers that demote_constants() takes, the least used (weighted by loop depth) first.
std::vector<Reg> demotable_constants(const FlatProgram& flat);

}  // namespace lathe::codegen::x86
