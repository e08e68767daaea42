// Proofs that the narrow integer instructions neither saturate nor wrap.
#pragma once

#include "ir/program/program.h"

namespace lathe::ir::program {

/// Abstract interpretation over the intervals of byte, 16-bit and 32-bit lanes of every vector
/// register, starting from buffers with a declared range and from constants. verify_error naming
/// the instruction and the computed bound where an instruction that must be exact is not proven so.
/// The program must keep the structural rules of verify(), which calls this.
Status check_ranges(const Program& program);

}  // namespace lathe::ir::program
