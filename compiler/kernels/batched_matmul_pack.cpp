// The programs that copy both sides of a batched product to where its tiles read them.
#include <algorithm>

#include "compiler/kernels/batched_matmul.h"
#include "compiler/kernels/transpose.h"

namespace lathe::compiler::kernels {
namespace {

using ir::program::BufferAccess;
using ir::program::Builder;
using ir::program::Compare;
using ir::program::Pointer;
using ir::program::Program;
using ir::program::Scalar;
using ir::program::Span;

// a lies as [k, rows]: strips of as many steps of k as there are lanes.
Program pack_columns_of_a(const BatchedMatmul& matmul, const BatchedMatmulBlocking& blocking,
                          const ir::Target& target) {
  Builder b("batched_matmul_pack", target);
  const Pointer a = b.buffer("a", matmul.type, BufferAccess::read);
  const Pointer packed = b.buffer("packed", ir::Type::f32, BufferAccess::write);
  const Scalar rows = b.parameter("rows");
  const Scalar depth = b.parameter("depth");
  const Scalar stride = b.parameter("a.stride1");
  const int64_t step = blocking.block.packed_stride(blocking.product);
  const int lanes = b.lanes();
  const Scalar strips = b.div(depth, lanes);
  b.loop(0, strips, 1, [&](Scalar) {
    copy_transposed(b, a, stride, lanes, rows, packed, step);
    b.advance(a, b.mul(stride, lanes));
    b.advance(packed, lanes * 4);
  });
  // Blocks of k are whole strips, but for the last.
  const auto rest = static_cast<int>(matmul.k % lanes);
  if (rest == 0) return b.finish();
  const Scalar left = b.sub(depth, b.mul(strips, lanes));
  b.branch(Compare::gt, left, 0, [&] { copy_transposed(b, a, stride, rest, rows, packed, step); });
  return b.finish();
}

}  // namespace

Program pack_rows_program(const BatchedMatmul& matmul, const BatchedMatmulBlocking& blocking,
                          const ir::Target& target) {
  return matmul.transpose_a ? pack_columns_of_a(matmul, blocking, target)
                            : linear_pack_program(blocking.product, blocking.block, target);
}

Program pack_panels_program(const BatchedMatmul& matmul, const BatchedMatmulBlocking& blocking,
                            const ir::Target& target, int64_t columns) {
  Builder b("batched_matmul_pack_panels", target);
  const Pointer from = b.buffer("b", matmul.b_type, BufferAccess::read);
  const Pointer packed = b.buffer("packed", ir::Type::f32, BufferAccess::write);
  const Scalar panels = b.parameter("panels");
  const Scalar depth = b.parameter("depth");
  const Scalar stride = b.parameter("b.stride1");
  const int64_t panel = blocking.product.panel;
  const int lanes = b.lanes();
  const auto vectors = static_cast<int>(panel / lanes);
  // Columns of vector v that exist.
  const auto existing = [&](int v) {
    return static_cast<int>(std::clamp<int64_t>(columns - int64_t{v} * lanes, 0, lanes));
  };
  const int64_t panel_bytes = blocking.product.part_bytes.front();
  if (matmul.transpose_b) {  // b lies as [n, k]
    b.loop(0, panels, 1, [&](Scalar) {
      for (int v = 0; v < vectors; ++v) {
        const Pointer to = b.offset(packed, int64_t{v} * lanes * 4);
        copy_transposed(b, from, stride, existing(v), depth, to, panel);
        b.advance(from, b.mul(stride, existing(v)));
      }
      b.advance(packed, panel_bytes);
    });
    return b.finish();
  }
  // Row by row, as memory likes to be read; each panel is written in order, too.
  b.loop(0, depth, 1, [&](Scalar) {
    const Pointer row = b.copy(from);
    const Pointer to = b.copy(packed);
    b.loop(0, panels, 1, [&](Scalar) {
      for (int v = 0; v < vectors; ++v) {
        const int count = existing(v);
        const int64_t at = int64_t{v} * lanes;
        const auto value =
            count == 0 ? b.constant(0) : b.load(row, Span{at, {}, count, count == lanes});
        b.store(to, Span{at}, value);
      }
      b.advance(row, panel * ir::size_of(matmul.b_type));
      b.advance(to, panel_bytes);
    });
    b.advance(from, stride);
    b.advance(packed, panel * 4);
  });
  return b.finish();
}

}  // namespace lathe::compiler::kernels
