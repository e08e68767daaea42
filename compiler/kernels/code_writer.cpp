// Codes from whole numbers, in the fewest stores.
#include "compiler/kernels/code_writer.h"

#include <array>
#include <limits>

namespace lathe::compiler::kernels {

using ir::Type;
using ir::program::Builder;
using ir::program::Compare;
using ir::program::Op;
using ir::program::Pointer;
using ir::program::Span;
using ir::program::Vec;

namespace {
constexpr uint32_t kMagnitude = 0x7fffffffU;
constexpr uint32_t kInfinityBits = 0x7f800000U;
}  // namespace

Vec magnitude_bits(Builder& b, Vec value) { return b.bit_and(value, b.constant_bits(kMagnitude)); }

// Bounded first: the reduction is one of f32, which would lose a NaN.
Vec largest_lane(Builder& b, Vec bits) {
  const Vec bounded = b.int_op(Op::imin, bits, b.constant_bits(kInfinityBits));
  return b.reduce_max(bounded);
}

CodeScale code_scale(Builder& b, Vec largest) {
  const Vec bounded = b.int_op(Op::imin, largest, b.constant_bits(kInfinityBits));
  // 0 for finite blocks, NaN for the others.
  const Vec poison = bounded - bounded;
  const Vec d = b.div(bounded, b.constant(127)) + poison;
  const Vec inverse = b.div(b.constant(1), d);
  // Where d is 0 or so small that 1/d overflows, and where it is NaN, the codes are 0.
  const Vec most = b.constant(std::numeric_limits<float>::max());
  const Vec ones = b.constant_bits(~0U);
  const ir::program::Mask finite = b.compare(Compare::le, inverse, most);
  return {d, inverse, b.select(finite, ones, b.constant(0))};
}

CodeWriter::CodeWriter(Builder& b) : b_(b) {
  if (!packs_bytes()) return;
  // Byte 4i + j of a group of 16 to place i + 4j.
  const Vec lane = b.bit_and(b.iota(), b.constant_bits(3));
  const Vec spread = b.int_op(Op::imul, lane, b.constant_bits(0x01010101U));
  order_ = b.int_op(Op::iadd, spread, b.constant_bits(0x0c080400U));
}

void CodeWriter::write(const Place& place, Vec kept, const std::function<Vec(int64_t)>& whole,
                       const std::function<void(Vec)>& each) {
  const int64_t lanes = b_.lanes();
  const Codes code = [&](int64_t i) {
    const Vec value = whole(i);
    if (each) each(b_.bit_and(value, kept));
    return value;
  };
  const Codes integer = [&](int64_t i) { return b_.bit_and(b_.to_int(code(i)), kept); };
  Pointer to = place.to;
  if (place.as_pairs) return write_pairs(place, integer);
  if (!packs_bytes()) {
    to.type = Type::i8;
    for (int64_t i = 0; i < kCodes / lanes; ++i)
      b_.store(to, Span{place.offset + i * lanes, {}, 0, true}, integer(i));
    return;
  }
  to.type = Type::i32;
  for (int64_t i = 0; i < kCodes / lanes; i += 4) {
    ir::program::Instr store{.op = Op::store};
    store.src[0] = b_.bit_and(packed(code, i), kept).reg;
    store.address.pointer = to.reg;
    store.address.offset = place.offset + i * lanes;
    b_.emit(store);
  }
}

void CodeWriter::write_pairs(const Place& place, const Codes& code) {
  constexpr std::array<int64_t, 4> kOrder = {0, 2, 1, 3};
  const int64_t lanes = b_.lanes();
  Pointer pairs = place.to;
  pairs.type = Type::i16;
  for (int64_t i = 0; i < kCodes / lanes; ++i) {
    Vec value = code(i);
    int64_t to = i * lanes;
    if (lanes == 1) {
      to = i / 4 * 4 + kOrder[static_cast<size_t>(i % 4)];
    } else {
      std::vector<uint8_t> pattern(static_cast<size_t>(lanes));
      for (size_t lane = 0; lane < pattern.size(); ++lane)
        pattern[lane] = static_cast<uint8_t>(lane / 4 * 4 + static_cast<size_t>(kOrder[lane % 4]));
      value = b_.permute(value, pattern);
    }
    b_.store(pairs, Span{place.offset / 2 + to}, value);
  }
}

// Codes of four vectors as consecutive bytes. Two of them fit one exact f32; in the sum of all
// four as i32, a bias of 128 in each byte keeps a negative one from borrowing.
Vec CodeWriter::packed(const Codes& code, int64_t i) {
  const auto pair = [&](int64_t low) {
    const Vec first = code(low);
    const Vec second = code(low + 1);
    return b_.to_int(b_.fma(second, b_.constant(256), first));
  };
  const Vec bias = b_.constant_bits(0x80808080U);
  const Vec low = b_.int_op(Op::iadd, pair(i), bias);
  const Vec high = b_.shift(Op::ishl, pair(i + 2), 16);
  const Vec word = b_.bit_xor(b_.int_op(Op::iadd, low, high), bias);
  const Vec quads = b_.int_op(Op::byte_shuffle, word, order_);
  return b_.lanes() == 4 ? quads : b_.permute(quads, {0, 4, 1, 5, 2, 6, 3, 7});
}

}  // namespace lathe::compiler::kernels
