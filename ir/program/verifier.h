// Rules that every kernel program keeps, checked before it is interpreted or emitted.
#pragma once

#include "ir/program/program.h"

namespace lathe::ir::program {

/// verify_error naming the instruction (its printed line) and the rule. Rules: operands are of the
/// class the op asks for; every register is written on all paths before it is read; loop counters
/// are not written; patterns, shifts, scales, counts and lanes are in range for the target; stores
/// only to writable buffers, loads only from readable ones; a pointer register stays in one buffer;
/// the narrow integer instructions cannot saturate or wrap given the ranges of buffers and
/// constants.
Status verify(const Program& program);

}  // namespace lathe::ir::program
