// Positions of image patches in the vision tower's order, and the rows that interpolate its table.
#pragma once

#include <cstdint>

#include "ir/tensor.h"
#include "support/error.h"

namespace lathe::ir::graph {

/// i64[h*w, 2]: (row, column) of each patch in merge-block-major order (block row, block column,
/// row in block, column in block). h and w must be positive multiples of `merge`.
Result<Tensor> vision_patch_positions(int64_t h, int64_t w, int64_t merge = 2);

struct BilinearRows {
  Tensor indices;  ///< i64[h*w, 4]: rows of a [side*side, C] table
  Tensor weights;  ///< f32[h*w, 4]
};

/// What bilinear_embedding needs for a grid of h x w patches on a side x side table with the
/// corners aligned: patch (r, c) reads y = r*(side-1)/max(h-1, 1), x likewise. Same order as above.
Result<BilinearRows> bilinear_rows(int64_t h, int64_t w, int64_t side, int64_t merge = 2);

}  // namespace lathe::ir::graph
