// The programs that copy floats of either side to where tiles read them.
#include <algorithm>

#include "compiler/kernels/product/arithmetic.h"
#include "compiler/kernels/transpose.h"

namespace lathe::compiler::kernels::product {

Program pack_floats(const Product& product, const Blocking& blocking, const Target& target) {
  Builder b(product.name + "_pack", target);
  const Pointer x = b.buffer("x", product.type, BufferAccess::read);
  const Pointer packed = b.buffer("packed", Type::f32, BufferAccess::write);
  const Scalar rows = b.parameter("rows");
  const bool outer = blocking.has_outer_blocks(product);
  Scalar depth, whole, rest;
  if (outer) depth = b.parameter("depth");
  const Scalar stride = b.parameter("x.stride0");
  const int lanes = b.lanes();
  const auto copy = [&](const Span& at) { b.store(packed, at, b.load(x, at)); };
  if (outer) {
    whole = b.mul(b.div(depth, lanes), lanes);
    rest = b.sub(depth, whole);
  }
  b.loop(0, rows, 1, [&](Scalar) {
    if (!outer) {
      b.vectors(product.k, 4, [&](const Span& at, int) { copy(at); });
    } else {
      b.loop(0, whole, lanes, [&](Scalar i) { copy(Span{0, i}); });
      b.branch(Compare::gt, rest, 0, [&] { copy(Span{0, whole, rest, lanes == 1}); });
    }
    b.advance(x, stride);
    b.advance(packed, blocking.packed_row_bytes(product));
  });
  return b.finish();
}

// Strips of as many steps of k as there are lanes.
Program pack_columns_program(const Product& product, const Blocking& blocking,
                             const Target& target) {
  Builder b(product.name + "_pack", target);
  const std::string& name = product.signature.front().name;
  const Pointer x = b.buffer(name, product.type, BufferAccess::read);
  const Pointer packed = b.buffer("packed", Type::f32, BufferAccess::write);
  const Scalar rows = b.parameter("rows");
  const Scalar depth = b.parameter("depth");
  const Scalar stride = b.parameter(name + ".stride1");
  const int64_t step = blocking.packed_row_bytes(product) / 4;
  const int lanes = b.lanes();
  const Scalar strips = b.div(depth, lanes);
  b.loop(0, strips, 1, [&](Scalar) {
    copy_transposed(b, x, stride, lanes, rows, packed, step);
    b.advance(x, b.mul(stride, lanes));
    b.advance(packed, lanes * 4);
  });
  // Blocks of k are whole strips, but for the last.
  const auto rest = static_cast<int>(product.k % lanes);
  if (rest == 0) return b.finish();
  const Scalar left = b.sub(depth, b.mul(strips, lanes));
  b.branch(Compare::gt, left, 0, [&] { copy_transposed(b, x, stride, rest, rows, packed, step); });
  return b.finish();
}

Program pack_panels_program(const Product& product, const Target& target, Type type,
                            bool transposed, int64_t columns) {
  Builder b(product.name + "_pack_panels", target);
  const std::string& name = product.signature[1].name;
  const Pointer from = b.buffer(name, type, BufferAccess::read);
  const Pointer packed = b.buffer("packed", Type::f32, BufferAccess::write);
  const Scalar panels = b.parameter("panels");
  const Scalar depth = b.parameter("depth");
  const Scalar stride = b.parameter(name + ".stride1");
  const int64_t panel = product.panel;
  const int64_t panel_bytes = product.part_bytes.front();
  const int64_t lanes = b.lanes();
  // Columns of a vector that exist.
  const auto existing = [&](int64_t column) {
    return static_cast<int>(std::clamp<int64_t>(columns - column, 0, lanes));
  };
  if (transposed) {
    b.loop(0, panels, 1, [&](Scalar) {
      for (int64_t column = 0; column < panel; column += lanes) {
        const Pointer to = b.offset(packed, column * 4);
        copy_transposed(b, from, stride, existing(column), depth, to, panel);
        b.advance(from, b.mul(stride, existing(column)));
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
      for (int64_t column = 0; column < panel; column += lanes) {
        const int count = existing(column);
        const auto value =
            count == 0 ? b.constant(0) : b.load(row, Span{column, {}, count, count == lanes});
        b.store(to, Span{column}, value);
      }
      b.advance(row, panel * ir::size_of(type));
      b.advance(to, panel_bytes);
    });
    b.advance(from, stride);
    b.advance(packed, panel * 4);
  });
  return b.finish();
}

}  // namespace lathe::compiler::kernels::product
