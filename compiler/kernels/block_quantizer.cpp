// Blocks of codes and their scales, several at a time where their divisions can be shared.
#include "compiler/kernels/block_quantizer.h"

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

constexpr int64_t kBlock = BlockQuantizer::kBlock;
constexpr int kTogether = BlockQuantizer::kTogether;
constexpr uint32_t kMagnitude = 0x7fffffffU;
constexpr uint32_t kSign = 0x80000000U;
constexpr float kBelowHalf = 0x1.fffffep-2F;
constexpr uint32_t kInfinityBits = 0x7f800000U;

// The largest magnitude of the block at each place of a vector. Magnitudes compare as integers,
// where every NaN lies above infinity and none is lost.
Vec largest_by_lane(Builder& b, const Pointer& x, int64_t block) {
  const Vec mask = b.constant_bits(kMagnitude);
  Vec largest;
  for (int64_t i = 0; i < kBlock; i += b.lanes()) {
    const Vec magnitude = b.bit_and(b.load(x, Span{block * kBlock + i, {}, 0, true}), mask);
    largest = i == 0 ? magnitude : b.int_op(Op::imax, largest, magnitude);
  }
  return largest;
}

// In each group of four lanes, lane k = the largest over all lanes of values[k].
Vec largest_of_four(Builder& b, const std::array<Vec, kTogether>& values) {
  const auto lanes = static_cast<size_t>(b.lanes());
  // In each group of four: lanes p, q of `first`, then of `second`.
  const auto pick = [&](Vec first, Vec second, size_t p, size_t q) {
    std::vector<uint8_t> pattern(lanes);
    for (size_t i = 0; i < lanes; ++i) {
      const size_t group = i / 4 * 4;
      pattern[i] = static_cast<uint8_t>(group + (i % 2 == 0 ? p : q) + (i % 4 < 2 ? 0 : lanes));
    }
    return b.shuffle(first, second, pattern);
  };
  const auto halves = [&](Vec first, Vec second) {
    const Vec low = pick(first, second, 0, 1);
    return b.int_op(Op::imax, low, pick(first, second, 2, 3));
  };
  const Vec left = halves(values[0], values[1]);
  const Vec right = halves(values[2], values[3]);
  const Vec even = pick(left, right, 0, 2);
  Vec largest = b.int_op(Op::imax, even, pick(left, right, 1, 3));
  for (size_t apart = lanes / 2; apart >= 4; apart /= 2) {
    std::vector<uint8_t> pattern(lanes);
    for (size_t i = 0; i < lanes; ++i) pattern[i] = static_cast<uint8_t>(i ^ apart);
    largest = b.int_op(Op::imax, largest, b.permute(largest, pattern));
  }
  return largest;
}

// A whole number, halves away from zero. The largest value below a half carries every v from its
// half on over the next integer, by the sum's rounding too, and no smaller one.
Vec round_away(Builder& b, Vec v) {
  const Vec sign = b.bit_and(v, b.constant_bits(kSign));
  return b.trunc(v + b.bit_or(sign, b.constant(kBelowHalf)));
}

}  // namespace

BlockQuantizer::BlockQuantizer(Builder& b) : b_(b) {
  if (!packs_bytes()) return;
  // Byte 4i + j of a group of 16 to place i + 4j.
  const Vec lane = b.bit_and(b.iota(), b.constant_bits(3));
  const Vec spread = b.int_op(Op::imul, lane, b.constant_bits(0x01010101U));
  order_ = b.int_op(Op::iadd, spread, b.constant_bits(0x0c080400U));
}

void BlockQuantizer::write(Pointer x, int64_t first, int count, const Sink& sink) {
  if (count == kTogether && b_.lanes() >= kTogether) {
    std::array<Vec, kTogether> values;
    for (int i = 0; i < kTogether; ++i)
      values[static_cast<size_t>(i)] = largest_by_lane(b_, x, first + i);
    write_blocks(x, first, count, largest_of_four(b_, values), sink);
    return;
  }
  for (int i = 0; i < count; ++i) {
    // Bounded first: the reduction is one of f32, which would lose a NaN.
    const Vec bounded =
        b_.int_op(Op::imin, largest_by_lane(b_, x, first + i), b_.constant_bits(kInfinityBits));
    write_blocks(x, first + i, 1, b_.reduce_max(bounded), sink);
  }
}

// `largest`: lane k is that of block first + k, or every lane that of the only one.
void BlockQuantizer::write_blocks(Pointer x, int64_t first, int count, Vec largest,
                                  const Sink& sink) {
  const Vec bounded = b_.int_op(Op::imin, largest, b_.constant_bits(kInfinityBits));
  // 0 for finite blocks, NaN for the others.
  const Vec poison = bounded - bounded;
  const Vec d = b_.div(bounded, b_.constant(127)) + poison;
  const Vec inverse = b_.div(b_.constant(1), d);
  // Where d is 0 or so small that 1/d overflows, and where it is NaN, the codes are 0.
  const Vec most = b_.constant(std::numeric_limits<float>::max());
  const Vec ones = b_.constant_bits(~0U);
  const Vec kept = b_.select(b_.compare(Compare::le, inverse, most), ones, b_.constant(0));
  for (int i = 0; i < count; ++i) {
    const auto of_block = [&](Vec v) {
      if (count == 1) return v;
      return b_.permute(
          v, std::vector<uint8_t>(static_cast<size_t>(b_.lanes()), static_cast<uint8_t>(i)));
    };
    sink.scale(first + i, of_block(d));
    const Vec block_inverse = of_block(inverse);
    write_codes(x, first + i, block_inverse, of_block(kept), sink);
  }
}

void BlockQuantizer::write_codes(Pointer x, int64_t block, Vec inverse, Vec kept,
                                 const Sink& sink) {
  const int64_t lanes = b_.lanes();
  const int64_t start = block * sink.block_bytes + sink.codes_offset;
  Vec sum;
  const auto code = [&](int64_t i) {
    const Vec quotient = b_.load(x, Span{block * kBlock + i * lanes, {}, 0, true}) * inverse;
    const Vec whole = round_away(b_, quotient);
    if (sink.sum) {
      const Vec exact = b_.bit_and(whole, kept);
      sum = sum.reg.valid() ? sum + exact : exact;
    }
    return whole;
  };
  Pointer codes = sink.codes;
  if (sink.as_pairs) {
    write_pairs(block, [&](int64_t i) { return b_.bit_and(b_.to_int(code(i)), kept); }, sink);
  } else if (!packs_bytes()) {
    codes.type = Type::i8;
    for (int64_t i = 0; i < kBlock / lanes; ++i)
      b_.store(codes, Span{start + i * lanes, {}, 0, true}, b_.bit_and(b_.to_int(code(i)), kept));
  } else {
    codes.type = Type::i32;
    for (int64_t i = 0; i < kBlock / lanes; i += 4) {
      ir::program::Instr store{.op = Op::store};
      store.src[0] = b_.bit_and(packed(code, i), kept).reg;
      store.address.pointer = codes.reg;
      store.address.offset = start + i * lanes;
      b_.emit(store);
    }
  }
  if (sink.sum) sink.sum(block, b_.reduce_add(sum));
}

void BlockQuantizer::write_pairs(int64_t block, const std::function<Vec(int64_t)>& code,
                                 const Sink& sink) {
  constexpr std::array<int64_t, 4> kOrder = {0, 2, 1, 3};
  const int64_t lanes = b_.lanes();
  for (int64_t i = 0; i < kBlock / lanes; ++i) {
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
    b_.store(sink.codes, Span{block * kBlock + to}, value);
  }
}

// Codes of four vectors as consecutive bytes. Two of them fit one exact f32; in the sum of all
// four as i32, a bias of 128 in each byte keeps a negative one from borrowing.
Vec BlockQuantizer::packed(const std::function<Vec(int64_t)>& code, int64_t i) {
  const auto pair = [&](int64_t low) {
    const Vec first = code(low);
    return b_.to_int(b_.fma(code(low + 1), b_.constant(256), first));
  };
  const Vec bias = b_.constant_bits(0x80808080U);
  const Vec low = b_.int_op(Op::iadd, pair(i), bias);
  const Vec high = b_.shift(Op::ishl, pair(i + 2), 16);
  const Vec word = b_.bit_xor(b_.int_op(Op::iadd, low, high), bias);
  const Vec quads = b_.int_op(Op::byte_shuffle, word, order_);
  return b_.lanes() == 4 ? quads : b_.permute(quads, {0, 4, 1, 5, 2, 6, 3, 7});
}

}  // namespace lathe::compiler::kernels
