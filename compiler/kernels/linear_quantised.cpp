// Tiles of a quantised product.
//
// A vector of the weight's codes holds four k of as many columns as it has lanes; x's four codes
// are the same for all of them. On AVX2 a block of 32 of one row by one vector takes for q4_0 eight
// products of bytes, which add up in 16 bits; codes of q8_0 are widened to 16 bits and multiplied
// by those of x. Where there is vnni, four products are one instruction, and codes of q8_0 are made
// unsigned.
#include "compiler/kernels/linear_quantised.h"

#include <array>

#include "compiler/kernels/block_quantizer.h"

namespace lathe::compiler::kernels {

using ir::Type;
using ir::program::Builder;
using ir::program::Op;
using ir::program::Pointer;
using ir::program::Scalar;
using ir::program::Span;
using ir::program::Vec;

namespace {

constexpr int64_t kBlock = BlockQuantizer::kBlock;
constexpr int64_t kSuperBlock = 256;  // of q4_K
constexpr int64_t kSubBlocks = kSuperBlock / kBlock;
constexpr int64_t kLine = 64;
constexpr int64_t kGroup = 4;  // k that lie side by side

}  // namespace

bool quantised_tile_fits(const ir::Target& target, int64_t tile, int64_t vectors, int64_t streams) {
  const int64_t wide = vectors * streams;
  const int64_t decoded = tile == 1 ? 4 : 2 * wide + (wide > 1 ? 2 : 1);
  const int64_t copies = target.fused ? 0 : 2;  // where instructions overwrite an operand
  return 2 * tile * wide + decoded + copies <= target.vector_registers;
}

SearchSpace quantised_linear_space(const Linear& linear, const ir::Target& target) {
  SearchSpace space;
  const bool blocked = linear.rows.low >= kLeastBlockedRows;
  const int64_t panel_vectors = std::max<int64_t>(linear.panel / target.lanes, 1);
  const auto fits = [=](int64_t tile, int64_t vectors, int64_t streams) {
    return quantised_tile_fits(target, tile, vectors, streams);
  };
  std::vector<int64_t> vectors, tiles, streams = {1};
  for (int64_t v = 1; v <= panel_vectors; ++v)
    if (panel_vectors % v == 0 && fits(1, v, 1)) vectors.push_back(v);
  // Each part of a panel and each number of rows has code of its own: narrow vectors get few rows.
  const int64_t most_rows = target.lanes >= 8 ? 12 : target.lanes;
  for (const int64_t tile : {1, 2, 3, 4, 5, 6, 8, 10, 12})
    if (tile <= linear.rows.high && tile <= most_rows && fits(tile, vectors.front(), 1))
      tiles.push_back(tile);
  for (const int64_t more : {2, 4})
    if (!blocked && !linear.pair && fits(1, panel_vectors, more)) streams.push_back(more);
  // Decoding a vector of w costs as much as half of its products with a row: rows come first.
  int64_t usual_tile = tiles.back(), usual_vectors = vectors.front();
  if (linear.rows.high == 1) usual_vectors = vectors.back();
  space.knob("tile", tiles, usual_tile, "rows of the register tile");
  space.knob("vectors", vectors, usual_vectors,
             "vectors of a panel that a tile multiplies at once");
  space.knob("streams", streams, 1, "panels of w that a tile reads side by side");
  if (blocked) {
    space.knob("rows", {48, 96, 192}, 96, "rows of x in a block");
    space.knob("columns", {128, 512}, 128, "columns of w in a block, for all rows and all of k");
    space.choice("next", {"off", "on"}, "on",
                 "whether the tiles of a panel ask for the next panel, into the second cache");
  } else {
    space.knob("prefetch", {0, 1024, 2048, 4096, 8192}, 8192,
               "bytes of w that are asked for ahead of their use");
  }
  space.require([=](const Schedule& s) { return fits(s["tile"], s["vectors"], s["streams"]); },
                "the tile's sums, dots and decoded codes must fit the vector registers");
  space.require(
      [=](const Schedule& s) { return s["streams"] == 1 || s["vectors"] == panel_vectors; },
      "panels are read side by side only as a whole");
  if (blocked) {
    space.require([=](const Schedule& s) { return 2 * s["tile"] * s["vectors"] > usual_tile; },
                  "a tile of many rows must reuse what it decodes");
  }
  return space;
}

/// One block of 32 of k: what it reads, and its dots.
struct QuantisedTile::Block {
  const RowPointers& x;
  const RowPointers& factors;
  const std::vector<Pointer>& codes;   ///< of each stream
  const std::vector<Pointer>& scales;  ///< of each stream; the first alone where they are expanded
  int rows, part;
  std::vector<Vec> dots{};  ///< i32, by row, then vector
};

QuantisedTile::QuantisedTile(Builder& b, const Linear& linear, const LinearBlocking& blocking)
    : b_(b), linear_(linear), s_(blocking), rows_(linear, b.target()) {}

std::vector<Pointer> QuantisedTile::panels(Pointer first, size_t part, int streams) const {
  std::vector<Pointer> pointers;
  for (int i = 0; i < streams; ++i)
    pointers.push_back(b_.offset(first, linear_.part_bytes[part] * i));
  return pointers;
}

RegisterTile QuantisedTile::multiply(int rows, const QuantisedOperands& at,
                                     const std::function<void()>& every_block) {
  RegisterTile sums(b_, rows, s_.vectors * at.streams, 1);
  const RowPointers x(b_, as_words(at.codes), rows, at.code_bytes);
  const RowPointers factors(b_, at.factors, rows, rows_.factor_bytes);
  const bool nested = linear_.weight == Type::q4_K;
  const int64_t panel = linear_.panel;
  const auto codes = panels(as_words(at.w[0]), 0, at.streams);
  std::vector<Pointer> scales;
  if (!nested) {
    scales = panels(at.w[1], 1, at.streams);
  } else if (s_.shares_scales) {
    scales = {b_.copy(at.expanded)};
  }
  // Of one block.
  const int64_t code_bytes = linear_.part_bytes[0] / (linear_.k / kBlock);
  const int64_t scale_bytes = nested ? 2 * panel * at.streams * 4 : panel * 2;
  const auto one_block = [&] {
    every_block();
    Block block{x, factors, codes, scales, rows, at.part};
    if (at.part == 0) prefetch(block);
    dots(block);
    add_products(sums, block);
    x.advance(kBlock * ir::size_of(rows_.codes) / 4);
    factors.advance(rows_.words);
    for (const Pointer& stream : codes) b_.advance(stream, code_bytes);
    for (const Pointer& stream : scales) b_.advance(stream, scale_bytes);
  };
  if (!nested || s_.shares_scales) {
    b_.loop(0, linear_.k / kBlock, 1, [&](Scalar) { one_block(); });
    return sums;
  }
  const auto nested_scales = panels(at.w[1], 1, at.streams);
  const auto nested_factors = panels(at.w[2], 2, at.streams);
  b_.loop(0, linear_.k / kSuperBlock, 1, [&](Scalar) {
    expand(nested_scales, nested_factors, at.expanded);
    for (const Pointer& stream : nested_scales) b_.advance(stream, 2 * panel * 2);
    for (const Pointer& stream : nested_factors) b_.advance(stream, 3 * panel * 4);
    scales = {b_.copy(at.expanded)};
    b_.loop(0, kSubBlocks, 1, [&](Scalar) { one_block(); });
  });
  return sums;
}

Vec QuantisedTile::codes_of_w(const Block& block, int vector, int group) const {
  const int64_t column = (block.part * s_.vectors + vector % s_.vectors) * int64_t{b_.lanes()};
  return b_.load(block.codes[static_cast<size_t>(vector / s_.vectors)],
                 Span{group * linear_.panel + column});
}

void QuantisedTile::prefetch(const Block& block) const {
  if (s_.prefetch == 0) return;
  const int64_t bytes = linear_.part_bytes[0] / (linear_.k / kBlock);
  for (const Pointer& stream : block.codes)
    for (int64_t at = 0; at < bytes; at += kLine) b_.prefetch(stream, at + s_.prefetch);
}

void QuantisedTile::dots(Block& block) {
  const size_t wide = static_cast<size_t>(s_.vectors) * block.codes.size();
  block.dots.assign(static_cast<size_t>(block.rows) * wide, Vec{});
  if (linear_.weight != Type::q8_0) {
    dots_of_nibbles(block);
  } else if (b_.target().vnni) {
    dots_of_unsigned_bytes(block);
  } else {
    dots_of_bytes(block);
  }
}

namespace {

// sum + value, the first time just the value.
void accumulate(Builder& b, Op add, Vec& sum, Vec value) {
  if (!sum.reg.valid()) {
    sum = value;
  } else {
    b.set(sum, b.int_op(add, sum, value));
  }
}

}  // namespace

// As i16: a product with 1 and 0 widens the even bytes of a group of four, one with 0 and 1 the
// odd.
void QuantisedTile::dots_of_bytes(Block& block) {
  const int wide = s_.vectors * static_cast<int>(block.codes.size());
  const std::array<Vec, 2> halves = {b_.constant_bits(0x00010001U), b_.constant_bits(0x01000100U)};
  for (int group = 0; group < kBlock / kGroup; ++group) {
    std::vector<std::array<Vec, 2>> w;
    const auto decode = [&](int v) {
      const Vec codes = codes_of_w(block, v, group);
      const Vec even = b_.int_op(Op::dot2_u8s8, halves[0], codes);
      const Vec odd = b_.int_op(Op::dot2_u8s8, halves[1], codes);
      w.push_back({even, odd});
    };
    for (int v = 0; block.rows > 1 && v < wide; ++v) decode(v);
    for (int row = 0; row < block.rows; ++row) {
      for (const size_t half : {0U, 1U}) {
        const Vec x = block.x.load_splat(row, 2 * group + static_cast<int>(half));
        for (int v = 0; v < wide; ++v) {
          if (block.rows == 1 && half == 0) decode(v);
          accumulate(b_, Op::iadd, block.dots[static_cast<size_t>(row * wide + v)],
                     b_.int_op(Op::dot2_s16, w[static_cast<size_t>(v)][half], x));
        }
      }
    }
  }
}

// With vnni: codes made unsigned by their sign bits, which adds 128 to each.
void QuantisedTile::dots_of_unsigned_bytes(Block& block) {
  const int wide = s_.vectors * static_cast<int>(block.codes.size());
  const Vec signs = b_.constant_bits(0x80808080U);
  for (int group = 0; group < kBlock / kGroup; ++group) {
    std::vector<Vec> w;
    const auto decode = [&](int v) { w.push_back(b_.bit_xor(codes_of_w(block, v, group), signs)); };
    for (int v = 0; block.rows > 1 && v < wide; ++v) decode(v);
    for (int row = 0; row < block.rows; ++row) {
      const Vec x = block.x.load_splat(row, group);
      for (int v = 0; v < wide; ++v) {
        if (block.rows == 1) decode(v);
        Vec& dot = block.dots[static_cast<size_t>(row * wide + v)];
        if (group == 0) dot = b_.copy(block.factors.load_splat(row, 1));
        b_.set(dot, b_.dot4(w[static_cast<size_t>(v)], x, dot));
      }
    }
  }
}

void QuantisedTile::dots_of_nibbles(Block& block) {
  const int wide = s_.vectors * static_cast<int>(block.codes.size());
  const Vec nibble = b_.constant_bits(0x0f0f0f0fU);
  const bool four_way = b_.target().vnni;
  constexpr int kGroups = 4;
  for (int group = 0; group < kGroups; ++group) {
    std::vector<Vec> low, high;
    const auto decode = [&](int v) {
      const Vec both = codes_of_w(block, v, group);
      low.push_back(b_.bit_and(both, nibble));
      high.push_back(b_.bit_and(b_.shift(Op::ishr, both, 4), nibble));
    };
    const auto multiply = [&](int row, int v, Vec codes, Vec x) {
      Vec& dot = block.dots[static_cast<size_t>(row * wide + v)];
      if (!four_way) return accumulate(b_, Op::iadd16, dot, b_.int_op(Op::dot2_u8s8, codes, x));
      if (!dot.reg.valid())
        dot = b_.copy(rows_.offset > 0 ? block.factors.load_splat(row, 1) : b_.constant_bits(0));
      b_.set(dot, b_.dot4(codes, x, dot));
    };
    if (block.rows == 1) {
      const Vec x_low = block.x.load_splat(0, group);
      const Vec x_high = block.x.load_splat(0, kGroups + group);
      for (int v = 0; v < wide; ++v) {
        decode(v);
        multiply(0, v, low.back(), x_low);
        multiply(0, v, high.back(), x_high);
      }
      continue;
    }
    for (int v = 0; v < wide; ++v) decode(v);
    for (int row = 0; row < block.rows; ++row) {
      for (const bool upper : {false, true}) {
        const Vec x = block.x.load_splat(row, upper ? kGroups + group : group);
        for (int v = 0; v < wide; ++v)
          multiply(row, v, (upper ? high : low)[static_cast<size_t>(v)], x);
      }
    }
  }
  if (four_way) return;
  const Vec ones = b_.constant_bits(0x00010001U);
  for (int row = 0; row < block.rows; ++row) {
    for (int v = 0; v < wide; ++v) {
      Vec& dot = block.dots[static_cast<size_t>(row * wide + v)];
      dot = b_.int_op(Op::dot2_s16, dot, ones);
      if (rows_.offset > 0) dot = b_.int_op(Op::iadd, dot, block.factors.load_splat(row, 1));
    }
  }
}

void QuantisedTile::add_products(RegisterTile& sums, Block& block) {
  const int wide = s_.vectors * static_cast<int>(block.codes.size());
  const int64_t lanes = b_.lanes();
  const bool nested = linear_.weight == Type::q4_K;
  const auto place = [&](int v, int64_t which) {
    const int64_t column = (block.part * s_.vectors + v % s_.vectors) * lanes;
    if (!nested) return Span{column};
    const auto streams = static_cast<int64_t>(block.codes.size());
    return Span{(which * streams + v / s_.vectors) * linear_.panel + column};
  };
  for (int v = 0; v < wide; ++v) {
    const Pointer from =
        nested ? block.scales[0] : block.scales[static_cast<size_t>(v / s_.vectors)];
    const Vec scale = b_.load(from, place(v, 0));
    for (int row = 0; row < block.rows; ++row) {
      const Vec both = block.factors.load_splat(row, 0) * scale;
      const Vec dot = b_.to_float(block.dots[static_cast<size_t>(row * wide + v)]);
      b_.set(sums.at(row, v), b_.fma(dot, both, sums.at(row, v)));
    }
    if (!nested) continue;
    const Vec minimum = b_.load(from, place(v, 1));
    for (int row = 0; row < block.rows; ++row) {
      const Vec less = block.factors.load_splat(row, 1);
      b_.set(sums.at(row, v), b_.fma(less, minimum, sums.at(row, v)));
    }
  }
}

// A super-block's products d · scale and dmin · minimum: [8, 2, streams, panel] at `to`.
void QuantisedTile::expand(const std::vector<Pointer>& scales, const std::vector<Pointer>& factors,
                           Pointer to) {
  const auto streams = static_cast<int64_t>(scales.size());
  const int64_t panel = linear_.panel;
  const Vec six_bits = b_.constant_bits(0x3f3f3f3fU), four_bits = b_.constant_bits(0x0f0f0f0fU);
  const Vec top_bits = b_.constant_bits(0x30303030U), byte = b_.constant_bits(0xffU);
  for (int64_t stream = 0; stream < streams; ++stream) {
    const auto s = static_cast<size_t>(stream);
    for (int64_t column = 0; column < panel; column += b_.lanes()) {
      const auto word = [&](int64_t i) {
        return b_.load(as_words(factors[s]), Span{i * panel + column});
      };
      const Vec shared = word(2);
      for (const int which : {0, 1}) {
        const Vec own = word(which);
        const Vec scale = b_.load(scales[s], Span{which * panel + column});
        const Vec low_four = b_.bit_and(own, six_bits);
        const Vec nibbles =
            b_.bit_and(which == 0 ? shared : b_.shift(Op::ishr, shared, 4), four_bits);
        const Vec two_bits = b_.bit_and(b_.shift(Op::ishr, own, 2), top_bits);
        const Vec high_four = b_.bit_or(nibbles, two_bits);
        for (int64_t sub = 0; sub < kSubBlocks; ++sub) {
          const Vec bytes = sub < 4 ? low_four : high_four;
          const auto at = static_cast<int>(sub % 4);
          const Vec down = at == 0 ? bytes : b_.shift(Op::ishr, bytes, 8 * at);
          const Vec one = at == 3 ? down : b_.bit_and(down, byte);
          b_.store(to, Span{((sub * 2 + which) * streams + stream) * panel + column},
                   b_.to_float(one) * scale);
        }
      }
    }
  }
}

void QuantisedTile::expand_panel(const QuantisedOperands& at) {
  const auto scales = panels(at.w[1], 1, 1);
  const auto factors = panels(at.w[2], 2, 1);
  const Pointer to = b_.copy(at.expanded);
  b_.loop(0, linear_.k / kSuperBlock, 1, [&](Scalar) {
    expand(scales, factors, to);
    b_.advance(scales[0], 2 * linear_.panel * 2);
    b_.advance(factors[0], 3 * linear_.panel * 4);
    b_.advance(to, kSubBlocks * 2 * linear_.panel * 4);
  });
}

}  // namespace lathe::compiler::kernels
