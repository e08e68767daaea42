// Products of floats: 16-bit operands widen exactly, products and sums are f32, in the order of k.
#include <algorithm>

#include "compiler/kernels/product/arithmetic.h"

namespace lathe::compiler::kernels::product {
namespace {

class Floats final : public Arithmetic {
 public:
  using Arithmetic::Arithmetic;

  // The sums, a step's vectors of w, one of x, the product where it is rounded before it is added.
  // A single row takes its vectors of w as memory operands.
  bool fits(const TileShape& shape) const override {
    const int64_t wide = shape.nr * shape.streams;
    const int64_t loaded = shape.mr == 1 ? 1 : wide;
    const int64_t rounded = target_.fused ? 0 : 1;
    // Without hardware for f16 its conversions need registers too.
    const int64_t converting = product_.weight == Type::f16 && !target_.f16c ? 3 : 0;
    return shape.sums() * shape.streams * shape.chains + loaded + 1 + rounded + converting <=
           target_.vector_registers;
  }

  bool widens() const override { return product_.weight != Type::f32; }
  bool must_pack() const override { return product_.type != Type::f32; }
  PackedRows packed_rows(const Blocking& s) const override {
    return {Type::f32, s.packed_row_bytes(product_)};
  }
  Program pack_rows(const Blocking& s) const override { return pack_floats(product_, s, target_); }

  int64_t expanded_bytes(const Blocking& s) const override {
    return s.expand ? s.kc * product_.panel * 4 : 0;
  }

  void expand(Builder& b, const Tile& tile) const override {
    if (!tile.s.expand) return;
    const Pointer from = b.copy(tile.at.w.front());
    const Pointer to = b.copy(tile.at.expanded);
    over_depth(b, tile, [&](int steps) {
      for (int64_t i = 0; i < steps * product_.panel; i += b.lanes())
        b.store(to, Span{i}, b.load(from, Span{i}));
      b.advance(from, steps * product_.panel * ir::size_of(product_.weight));
      b.advance(to, steps * product_.panel * 4);
    });
  }

  RegisterTile multiply(Builder& b, const Tile& tile) const override {
    const Blocking& s = tile.s;
    RegisterTile sums(b, tile.mr, tile.wide(), s.chains);
    const RowPointers x(b, tile.at.x, tile.mr, tile.at.x_stride);
    const auto w =
        side_by_side(b, s.expand ? tile.at.expanded : tile.at.w.front(), 0, tile.streams);
    over_depth(b, tile, [&](int steps) {
      if (steps == s.unroll) tile.every_trip();
      for (int u = 0; u < steps; ++u) {
        if (tile.part == 0)
          for (const Pointer& stream : w) prefetch(b, tile, stream, u);
        sums.step(
            u % s.chains,
            [&](int v) {
              return b.load(w[tile.stream_of(v)], Span{u * product_.panel + tile.column_of(v)});
            },
            [&](int row) { return x.load_splat(row, u); },
            [&](Vec value, Vec of_w, Vec sum) { return b.fma(value, of_w, sum); });
      }
      x.advance(steps);
      for (const Pointer& stream : w)
        b.advance(stream, steps * product_.panel * ir::size_of(stream.type));
    });
    sums.fold_chains();
    return sums;
  }

 private:
  // Visits the block's steps of k, as many at a time as fill a trip, then one by one.
  void over_depth(Builder& b, const Tile& tile, const std::function<void(int)>& steps) const {
    const Blocking& s = tile.s;
    const bool outer = tile.trips.reg.valid();
    const auto trip = [&](Scalar) { steps(s.unroll); };
    const auto single = [&](Scalar) { steps(1); };
    if (!outer) {
      b.loop(0, s.kc / s.unroll, 1, trip);
      b.loop(0, s.kc % s.unroll, 1, single);
      return;
    }
    b.loop(0, tile.trips, 1, trip);
    if (s.kc % s.unroll == 0 && product_.k % s.unroll == 0) return;
    b.loop(0, tile.rest, 1, single);
  }

  // w is read once from memory, or by many tiles from the second cache: each line that step `u` of
  // k begins is asked for ahead of time.
  void prefetch(Builder& b, const Tile& tile, Pointer w, int64_t u) const {
    const bool expanded_once = tile.s.expand && tile.s.kc_inside;
    if (tile.s.prefetch == 0 || expanded_once) return;
    const int64_t step = product_.panel * ir::size_of(w.type);
    for (int64_t at = (u * step + kLine - 1) / kLine * kLine; at < (u + 1) * step; at += kLine)
      b.prefetch(w, at + tile.s.prefetch);
  }
};

}  // namespace

std::unique_ptr<const Arithmetic> floats(const Product& product, const Target& target) {
  return std::make_unique<Floats>(product, target);
}

}  // namespace lathe::compiler::kernels::product
