// Orders the instructions of independent pieces of work alternately: a core looks ahead a few dozen
// instructions, and should find several chains among them.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "ir/program/program.h"

namespace lathe::ir::program {

/// Pieces of straight-line code stand in `block` one behind the other: piece i starts at starts[i],
/// and the last ends with the block. Where all consist of the same ops, as many neighbours as the
/// target's vector registers hold at once are interleaved: they take turns of one instruction, or
/// of a few where a piece holds many registers between them. A value that is loaded early and used
/// again much later is loaded twice (the second time into a `fresh` register) where more pieces fit
/// then. `is_constant`, by vector register, names those that need no register. Nothing is moved
/// where one piece uses a register or memory that another writes at another time. An access may
/// pass a store to other bytes of the same buffer, or to another buffer: that one is the same
/// memory element for element, or none of it.
void interleave(Block& block, std::span<const size_t> starts, const Target& target,
                const std::vector<bool>& is_constant, const std::function<Reg()>& fresh);

}  // namespace lathe::ir::program
