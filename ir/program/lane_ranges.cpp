// Arithmetic on the abstract lanes: intervals and possible bits sharpen each other.
#include "ir/program/lane_ranges.h"

#include <algorithm>
#include <bit>

namespace lathe::ir::program {
namespace {

Interval meet(const Interval& a, const Interval& b) {
  return {std::max(a.low, b.low), std::min(a.high, b.high)};
}

// All bits up to the highest of `high`, a bound of at most 32 bits.
uint32_t bits_below(int64_t high) {
  return static_cast<uint32_t>(
      std::bit_ceil(static_cast<uint64_t>(std::max<int64_t>(high, 0)) + 1) - 1);
}

uint32_t largest_part(uint32_t bits, int width) {
  uint32_t largest = 0;
  for (int at = 0; at < 32; at += width)
    largest = std::max(largest, bits >> at & ((1U << width) - 1));
  return largest;
}

// What each of the views says about the others. Two rounds reach what the proofs need.
LaneRange sharpen(LaneRange lane) {
  for (int round = 0; round < 2; ++round) {
    lane.u8 = meet(lane.u8, {0, largest_part(lane.ones, 8)});
    if (lane.u8.high <= 127) lane.s8 = meet(lane.s8, lane.u8);
    if (lane.s8.low >= 0) lane.u8 = meet(lane.u8, lane.s8);
    if ((lane.ones & 0x80008000U) == 0) lane.s16 = meet(lane.s16, {0, largest_part(lane.ones, 16)});
    if ((lane.ones & 0x80000000U) == 0) lane.s32 = meet(lane.s32, {0, lane.ones});
    lane.ones &= bits_below(lane.u8.high) * 0x01010101U;
    if (lane.s16.low >= 0) lane.ones &= bits_below(lane.s16.high) * 0x00010001U;
    if (lane.s32.low >= 0) lane.ones &= bits_below(lane.s32.high);
  }
  return lane;
}

LaneRange bitwise_and(const LaneRange& a, const LaneRange& b) {
  LaneRange result = LaneRange::of_bits(a.ones & b.ones);
  result.u8 = meet(result.u8, {0, std::min(a.u8.high, b.u8.high)});
  if (a.s32.low >= 0) result.s32 = meet(result.s32, {0, a.s32.high});
  if (b.s32.low >= 0) result.s32 = meet(result.s32, {0, b.s32.high});
  return sharpen(result);
}

LaneRange bitwise_xor(const LaneRange& a, const LaneRange& b) {
  constexpr uint32_t kFlipSigns = 0x80808080U;
  LaneRange result = LaneRange::of_bits(a.ones | b.ones);
  if (a.constant == kFlipSigns || b.constant == kFlipSigns) {
    const LaneRange& bytes = a.constant == kFlipSigns ? b : a;
    result.u8 = {bytes.s8.low + 128, bytes.s8.high + 128};
    result.s8 = {bytes.u8.low - 128, bytes.u8.high - 128};
  }
  return sharpen(result);
}

LaneRange shift(const Instr& instr, const LaneRange& a) {
  const Interval& lane = a.s32;
  const int64_t bits = instr.imm;
  if (instr.op == Op::ishl) {
    LaneRange result = LaneRange::of_bits(a.ones << bits);
    const Interval shifted = lane * Interval{int64_t{1} << bits, int64_t{1} << bits};
    if (shifted.within(kS32)) result.s32 = meet(result.s32, shifted);
    return sharpen(result);
  }
  if (instr.op == Op::ishr && lane.low < 0) return LaneRange::of_bits(a.ones >> bits);
  LaneRange result = LaneRange::of_s32({lane.low >> bits, lane.high >> bits});
  if (lane.low >= 0) result.ones &= a.ones >> bits;
  return sharpen(result);
}

}  // namespace

Interval hull(const Interval& a, const Interval& b) {
  return {std::min(a.low, b.low), std::max(a.high, b.high)};
}
Interval operator+(const Interval& a, const Interval& b) {
  return {a.low + b.low, a.high + b.high};
}
Interval operator*(const Interval& a, const Interval& b) {
  const auto [low, high] =
      std::minmax({a.low * b.low, a.low * b.high, a.high * b.low, a.high * b.high});
  return {low, high};
}

LaneRange LaneRange::of_constant(uint32_t bits) {
  LaneRange lane;
  lane.constant = bits;
  lane.ones = bits;
  const auto view = [&]<typename T>(T) {
    Interval range{INT64_MAX, INT64_MIN};
    for (size_t at = 0; at < 32; at += 8 * sizeof(T)) {
      const int64_t part = static_cast<T>(bits >> at);
      range = hull(range, {part, part});
    }
    return range;
  };
  lane.u8 = view(uint8_t{});
  lane.s8 = view(int8_t{});
  lane.s16 = view(int16_t{});
  lane.s32 = view(int32_t{});
  return lane;
}

LaneRange LaneRange::of_u8(const Interval& range) {
  LaneRange lane;
  lane.u8 = range;
  return sharpen(lane);
}
LaneRange LaneRange::of_s8(const Interval& range) {
  LaneRange lane;
  lane.s8 = range;
  return sharpen(lane);
}
LaneRange LaneRange::of_s16(const Interval& range) {
  LaneRange lane;
  if (range.within(kS16)) lane.s16 = range;
  return sharpen(lane);
}
LaneRange LaneRange::of_s32(const Interval& range) {
  LaneRange lane;
  if (range.within(kS32)) lane.s32 = range;
  return sharpen(lane);
}
LaneRange LaneRange::of_bits(uint32_t ones) {
  LaneRange lane;
  lane.ones = ones;
  return sharpen(lane);
}

LaneRange hull(const LaneRange& a, const LaneRange& b) {
  LaneRange lane;
  lane.ones = a.ones | b.ones;
  lane.u8 = hull(a.u8, b.u8);
  lane.s8 = hull(a.s8, b.s8);
  lane.s16 = hull(a.s16, b.s16);
  lane.s32 = hull(a.s32, b.s32);
  if (a.constant == b.constant) lane.constant = a.constant;
  return lane;
}

LaneRange loaded(const Buffer& buffer, MemoryType memory, bool partial) {
  const auto declared = [&](Type type, const Interval& all) {
    // Bytes of another signedness keep the range where both read them alike.
    if (!buffer.range || info(type).block_bytes != info(buffer.type).block_bytes) return all;
    const Interval range{buffer.range->first, buffer.range->second};
    return buffer.type == type || range.within(meet(all, {0, all.high})) ? range : all;
  };
  LaneRange lane;
  switch (memory) {
    case MemoryType::raw32:
      lane.u8 = declared(Type::u8, kU8);
      lane.s8 = declared(Type::i8, kS8);
      lane.s16 = declared(Type::i16, kS16);
      lane.s32 = declared(Type::i32, kS32);
      lane = sharpen(lane);
      break;
    case MemoryType::i8: lane = LaneRange::of_s32(declared(Type::i8, kS8)); break;
    case MemoryType::u8: lane = LaneRange::of_s32(declared(Type::u8, kU8)); break;
    case MemoryType::i16: lane = LaneRange::of_s32(declared(Type::i16, kS16)); break;
    case MemoryType::u16: lane = LaneRange::of_s32(declared(Type::u16, {0, 65535})); break;
    case MemoryType::f16: break;
    case MemoryType::bf16: lane = LaneRange::of_bits(0xFFFF0000U); break;
  }
  return partial ? hull(lane, LaneRange::of_constant(0)) : lane;
}

LaneRange bitwise(const Instr& instr, const LaneRange& a, const LaneRange& b) {
  switch (instr.op) {
    case Op::iand: return bitwise_and(a, b);
    case Op::iandn: return LaneRange::of_bits(a.constant ? ~*a.constant & b.ones : b.ones);
    case Op::ior: return LaneRange::of_bits(a.ones | b.ones);
    case Op::ixor: return bitwise_xor(a, b);
    case Op::ishl:
    case Op::ishr:
    case Op::isar: return shift(instr, a);
    case Op::iadd: return LaneRange::of_s32(a.s32 + b.s32);
    case Op::isub: return LaneRange::of_s32(a.s32 + Interval{-b.s32.high, -b.s32.low});
    case Op::imul: return LaneRange::of_s32(a.s32 * b.s32);
    case Op::imin:
      return LaneRange::of_s32({std::min(a.s32.low, b.s32.low), std::min(a.s32.high, b.s32.high)});
    case Op::imax:
      return LaneRange::of_s32({std::max(a.s32.low, b.s32.low), std::max(a.s32.high, b.s32.high)});
    default: return {};
  }
}

}  // namespace lathe::ir::program
