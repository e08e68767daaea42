// The abstract lanes hold what the concrete ones do, and are as sharp as the proofs need.
#include "ir/program/lane_ranges.h"

#include <random>

#include <gtest/gtest.h>

#include "ir/program/lane_ops.h"

namespace lathe::ir::program {
namespace {

// Whether every view of `lane` admits the value.
bool admits(const LaneRange& lane, uint32_t value) {
  const auto in = [](const Interval& range, int64_t v) {
    return v >= range.low && v <= range.high;
  };
  bool all = (value & ~lane.ones) == 0 && in(lane.s32, static_cast<int32_t>(value));
  for (int i = 0; i < 4; ++i)
    all = all && in(lane.u8, static_cast<uint8_t>(value >> 8 * i)) &&
          in(lane.s8, static_cast<int8_t>(value >> 8 * i));
  for (int i = 0; i < 2; ++i) all = all && in(lane.s16, static_cast<int16_t>(value >> 16 * i));
  return all && (!lane.constant || *lane.constant == value);
}

TEST(LaneRange, ConstantsAreExact) {
  const LaneRange lane = LaneRange::of_constant(0x80017F02);
  EXPECT_EQ(lane.u8, (Interval{1, 128}));
  EXPECT_EQ(lane.s8, (Interval{-128, 127}));
  EXPECT_EQ(lane.s16, (Interval{-32767, 0x7F02}));
  EXPECT_EQ(lane.s32,
            (Interval{static_cast<int32_t>(0x80017F02), static_cast<int32_t>(0x80017F02)}));
  EXPECT_TRUE(admits(lane, 0x80017F02));
  EXPECT_FALSE(admits(lane, 0x80017F03));
}

TEST(LaneRange, ViewsSharpenEachOther) {
  const LaneRange nibbles = LaneRange::of_bits(0x0F0F0F0F);
  EXPECT_EQ(nibbles.u8, (Interval{0, 15}));
  EXPECT_EQ(nibbles.s8, (Interval{0, 15}));
  EXPECT_EQ(nibbles.s16, (Interval{0, 0x0F0F}));
  EXPECT_EQ(nibbles.s32, (Interval{0, 0x0F0F0F0F}));
  EXPECT_EQ(LaneRange::of_u8({0, 9}).ones, 0x0F0F0F0FU);
  EXPECT_EQ(LaneRange::of_s8({0, 100}).u8, (Interval{0, 100}));
  EXPECT_EQ(LaneRange::of_s32({0, 255}).ones, 0xFFU);
  EXPECT_EQ(LaneRange::of_s16({0, 3}).ones, 0x00030003U);
}

TEST(LaneRange, RangesBeyondTheLanesSayNothing) {
  EXPECT_EQ(LaneRange::of_s16({0, 40000}), LaneRange());
  EXPECT_EQ(LaneRange::of_s32({INT32_MIN - int64_t{1}, 0}), LaneRange());
}

TEST(LaneRange, HullAdmitsBoth) {
  const LaneRange both = hull(LaneRange::of_constant(3), LaneRange::of_constant(0xFFFFFFFE));
  EXPECT_TRUE(admits(both, 3));
  EXPECT_TRUE(admits(both, 0xFFFFFFFE));
  EXPECT_FALSE(both.constant);
  EXPECT_EQ(hull(LaneRange::of_constant(3), LaneRange::of_constant(3)).constant, 3U);
}

Buffer buffer_of(Type type, int64_t low, int64_t high) {
  return {"x", type, BufferAccess::read, {RegClass::pointer, 0}, {{low, high}}};
}

TEST(LaneRange, LoadsTakeTheDeclaredRange) {
  EXPECT_EQ(loaded(buffer_of(Type::i8, -7, 8), MemoryType::raw32, false).s8, (Interval{-7, 8}));
  EXPECT_EQ(loaded(buffer_of(Type::u8, 3, 200), MemoryType::raw32, false).u8, (Interval{3, 200}));
  EXPECT_EQ(loaded(buffer_of(Type::i16, -9, 9), MemoryType::raw32, false).s16, (Interval{-9, 9}));
  EXPECT_EQ(loaded(buffer_of(Type::i32, -9, 9), MemoryType::raw32, false).s32, (Interval{-9, 9}));
  EXPECT_EQ(loaded(buffer_of(Type::i8, -7, 8), MemoryType::i8, false).s32, (Interval{-7, 8}));
  EXPECT_EQ(loaded(buffer_of(Type::u16, 1, 60000), MemoryType::u16, false).s32,
            (Interval{1, 60000}));
}

TEST(LaneRange, LoadsOfAnotherSignednessTakeItWhereBothAgree) {
  EXPECT_EQ(loaded(buffer_of(Type::u8, 3, 100), MemoryType::i8, false).s32, (Interval{3, 100}));
  EXPECT_EQ(loaded(buffer_of(Type::u8, 3, 200), MemoryType::i8, false).s32, kS8);
  EXPECT_EQ(loaded(buffer_of(Type::i8, -1, 5), MemoryType::u8, false).s32, kU8);
}

TEST(LaneRange, LoadsOfAnotherWidthTakeNothing) {
  EXPECT_EQ(loaded(buffer_of(Type::i8, 0, 1), MemoryType::i16, false).s32, kS16);
  EXPECT_EQ(loaded(buffer_of(Type::i16, 0, 1), MemoryType::u8, false).s32, kU8);
}

TEST(LaneRange, PartialLoadsMayBeZero) {
  const LaneRange lane = loaded(buffer_of(Type::u8, 3, 200), MemoryType::raw32, true);
  EXPECT_EQ(lane.u8, (Interval{0, 200}));
  EXPECT_TRUE(admits(lane, 0));
}

TEST(LaneRange, FlippedSignsMoveTheRange) {
  const Instr instr{.op = Op::ixor};
  const LaneRange flip = LaneRange::of_constant(0x80808080);
  EXPECT_EQ(bitwise(instr, LaneRange::of_s8({-7, 7}), flip).u8, (Interval{121, 135}));
  EXPECT_EQ(bitwise(instr, flip, LaneRange::of_u8({120, 130})).s8, (Interval{-8, 2}));
}

// Soundness: whatever the abstract operands admit, the abstract result admits the concrete result.
TEST(LaneRange, BitwiseResultsAreAdmitted) {
  std::mt19937 random(1);  // NOLINT: the same numbers in every run
  const auto value = [&] {
    switch (random() % 4) {
      case 0: return static_cast<uint32_t>(random());
      case 1: return static_cast<uint32_t>(random() % 16);
      case 2: return static_cast<uint32_t>(random()) & 0x0F0F0F0FU;
      default: return 0x80808080U;
    }
  };
  static constexpr Op kOps[] = {Op::iand, Op::iandn, Op::ior,  Op::ixor, Op::ishl, Op::ishr,
                                Op::isar, Op::iadd,  Op::isub, Op::imul, Op::imin, Op::imax};
  for (int round = 0; round < 200'000; ++round) {
    const uint32_t a = value(), b = value(), other = value();
    Instr instr{.op = kOps[random() % std::size(kOps)]};
    instr.imm = static_cast<int64_t>(random() % 32);
    const LaneRange x = hull(LaneRange::of_constant(a), LaneRange::of_constant(other));
    const LaneRange y = LaneRange::of_constant(b);
    uint32_t result = 0;
    switch (instr.op) {
      case Op::iand: result = a & b; break;
      case Op::iandn: result = ~a & b; break;
      case Op::ior: result = a | b; break;
      case Op::ixor: result = a ^ b; break;
      case Op::ishl: result = lane::shift_left(a, instr.imm); break;
      case Op::ishr: result = lane::shift_right(a, instr.imm); break;
      case Op::isar: result = lane::shift_right_signed(a, instr.imm); break;
      case Op::iadd: result = a + b; break;
      case Op::isub: result = a - b; break;
      case Op::imul: result = a * b; break;
      case Op::imin: result = lane::as_int(a) < lane::as_int(b) ? a : b; break;
      default: result = lane::as_int(a) > lane::as_int(b) ? a : b; break;
    }
    ASSERT_TRUE(admits(bitwise(instr, x, y), result))
        << info(instr.op).name << " " << std::hex << a << " " << b << " " << instr.imm;
  }
}

}  // namespace
}  // namespace lathe::ir::program
