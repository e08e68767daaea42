// Which register tiles a matrix product may have: what fits the registers and reuses what it loads.
#pragma once

#include <cstdint>
#include <vector>

#include "compiler/bucket.h"
#include "ir/target.h"

namespace lathe::compiler::kernels {

/// Registers of a tile: its sums, a step's vectors of w, one of x, the product where it is rounded
/// before it is added. A single row takes its vectors of w as memory operands.
struct TileRegisters {
  int64_t available;
  bool fused;
  bool fit(int64_t tile, int64_t vectors, int64_t streams, int64_t chains) const {
    const int64_t wide = vectors * streams;
    const int64_t loaded = tile == 1 ? 1 : wide;
    return tile * wide * chains + loaded + 1 + (fused ? 0 : 1) <= available;
  }
};

/// Rows by vectors of sums.
struct TileShape {
  int64_t tile = 1, vectors = 1;
  int64_t sums() const { return tile * vectors; }
};

/// The most rows that a tile has: narrow lanes need many instructions for each row, so that large
/// tiles would be long code.
int64_t most_tile_rows(const ir::Target& target);

/// The shape that multiplies most for what it loads, as far as loads are what limits it, of
/// `vectors` and at most `most_rows` rows; of equals the one with most sums. `columns` that fill no
/// whole number of vectors count as what they cost; 0: they always do.
TileShape best_shape(const TileRegisters& registers, const std::vector<int64_t>& vectors,
                     int64_t most_rows, int64_t columns, int lanes);

/// Numbers of rows for the knob `tile`: those that reuse what they load, or that a few rows fill.
std::vector<int64_t> tile_rows(const TileRegisters& registers, int64_t least_vectors,
                               const TileShape& best, const Bucket& rows, const ir::Target& target);

}  // namespace lathe::compiler::kernels
