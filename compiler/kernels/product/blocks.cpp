// Products with weights in blocks: codes are multiplied and added up in integers, exactly, and each
// block's sum is scaled and added up in f32.
//
// A vector of the weight's codes holds four k of as many columns as it has lanes; x's four codes
// are the same for all of them. On AVX2 a block of 32 of one row by one vector takes for q4_0 eight
// products of bytes, which add up in 16 bits; codes of q8_0 are widened to 16 bits and multiplied
// by those of x. Where there is vnni, four products are one instruction, and codes of q8_0 are made
// unsigned.
#include <array>

#include "compiler/kernels/block_quantizer.h"
#include "compiler/kernels/product/codes.h"

namespace lathe::compiler::kernels::product {
namespace {

constexpr int64_t kBlock = BlockQuantizer::kBlock;
constexpr int64_t kSuperBlock = 256;  // of q4_K
constexpr int64_t kSubBlocks = kSuperBlock / kBlock;

// A group of w's codes of one vector, taken apart into what meets x: even and odd bytes, or low and
// high nibbles, or all in one.
using Halves = std::array<Vec, 2>;

// Those of all vectors, each made once: ahead of several rows, or of a single row when it is due.
class Decoded {
 public:
  Decoded(const Tile& tile, std::function<Halves(int)> decode) : decode_(std::move(decode)) {
    if (tile.mr > 1) at(tile.wide() - 1);
  }
  const Halves& at(int v) {
    for (auto i = static_cast<int>(made_.size()); i <= v; ++i) made_.push_back(decode_(i));
    return made_[static_cast<size_t>(v)];
  }

 private:
  std::function<Halves(int)> decode_;
  std::vector<Halves> made_;
};

// One block of 32 of k: what it reads, and its dots.
struct Block {
  const Tile& tile;
  const RowPointers &x, &factors;
  const std::vector<Pointer>& codes;   // of each stream
  const std::vector<Pointer>& scales;  // of each stream; of q4_K one for all
  std::vector<Vec> dots;               // i32, by row, then vector

  Vec& dot(int row, int v) { return dots[static_cast<size_t>(row * tile.wide() + v)]; }
};

class Blocks final : public CodedArithmetic {
 public:
  using CodedArithmetic::CodedArithmetic;

  // f32 sums and the block's dots, a group's codes of w taken apart, one of x and a product. A
  // single row takes w's codes apart vector by vector.
  bool fits(const TileShape& shape) const override {
    const int64_t wide = shape.nr * shape.streams;
    const int64_t decoded = shape.mr == 1 ? 4 : 2 * wide + (wide > 1 ? 2 : 1);
    const int64_t copies = target_.fused ? 0 : 2;  // where instructions overwrite an operand
    return 2 * shape.mr * wide + decoded + copies <= target_.vector_registers;
  }

  Program pack_rows(const Blocking& /*blocking*/) const override {
    return product_.type == Type::q8_0 ? pack_q8_0(product_, target_)
                                       : pack_blocks(product_, target_);
  }

  // q4_K's scales and minima as f32, of a super-block of each stream, or of the whole panel.
  int64_t expanded_bytes(const Blocking& s) const override {
    if (!nested()) return 0;
    const int64_t super_blocks = shares_scales() ? product_.k / kSuperBlock : s.streams;
    return kSubBlocks * 2 * product_.panel * super_blocks * 4;
  }

  void expand(Builder& b, const Tile& tile) const override {
    if (!shares_scales()) return;
    const auto scales = side_by_side(b, tile.at.w[1], 1, 1);
    const auto factors = side_by_side(b, tile.at.w[2], 2, 1);
    const Pointer to = b.copy(tile.at.expanded);
    b.loop(0, product_.k / kSuperBlock, 1, [&](Scalar) {
      expand_super_block(b, scales, factors, to);
      b.advance(to, kSubBlocks * 2 * product_.panel * 4);
    });
  }

  RegisterTile multiply(Builder& b, const Tile& tile) const override {
    RegisterTile sums(b, tile.mr, tile.wide(), 1);
    const RowPointers x(b, as_words(tile.at.x), tile.mr, tile.at.x_stride);
    const RowPointers factors(b, tile.at.factors, tile.mr, rows_.factor_bytes);
    const int64_t panel = product_.panel;
    const auto codes = side_by_side(b, as_words(tile.at.w[0]), 0, tile.streams);
    std::vector<Pointer> scales;
    if (!nested()) {
      scales = side_by_side(b, tile.at.w[1], 1, tile.streams);
    } else if (shares_scales()) {
      scales = {b.copy(tile.at.expanded)};
    }
    const int64_t code_bytes = product_.part_bytes[0] / (product_.k / kBlock);
    const int64_t scale_bytes = nested() ? 2 * panel * tile.streams * 4 : panel * 2;
    const auto one_block = [&](Scalar) {
      tile.every_trip();
      if (tile.part == 0)
        for (const Pointer& stream : codes) prefetch(b, tile, stream, code_bytes);
      const auto all = static_cast<size_t>(tile.mr * tile.wide());
      Block block{tile, x, factors, codes, scales, std::vector<Vec>(all)};
      add_dots(b, block);
      add_products(b, block, sums);
      x.advance(kBlock * ir::size_of(rows_.type) / 4);
      factors.advance(rows_.words);
      for (const Pointer& stream : codes) b.advance(stream, code_bytes);
      for (const Pointer& stream : scales) b.advance(stream, scale_bytes);
    };
    if (!nested() || shares_scales()) {
      b.loop(0, product_.k / kBlock, 1, one_block);
      return sums;
    }
    const auto nested_scales = side_by_side(b, tile.at.w[1], 1, tile.streams);
    const auto nested_factors = side_by_side(b, tile.at.w[2], 2, tile.streams);
    b.loop(0, product_.k / kSuperBlock, 1, [&](Scalar) {
      expand_super_block(b, nested_scales, nested_factors, tile.at.expanded);
      scales = {b.copy(tile.at.expanded)};
      b.loop(0, kSubBlocks, 1, one_block);
    });
    return sums;
  }

 private:
  bool nested() const { return product_.weight == Type::q4_K; }
  // Whether q4_K's scales are multiplied out once for all tiles of a panel.
  bool shares_scales() const { return nested() && product_.rows.low >= kManyRows; }

  Vec codes_of_w(Builder& b, const Block& block, int v, int group) const {
    return b.load(block.codes[block.tile.stream_of(v)],
                  Span{group * product_.panel + block.tile.column_of(v)});
  }

  void add_dots(Builder& b, Block& block) const {
    const Tile& tile = block.tile;
    const bool nibbles = product_.weight != Type::q8_0, vnni = target_.vnni;
    const bool words = !nibbles && !vnni;  // of two codes each
    const Halves masks = words     ? Halves{widener(b, 0), widener(b, 1)}
                         : nibbles ? Halves{b.constant_bits(0x0f0f0f0fU)}
                                   : Halves{b.constant_bits(0x80808080U)};
    const int groups = nibbles ? 4 : 8, halves = nibbles || words ? 2 : 1;
    for (int group = 0; group < groups; ++group) {
      const auto x_at = [&](int row, int half) {
        return block.x.load_splat(row, nibbles ? half * groups + group : halves * group + half);
      };
      Decoded w(tile, [&](int v) {
        const Vec codes = codes_of_w(b, block, v, group);
        // Made unsigned by their sign bits, which adds 128 to each.
        if (halves == 1) return Halves{b.bit_xor(codes, masks[0])};
        const Vec first =
            words ? b.int_op(Op::dot2_u8s8, masks[0], codes) : b.bit_and(codes, masks[0]);
        const Vec second = words ? b.int_op(Op::dot2_u8s8, masks[1], codes)
                                 : b.bit_and(b.shift(Op::ishr, codes, 4), masks[0]);
        return Halves{first, second};
      });
      if (nibbles && tile.mr == 1) {
        const Vec low = x_at(0, 0), high = x_at(0, 1);
        for (int v = 0; v < tile.wide(); ++v) {
          const Halves& codes = w.at(v);
          add_dot(b, block, 0, v, codes[0], low);
          add_dot(b, block, 0, v, codes[1], high);
        }
        continue;
      }
      for (int row = 0; row < tile.mr; ++row) {
        for (int half = 0; half < halves; ++half) {
          const Vec x = x_at(row, half);
          for (int v = 0; v < tile.wide(); ++v)
            add_dot(b, block, row, v, w.at(v)[static_cast<size_t>(half)], x);
        }
      }
    }
    if (!nibbles || vnni) return;
    const Vec ones = b.constant_bits(0x00010001U);
    for (int row = 0; row < tile.mr; ++row) {
      for (int v = 0; v < tile.wide(); ++v) {
        Vec& dot = block.dot(row, v);
        dot = b.int_op(Op::dot2_s16, dot, ones);
        if (rows_.offset > 0) dot = b.int_op(Op::iadd, dot, block.factors.load_splat(row, 1));
      }
    }
  }

  // With vnni a dot begins with what w's codes being above their values costs.
  void add_dot(Builder& b, Block& block, int row, int v, Vec codes, Vec x) const {
    Vec& dot = block.dot(row, v);
    if (target_.vnni) {
      if (!dot.reg.valid())
        dot = b.copy(rows_.offset > 0 ? block.factors.load_splat(row, 1) : b.constant_bits(0));
      return b.set(dot, b.dot4(codes, x, dot));
    }
    const bool words = product_.weight == Type::q8_0;
    const Vec product = b.int_op(words ? Op::dot2_s16 : Op::dot2_u8s8, codes, x);
    if (!dot.reg.valid()) {
      dot = product;
    } else {
      b.set(dot, b.int_op(words ? Op::iadd : Op::iadd16, dot, product));
    }
  }

  void add_products(Builder& b, Block& block, RegisterTile& sums) const {
    const Tile& tile = block.tile;
    const auto place = [&](int v, int64_t which) {
      if (!nested()) return Span{tile.column_of(v)};
      const auto stream = static_cast<int64_t>(tile.stream_of(v));
      return Span{(which * tile.streams + stream) * product_.panel + tile.column_of(v)};
    };
    for (int v = 0; v < tile.wide(); ++v) {
      const Pointer from = block.scales[nested() ? 0 : tile.stream_of(v)];
      const Vec scale = b.load(from, place(v, 0));
      for (int row = 0; row < tile.mr; ++row) {
        const Vec both = block.factors.load_splat(row, 0) * scale;
        const Vec dot = b.to_float(block.dot(row, v));
        b.set(sums.at(row, v), b.fma(dot, both, sums.at(row, v)));
      }
      if (!nested()) continue;
      const Vec minimum = b.load(from, place(v, 1));
      for (int row = 0; row < tile.mr; ++row) {
        const Vec less = block.factors.load_splat(row, 1);
        b.set(sums.at(row, v), b.fma(less, minimum, sums.at(row, v)));
      }
    }
  }

  // A super-block's products d · scale and dmin · minimum, [8, 2, streams, panel], at `to`; then
  // both are behind.
  void expand_super_block(Builder& b, const std::vector<Pointer>& scales,
                          const std::vector<Pointer>& factors, Pointer to) const {
    const auto streams = static_cast<int64_t>(scales.size());
    const int64_t panel = product_.panel;
    const Vec six_bits = b.constant_bits(0x3f3f3f3fU), four_bits = b.constant_bits(0x0f0f0f0fU);
    const Vec top_bits = b.constant_bits(0x30303030U), byte = b.constant_bits(0xffU);
    for (int64_t stream = 0; stream < streams; ++stream) {
      const auto s = static_cast<size_t>(stream);
      for (int64_t column = 0; column < panel; column += b.lanes()) {
        const auto word = [&](int64_t i) {
          return b.load(as_words(factors[s]), Span{i * panel + column});
        };
        const Vec shared = word(2);
        for (const int which : {0, 1}) {
          const Vec own = word(which);
          const Vec scale = b.load(scales[s], Span{which * panel + column});
          const Vec low_four = b.bit_and(own, six_bits);
          const Vec nibbles =
              b.bit_and(which == 0 ? shared : b.shift(Op::ishr, shared, 4), four_bits);
          const Vec two_bits = b.bit_and(b.shift(Op::ishr, own, 2), top_bits);
          const Vec high_four = b.bit_or(nibbles, two_bits);
          for (int64_t sub = 0; sub < kSubBlocks; ++sub) {
            const Vec bytes = sub < 4 ? low_four : high_four;
            const auto at = static_cast<int>(sub % 4);
            const Vec down = at == 0 ? bytes : b.shift(Op::ishr, bytes, 8 * at);
            const Vec one = at == 3 ? down : b.bit_and(down, byte);
            b.store(to, Span{((sub * 2 + which) * streams + stream) * panel + column},
                    b.to_float(one) * scale);
          }
        }
      }
    }
    for (const Pointer& stream : scales) b.advance(stream, 2 * panel * 2);
    for (const Pointer& stream : factors) b.advance(stream, 3 * panel * 4);
  }
};

}  // namespace

std::unique_ptr<const Arithmetic> blocks(const Product& product, const Target& target) {
  return std::make_unique<Blocks>(product, target);
}

}  // namespace lathe::compiler::kernels::product
