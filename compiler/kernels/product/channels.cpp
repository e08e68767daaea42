// Products with codes of one scale a channel: codes are multiplied and added up over all of k in
// integers, and multiplied by both scales at the end.
//
// A vector of the weight's codes holds four k of as many columns as it has lanes. On AVX2 they are
// widened to 16 bits, two k to a word, and meet words of two k of x: a product of words adds up two
// k in 32 bits, exactly. Many rows widen a panel once for all. Where there is vnni, four products
// are one instruction, and w's codes are made unsigned: that adds 128 · x to each product, which
// the packed rows of x bring along, summed and negated.
#include "compiler/kernels/product/codes.h"
#include "compiler/weight_packing.h"

namespace lathe::compiler::kernels::product {
namespace {

class Channels final : public CodedArithmetic {
 public:
  using CodedArithmetic::CodedArithmetic;

  // The sums, a step's vectors of w and one of x; the product, and where codes are widened in the
  // tile the two constants that do it, or with vnni the one for the signs.
  bool fits(const TileShape& shape) const override {
    const int64_t wide = shape.nr * shape.streams;
    const int64_t loaded = shape.mr == 1 ? 1 : wide;
    const int64_t others = target_.vnni || shape.expanded ? 2 : 4;
    return shape.mr * wide + loaded + others <= target_.vector_registers;
  }

  bool widens() const override { return !target_.vnni; }
  Program pack_rows(const Blocking& /*blocking*/) const override {
    return pack_channels(product_, target_);
  }
  int64_t expanded_bytes(const Blocking& s) const override {
    return s.expand ? int8_padded(product_.k) * product_.panel * 2 : 0;
  }

  // Widens a panel's codes to 16 bits: for each group of four k words with the even and words with
  // the odd ones, of every column.
  void expand(Builder& b, const Tile& tile) const override {
    if (!tile.s.expand) return;
    const Pointer from = b.copy(as_words(tile.at.w[0]));
    const Pointer to = b.copy(as_words(tile.at.expanded));
    const int64_t panel = product_.panel;
    b.loop(0, int8_padded(product_.k) / kCodeGroup, 1, [&](Scalar) {
      for (int64_t c = 0; c < panel; c += b.lanes()) {
        const Vec codes = b.load(from, Span{c});
        for (const int half : {0, 1}) b.store(to, Span{half * panel + c}, widened(b, codes, half));
      }
      prefetch(b, tile, from, panel * kCodeGroup);
      b.advance(from, panel * kCodeGroup);
      b.advance(to, 2 * panel * 4);
    });
  }

  RegisterTile multiply(Builder& b, const Tile& tile) const override {
    RegisterTile sums(b, tile.mr, tile.wide(), 1);  // of integers: 0.0 has no bits
    const RowPointers x(b, as_words(tile.at.x), tile.mr, tile.at.x_stride);
    const bool expanded = tile.s.expand;
    const int64_t bytes = kInt8Unit * product_.panel * (expanded ? 2 : 1);
    const auto w = expanded ? std::vector{b.copy(as_words(tile.at.expanded))}
                            : side_by_side(b, as_words(tile.at.w[0]), 0, tile.streams);
    b.loop(0, int8_padded(product_.k) / kInt8Unit, 1, [&](Scalar) {
      tile.every_trip();
      if (!expanded && tile.part == 0)
        for (const Pointer& stream : w) prefetch(b, tile, stream, bytes);
      for (int group = 0; group < kInt8Unit / kCodeGroup; ++group)
        add_group(b, tile, group, w, x, sums);
      x.advance(kInt8Unit * ir::size_of(rows_.type) / 4);
      for (const Pointer& stream : w) b.advance(stream, bytes);
    });
    scale(b, tile, sums);
    return sums;
  }

 private:
  // Four steps of k: at once, or those of the even and then those of the odd bytes.
  void add_group(Builder& b, const Tile& tile, int group, const std::vector<Pointer>& w,
                 const RowPointers& x, RegisterTile& sums) const {
    const bool vnni = target_.vnni;
    const Vec signs = vnni ? b.constant_bits(0x80808080U) : Vec{};
    const int halves = vnni ? 1 : 2;
    for (int half = 0; half < halves; ++half) {
      const int word = halves * group + half;
      sums.step(
          0,
          [&](int v) {
            const int64_t row = tile.s.expand ? word : group;
            const Vec codes =
                b.load(w[tile.stream_of(v)], Span{row * product_.panel + tile.column_of(v)});
            if (vnni) return b.bit_xor(codes, signs);
            return tile.s.expand ? codes : widened(b, codes, half);
          },
          [&](int row) { return x.load_splat(row, word); },
          [&](Vec codes, Vec of_w, Vec sum) {
            return vnni ? b.dot4(of_w, codes, sum)
                        : b.int_op(Op::iadd, sum, b.int_op(Op::dot2_s16, of_w, codes));
          });
    }
  }

  void scale(Builder& b, const Tile& tile, RegisterTile& sums) const {
    const RowPointers factors(b, tile.at.factors, tile.mr, rows_.factor_bytes);
    for (int v = 0; v < tile.wide(); ++v) {
      const auto panel = static_cast<int64_t>(tile.stream_of(v)) * product_.panel;
      const Vec of_column = b.load(tile.at.w[1], Span{panel + tile.column_of(v)});
      for (int row = 0; row < tile.mr; ++row) {
        const Vec sum = sums.at(row, v);
        if (rows_.words > 1) b.set(sum, b.int_op(Op::iadd, sum, factors.load_splat(row, 1)));
        const Vec both = factors.load_splat(row, 0) * of_column;
        b.set(sum, b.to_float(sum) * both);
      }
    }
  }
};

}  // namespace

std::unique_ptr<const Arithmetic> channels(const Product& product, const Target& target) {
  return std::make_unique<Channels>(product, target);
}

}  // namespace lathe::compiler::kernels::product
