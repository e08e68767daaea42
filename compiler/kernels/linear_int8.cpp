// Tiles of products of 8-bit codes.
//
// A vector of the weight's codes holds four k of as many columns as it has lanes. On AVX2 they are
// widened to 16 bits, two k to a word, and meet words of two k of x: a product of words adds up two
// k in 32 bits, exactly. Many rows widen a panel once for all. Where there is vnni, four products
// are one instruction, and w's codes are made unsigned: that adds 128 · x to each product, which
// the packed rows of x bring along, summed and negated.
#include "compiler/kernels/linear_int8.h"

#include <algorithm>
#include <array>

#include "compiler/kernels/code_writer.h"
#include "compiler/weight_packing.h"

namespace lathe::compiler::kernels {

using ir::Type;
using ir::program::BufferAccess;
using ir::program::Builder;
using ir::program::Op;
using ir::program::Pointer;
using ir::program::Program;
using ir::program::Scalar;
using ir::program::Span;
using ir::program::Vec;

namespace {

constexpr int64_t kLine = 64;
constexpr int64_t kGroup = 4;  // k that lie side by side
constexpr int64_t kCodes = CodeWriter::kCodes;

}  // namespace

bool int8_tile_fits(const ir::Target& target, int64_t tile, int64_t vectors, int64_t streams,
                    bool expanded) {
  const int64_t wide = vectors * streams;
  const int64_t loaded = tile == 1 ? 1 : wide;
  const int64_t others = target.vnni ? 2 : expanded ? 2 : 4;
  return tile * wide + loaded + others <= target.vector_registers;
}

SearchSpace int8_linear_space(const Linear& linear, const ir::Target& target) {
  SearchSpace space;
  const bool blocked = linear.rows.low >= kLeastBlockedRows;
  const bool may_expand = linear.rows.low >= kLeastExpandedRows && linear.widens(target);
  // Many rows always widen a panel ahead: each tile would do it again. Fewer lose by it what they
  // gain (1.16 of the time for 16 rows, 1.02 for 31).
  const bool expands = may_expand && blocked;
  const int64_t panel_vectors = std::max<int64_t>(linear.panel / target.lanes, 1);
  const auto fits = [=](int64_t tile, int64_t vectors, int64_t streams, bool expanded) {
    return int8_tile_fits(target, tile, vectors, streams, expanded);
  };
  std::vector<int64_t> vectors, tiles, streams = {1};
  for (int64_t v = 1; v <= panel_vectors; ++v)
    if (panel_vectors % v == 0 && fits(1, v, 1, may_expand)) vectors.push_back(v);
  // Each part of a panel and each number of rows has code of its own: narrow vectors get few rows.
  const int64_t most_rows = target.lanes >= 8 ? 14 : target.lanes;
  // A tile loads its vectors of w and its rows of x to multiply each by each.
  constexpr std::array<int64_t, 10> kTiles = {1, 2, 3, 4, 5, 6, 8, 10, 12, 14};
  int64_t usual_tile = 1, usual_vectors = vectors.front();
  double most = 0;
  for (const int64_t tile : kTiles) {
    for (const int64_t v : vectors) {
      const double ratio = static_cast<double>(tile * v) / static_cast<double>(tile + v);
      if (tile > std::min(linear.rows.high, most_rows) || !fits(tile, v, 1, expands)) continue;
      if (ratio <= most) continue;
      most = ratio;
      usual_tile = tile;
      usual_vectors = v;
    }
  }
  for (const int64_t tile : kTiles) {
    if (tile > std::min(linear.rows.high, most_rows)) continue;
    if (!fits(tile, vectors.front(), 1, may_expand)) continue;
    if (!blocked || 2 * tile >= usual_tile) tiles.push_back(tile);
  }
  for (const int64_t more : {2, 4}) {
    if (!may_expand && !blocked && !linear.pair && fits(1, panel_vectors, more, false))
      streams.push_back(more);
  }
  space.knob("tile", tiles, usual_tile, "rows of the register tile");
  space.knob("vectors", vectors, usual_vectors,
             "vectors of a panel that a tile multiplies at once");
  space.knob("streams", streams, 1, "panels of w that a tile reads side by side");
  if (may_expand && !blocked) {
    space.choice("expand", {"off", "on"}, "off",
                 "whether a panel is widened once for all rows of the block");
  }
  if (blocked) {
    space.knob("rows", {48, 96, 192}, 96, "rows of x in a block");
    space.knob("columns", {128, 512}, 128, "columns of w in a block, for all rows and all of k");
    space.choice("next", {"off", "on"}, "on",
                 "whether the tiles of a panel ask for the next panel, into the second cache");
  } else {
    space.knob("prefetch", {0, 2048, 8192}, 8192,
               "bytes of w that are asked for ahead of their use");
  }
  space.require(
      [=](const Schedule& s) {
        return fits(s["tile"], s["vectors"], s["streams"],
                    s.has("expand") ? s["expand"] == 1 : may_expand);
      },
      "the tile's sums and a step's operands must fit the vector registers");
  space.require(
      [=](const Schedule& s) { return s["streams"] == 1 || s["vectors"] == panel_vectors; },
      "panels are read side by side only as a whole");
  if (blocked) {
    space.require(
        [=](const Schedule& s) {
          return 3 * s["tile"] * s["vectors"] >= 2 * usual_tile * usual_vectors;
        },
        "a tile of many rows must reuse what it loads");
  }
  return space;
}

// Two passes over each row: its largest magnitude, then the codes.
Program int8_quantise_program(const Linear& linear, const ir::Target& target) {
  Builder b(linear.name + "_quantise", target);
  const QuantisedRows layout(linear, target);
  const Pointer x = b.buffer("x", linear.type, BufferAccess::read);
  const Pointer codes = b.buffer("codes", layout.codes, BufferAccess::write);
  const Pointer factors = b.buffer("factors", Type::f32, BufferAccess::write);
  const Scalar rows = b.parameter("rows");
  const Scalar stride = b.parameter("x.stride0");
  const int64_t lanes = b.lanes();
  CodeWriter writer(b);
  const Span first{0, {}, 1, lanes == 1};
  b.loop(0, rows, 1, [&](Scalar) {
    const Vec largest = b.copy(b.constant_bits(0));
    b.vectors(linear.k, 4, [&](const Span& at, int) {
      const Vec magnitude = magnitude_bits(b, b.load(x, at));
      b.set(largest, b.int_op(Op::imax, largest, magnitude));
    });
    const CodeScale scale = code_scale(b, largest_lane(b, largest));
    b.store(factors, first, scale.d);
    const Vec sum = b.copy(b.constant(0));
    const auto block = [&](const Pointer& from, const Pointer& to, int64_t count) {
      const auto whole = [&](int64_t i) {
        const int64_t there = std::min(count - i * lanes, lanes);
        if (there <= 0) return b.constant(0);
        return b.round(b.load(from, Span{i * lanes, {}, there, there == lanes}) * scale.inverse);
      };
      const CodeWriter::Place place{to, 0, layout.codes == Type::i16};
      if (layout.words == 1) return writer.write(place, scale.kept, whole);
      writer.write(place, scale.kept, whole, [&](Vec code) { b.set(sum, sum + code); });
    };
    const Pointer from = b.copy(x);
    const Pointer to = b.copy(codes);
    b.loop(0, linear.k / kCodes, 1, [&](Scalar) {
      block(from, to, kCodes);
      b.advance(from, kCodes * ir::size_of(linear.type));
      b.advance(to, kCodes * ir::size_of(layout.codes));
    });
    if (linear.k % kCodes > 0) block(from, to, linear.k % kCodes);
    if (layout.words > 1) {
      const Vec all = b.reduce_add(sum) * static_cast<float>(-layout.offset);
      b.store(b.offset(factors, 4), first, b.to_int(all));
    }
    b.advance(x, stride);
    b.advance(codes, layout.code_bytes);
    b.advance(factors, layout.factor_bytes);
  });
  return b.finish();
}

// As i16: a product with 1 and 0 widens the even bytes of a group of four, one with 0 and 1 the
// odd.
Vec Int8Tile::widened(Vec codes, int half) {
  const Vec one = b_.constant_bits(half == 0 ? 0x00010001U : 0x01000100U);
  return b_.int_op(Op::dot2_u8s8, one, codes);
}

// w is read once from memory: what lies ahead is asked for as `bytes` of it are read.
void Int8Tile::prefetch(Pointer w, int64_t bytes) {
  if (s_.prefetch == 0) return;
  for (int64_t line = 0; line < bytes; line += kLine) b_.prefetch(w, line + s_.prefetch);
}

RegisterTile Int8Tile::multiply(int rows, const QuantisedOperands& at,
                                const std::function<void()>& every_trip) {
  RegisterTile sums(b_, rows, s_.vectors * at.streams, 1);  // of integers: 0.0 has no bits
  const RowPointers x(b_, as_words(at.codes), rows, at.code_bytes);
  const int64_t panel = linear_.panel;
  std::vector<Pointer> w;
  for (int i = 0; i < at.streams; ++i) {
    w.push_back(s_.expand ? b_.copy(as_words(at.expanded))
                          : b_.offset(as_words(at.w[0]), linear_.part_bytes[0] * i));
  }
  const auto vector_of_w = [&](int v, int64_t row) {
    return b_.load(w[static_cast<size_t>(v / s_.vectors)], Span{row * panel + column(v, at.part)});
  };
  const auto steps_of_group = [&](int group) {
    if (b_.target().vnni) {
      const Vec signs = b_.constant_bits(0x80808080U);
      sums.step(
          0, [&](int v) { return b_.bit_xor(vector_of_w(v, group), signs); },
          [&](int row) { return x.load_splat(row, group); },
          [&](Vec codes, Vec unsigned_w, Vec sum) { return b_.dot4(unsigned_w, codes, sum); });
      return;
    }
    for (const int half : {0, 1}) {
      const int pair = 2 * group + half;
      sums.step(
          0,
          [&](int v) {
            return s_.expand ? vector_of_w(v, pair) : widened(vector_of_w(v, group), half);
          },
          [&](int row) { return x.load_splat(row, pair); },
          [&](Vec codes, Vec wide_w, Vec sum) {
            return b_.int_op(Op::iadd, sum, b_.int_op(Op::dot2_s16, wide_w, codes));
          });
    }
  };
  constexpr int kGroups = kInt8Unit / kGroup;
  const int64_t bytes = kInt8Unit * panel * (s_.expand ? 2 : 1);
  b_.loop(0, int8_padded(linear_.k) / kInt8Unit, 1, [&](Scalar) {
    every_trip();
    if (!s_.expand && at.part == 0)
      for (const Pointer& stream : w) prefetch(stream, bytes);
    for (int group = 0; group < kGroups; ++group) steps_of_group(group);
    x.advance(kInt8Unit * ir::size_of(rows_.codes) / 4);
    for (const Pointer& stream : w) b_.advance(stream, bytes);
  });
  scale(sums, at);
  return sums;
}

void Int8Tile::scale(RegisterTile& sums, const QuantisedOperands& at) {
  const RowPointers factors(b_, at.factors, sums.rows(), rows_.factor_bytes);
  for (int v = 0; v < s_.vectors * at.streams; ++v) {
    const int64_t first = v / s_.vectors * linear_.panel;  // of the stream's panel
    const Vec of_column = b_.load(at.w[1], Span{first + column(v, at.part)});
    for (int row = 0; row < sums.rows(); ++row) {
      const Vec sum = sums.at(row, v);
      if (rows_.words > 1) b_.set(sum, b_.int_op(Op::iadd, sum, factors.load_splat(row, 1)));
      const Vec both = factors.load_splat(row, 0) * of_column;
      b_.set(sum, b_.to_float(sum) * both);
    }
  }
}

void Int8Tile::expand_panel(const QuantisedOperands& at) {
  const Pointer from = b_.copy(as_words(at.w[0]));
  const Pointer to = b_.copy(as_words(at.expanded));
  const int64_t panel = linear_.panel;
  b_.loop(0, int8_padded(linear_.k) / kGroup, 1, [&](Scalar) {
    for (int64_t c = 0; c < panel; c += b_.lanes()) {
      const Vec codes = b_.load(from, Span{c});
      for (const int half : {0, 1}) b_.store(to, Span{half * panel + c}, widened(codes, half));
    }
    prefetch(from, panel * kGroup);
    b_.advance(from, panel * kGroup);
    b_.advance(to, 2 * panel * 4);
  });
}

}  // namespace lathe::compiler::kernels
