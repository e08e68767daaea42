// Rotary position embedding as a problem: its kinds, its operands, its reference.
#pragma once

#include <array>

#include "compiler/kernels/slots.h"

namespace lathe::compiler::kernels {

/// The widest head.
inline constexpr int64_t kMaxRopeDim = 4096;

/// Where a row's angles come from: one table row; three, by axis of the pair; two, one for each
/// half of the pairs.
enum class RopeKind : uint8_t { rope, mrope, vision };

/// Rotates the pairs of each head of x [rows, heads, dim] by the angles of the row's positions; y
/// has these rows, or is a cache into which they are written through slots.
struct Rope {
  explicit Rope(const Problem& problem);

  RopeKind kind;
  bool per_token;    ///< the tables are [rows, pairs]: no positions
  bool interleaved;  ///< pairs are (2j, 2j + 1), not (j, j + pairs)
  bool norm;         ///< rms_norm of each head first, with weight [dim]
  int64_t heads, dim, pairs;
  std::array<int64_t, 3> section{};
  Bucket rows;
  SlotCache cache;
  Signature signature;  ///< x, cos, sin, positions, weight, slots; then y

  /// The axis of pair j for mrope: 0, 1 or 2.
  int axis(int64_t pair) const;
};

Status validate_rope(const Problem& problem);
Result<ir::graph::Graph> rope_reference(const Problem& problem);

}  // namespace lathe::compiler::kernels
