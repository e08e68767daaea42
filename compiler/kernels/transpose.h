// Copying a matrix so that its columns become rows, through registers.
#pragma once

#include <cstdint>
#include <vector>

#include "ir/program/builder.h"

namespace lathe::compiler::kernels {

/// As many vectors as there are lanes, a power of two: lane j of vector i becomes lane i of vector
/// j. Within each four lanes first, then pieces of four lanes change places.
std::vector<ir::program::Vec> transposed(ir::program::Builder& b,
                                         std::vector<ir::program::Vec> rows);

/// Copies a strip of `rows` rows of `from`, `stride` bytes apart and `length` elements long, to the
/// columns of `to`: element [i][j] to to[j * step + i], as f32. `rows` is at most the number of
/// lanes; where it is less, zeros fill the vector up. `step` counts elements and is at least the
/// number of lanes.
void copy_transposed(ir::program::Builder& b, ir::program::Pointer from, ir::program::Scalar stride,
                     int rows, ir::program::Scalar length, ir::program::Pointer to, int64_t step);

}  // namespace lathe::compiler::kernels
