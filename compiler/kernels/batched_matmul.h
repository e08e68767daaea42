// batched_matmul as a problem: its operands, and how its work is cut.
#pragma once

#include <cstdint>

#include "compiler/kernels/linear.h"
#include "ir/plan/plan.h"
#include "ir/program/program.h"
#include "ir/target.h"

namespace lathe::compiler::kernels {

/// y = epilogue(a · b) for each batch, both sides variable.
struct BatchedMatmul {
  explicit BatchedMatmul(const Problem& problem);

  Bucket batch, rows;
  int64_t n, k;
  int64_t group;  ///< batches of a and y, one after the other, that share one of b
  bool transpose_a, transpose_b;
  ir::Type type, b_type, out;
  Fragment epilogue;
  Signature signature;  ///< a, b, the epilogue's inputs; y

  /// Whether tiles cannot read a where it lies.
  bool must_pack_rows() const { return transpose_a || type != ir::Type::f32; }
};

/// A schedule's numbers for one problem.
struct BatchedMatmulBlocking {
  BatchedMatmulBlocking(const BatchedMatmul& matmul, const Schedule& schedule,
                        const ir::Target& target);

  Linear product;         ///< what the block program multiplies: rows of a, packed panels of b
  LinearBlocking block;   ///< its numbers; the depth also of what is packed at once
  int64_t unit_rows = 1;  ///< the most rows of a unit, a multiple of the tile: their copy is kept
};

/// Copies rows of a, a block of k deep, to where a tile reads them: f32, k side by side.
ir::program::Program pack_rows_program(const BatchedMatmul& matmul,
                                       const BatchedMatmulBlocking& blocking,
                                       const ir::Target& target);

/// Copies consecutive panels of b, a block of k deep: f32, a panel's columns side by side.
/// `columns`: how many of each panel's columns exist; zeros fill the others.
ir::program::Program pack_panels_program(const BatchedMatmul& matmul,
                                         const BatchedMatmulBlocking& blocking,
                                         const ir::Target& target, int64_t columns);

/// The programs over blocks and threads.
ir::plan::Plan batched_matmul_plan(const BatchedMatmul& matmul,
                                   const BatchedMatmulBlocking& blocking, const ir::Target& target);

}  // namespace lathe::compiler::kernels
