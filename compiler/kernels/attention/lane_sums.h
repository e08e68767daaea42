// Sums over the lanes of several vectors at once.
#pragma once

#include <cstddef>
#include <vector>

#include "ir/program/builder.h"

namespace lathe::compiler::kernels::attention {

/// Sums of vectors over their lanes, and where they are.
struct LaneSums {
  ir::program::Vec sums;
  std::vector<size_t> vector_of;  ///< which vector's sum is in each lane
};

/// Sums each of `vectors` over its lanes, in the order of reduce_add. They are a power of two, and
/// at most as many as there are lanes. Two vectors are folded into one that has half as many lanes
/// of each, and so on, as squares are transposed: n sums take n - 1 additions and what is left of
/// the last vector, where n times reduce_add would take n times as many as lanes have bits.
LaneSums lane_sums(ir::program::Builder& b, std::vector<ir::program::Vec> vectors);

}  // namespace lathe::compiler::kernels::attention
