// Orders the instructions of independent pieces of work alternately: a core looks ahead a few dozen
// instructions, and should find several chains among them.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "ir/program/program.h"

namespace lathe::ir::program {

/// Pieces of straight-line code stand in `block` one behind the other: piece i starts at starts[i],
/// and the last ends with the block. Where all consist of the same ops, as many neighbours as the
/// target's vector registers hold at once are interleaved: instruction k of each before instruction
/// k + 1 of any. `is_constant`, by vector register, names those that need no register. Nothing is
/// moved where one piece uses a register or memory that another writes at another time. An access
/// may pass a store to other bytes of the same buffer, or to another buffer: that one is the same
/// memory element for element, or none of it.
void interleave(Block& block, std::span<const size_t> starts, const Target& target,
                const std::vector<bool>& is_constant);

}  // namespace lathe::ir::program
