// Which narrow integer programs are proven, and what the refusal of the others says.
#include "ir/program/ranges.h"

#include <gmock/gmock.h>

#include "tests/ir_program/run_op.h"

namespace lathe::ir::program {
namespace {

using testing::HasSubstr;

constexpr const char* kProven = "(proven)";

class RangesTest : public testing::Test {
 protected:
  explicit RangesTest(const char* target = "avx2") : b("dots", *parse_target(target)) {
    bytes = b.buffer("bytes", Type::u8, BufferAccess::read);
    signs = b.buffer("signs", Type::i8, BufferAccess::read, -127, 127);
    out = b.buffer("out", Type::i32, BufferAccess::write);
    n = b.parameter("n");
  }

  std::string error() {
    const Status status = verify(b.finish());
    return status ? kProven : status.error().message;
  }

  Vec raw(Pointer p) { return b.load_group(p, 16); }
  Vec nibbles() { return b.bit_and(raw(bytes), b.constant_bits(0x0F0F0F0F)); }
  Vec high_nibbles() {
    return b.bit_and(b.shift(Op::ishr, raw(bytes), 4), b.constant_bits(0x0F0F0F0F));
  }
  Vec dot2(Vec x, Vec y) { return b.int_op(Op::dot2_u8s8, x, y); }
  Vec add16(Vec x, Vec y) { return b.int_op(Op::iadd16, x, y); }
  Vec ones16() { return b.constant_bits(0x00010001); }

  Builder b;
  Pointer bytes, signs, out;
  Scalar n;
};

TEST_F(RangesTest, FullBytesMaySaturate) {
  dot2(raw(bytes), raw(signs));
  EXPECT_THAT(error(),
              HasSubstr("dot2_u8s8: 2*255*127 = 64770 > 32767: not proven not to saturate"));
}

TEST_F(RangesTest, TheInstructionIsNamed) {
  const Vec full = raw(bytes);
  dot2(full, raw(signs));
  EXPECT_THAT(error(), HasSubstr("program 'dots': '%v2 = dot2_u8s8 %v0, %v1': dot2_u8s8:"));
}

TEST_F(RangesTest, TheLowerBoundIsNamedWhereOnlyItBreaks) {
  const Pointer negative = b.buffer("negative", Type::i8, BufferAccess::read, -127, 0);
  dot2(raw(bytes), raw(negative));
  EXPECT_THAT(error(), HasSubstr("2*255*-127 = -64770 < -32768: not proven not to saturate"));
}

TEST_F(RangesTest, Nibbles) {
  dot2(nibbles(), raw(signs));
  dot2(high_nibbles(), raw(signs));
  EXPECT_EQ(error(), kProven);
}

TEST_F(RangesTest, AllBytesOfAShiftAreMasked) {
  dot2(b.shift(Op::ishr, raw(bytes), 4), raw(signs));  // bits move between bytes
  EXPECT_THAT(error(), HasSubstr("2*255*127"));
}

TEST_F(RangesTest, EightNibbleDotsFitSixteenBits) {
  Vec sum = dot2(nibbles(), raw(signs));
  for (int i = 1; i < 8; ++i) sum = add16(sum, dot2(nibbles(), raw(signs)));
  b.int_op(Op::dot2_s16, sum, ones16());
  EXPECT_EQ(error(), kProven);
}

TEST_F(RangesTest, NineNibbleDotsDoNot) {
  Vec sum = dot2(nibbles(), raw(signs));
  for (int i = 1; i < 9; ++i) sum = add16(sum, dot2(nibbles(), raw(signs)));
  EXPECT_THAT(error(), HasSubstr("iadd16: 30480 + 3810 = 34290 > 32767: not proven not to wrap"));
}

TEST_F(RangesTest, AccumulatorClearedInsideARunTimeLoop) {
  const Vec total = b.copy(b.constant_bits(0));
  b.loop(0, n, 1, [&](Scalar) {
    const Vec acc16 = b.copy(b.constant_bits(0));
    for (int i = 0; i < 8; ++i) b.set(acc16, add16(acc16, dot2(nibbles(), raw(signs))));
    b.set(total, b.int_op(Op::iadd, total, b.int_op(Op::dot2_s16, acc16, ones16())));
  });
  b.store(out, Span{}, total);
  EXPECT_EQ(error(), kProven);
}

TEST_F(RangesTest, AccumulatorMadeOutsideAndClearedInside) {
  const Vec acc16 = b.copy(b.constant_bits(0));
  b.loop(0, n, 1, [&](Scalar) {
    b.set(acc16, b.copy(b.constant_bits(0)));
    b.loop(0, 8, 1, [&](Scalar) { b.set(acc16, add16(acc16, dot2(nibbles(), raw(signs)))); });
    b.store(out, Span{}, b.int_op(Op::dot2_s16, acc16, ones16()));
  });
  EXPECT_EQ(error(), kProven);
}

TEST_F(RangesTest, AccumulatorNeverClearedInARunTimeLoop) {
  const Vec acc16 = b.copy(b.constant_bits(0));
  b.loop(0, n, 1, [&](Scalar) { b.set(acc16, add16(acc16, dot2(nibbles(), raw(signs)))); });
  EXPECT_THAT(error(), HasSubstr("iadd16: 32767 + 3810 = 36577 > 32767"));
}

TEST_F(RangesTest, ConstantLoopOneTripTooLong) {
  const Vec acc16 = b.copy(b.constant_bits(0));
  b.loop(0, 9, 1, [&](Scalar) { b.set(acc16, add16(acc16, dot2(nibbles(), raw(signs)))); });
  EXPECT_THAT(error(), HasSubstr("iadd16: 30480 + 3810 = 34290 > 32767"));
}

TEST_F(RangesTest, LongConstantLoopsReachAFixpoint) {
  b.loop(0, 1'000'000, 1, [&](Scalar) {
    b.store(out, Span{}, b.int_op(Op::dot2_s16, dot2(nibbles(), raw(signs)), ones16()));
  });
  EXPECT_EQ(error(), kProven);
}

TEST_F(RangesTest, LoopThatNeverRunsProvesNothing) {
  b.loop(3, 3, 1, [&](Scalar) { dot2(raw(bytes), raw(signs)); });
  EXPECT_EQ(error(), kProven);
}

TEST_F(RangesTest, BranchesJoin) {
  const Vec v = b.vector();
  b.branch(Compare::lt, n, 4, [&] { b.set(v, nibbles()); }, [&] { b.set(v, raw(bytes)); });
  dot2(v, raw(signs));
  EXPECT_THAT(error(), HasSubstr("2*255*127"));
}

TEST_F(RangesTest, BranchesOfNibbles) {
  const Vec v = b.vector();
  b.branch(Compare::lt, n, 4, [&] { b.set(v, nibbles()); }, [&] { b.set(v, high_nibbles()); });
  dot2(v, raw(signs));
  EXPECT_EQ(error(), kProven);
}

TEST_F(RangesTest, SignTrickOfTwoSignedOperands) {
  const Vec x = raw(signs), y = raw(signs);
  b.dot4(b.vector_op(Op::iabs8, {x}), b.int_op(Op::isign8, y, x), b.constant_bits(0));
  EXPECT_EQ(error(), kProven);
}

TEST_F(RangesTest, SignOfMinus128) {
  const Pointer all = b.buffer("all", Type::i8, BufferAccess::read);
  b.int_op(Op::isign8, raw(all), raw(signs));
  EXPECT_THAT(error(), HasSubstr("isign8: the first operand may be -128"));
}

TEST_F(RangesTest, AbsoluteOfMinus128Is128) {
  const Vec magnitude = b.vector_op(Op::iabs8, {raw(bytes)});
  const Pointer small = b.buffer("small", Type::i8, BufferAccess::read, -127, 128 - 1);
  dot2(magnitude, raw(small));
  EXPECT_EQ(error(), kProven);  // 2*128*127 = 32512
}

TEST_F(RangesTest, Dot4OfFullBytesNeedsVnni) {
  b.dot4(raw(bytes), raw(signs), b.constant_bits(0));
  EXPECT_THAT(error(), HasSubstr("dot4_u8s8: 2*255*127 = 64770 > 32767"));
}

TEST_F(RangesTest, Dot2OfHalvesWrapsOnlyAtTheCorner) {
  b.int_op(Op::dot2_s16, raw(bytes), raw(bytes));
  EXPECT_THAT(
      error(),
      HasSubstr("dot2_s16: 2*-32768*-32768 = 2147483648 > 2147483647: not proven not to wrap"));
}

TEST_F(RangesTest, SharedOnesAreConstant) {
  b.int_op(Op::dot2_s16, raw(bytes), ones16());
  EXPECT_EQ(error(), kProven);
}

TEST_F(RangesTest, TableLookUpKeepsTheTablesBytes) {
  const Vec table = b.load_group(signs, 16);
  const Vec looked_up = b.int_op(Op::byte_shuffle, table, raw(bytes));
  dot2(nibbles(), looked_up);
  b.int_op(Op::isign8, looked_up, raw(bytes));
  EXPECT_EQ(error(), kProven);
}

TEST_F(RangesTest, WordsOfATableAreKnown) {
  const std::array<uint32_t, 8> table{0, 0x01020304, 0x0F, 0x0E000000, 1, 2, 3, 0x0B0B0B0B};
  dot2(b.lookup8(raw(bytes), table), raw(signs));
  EXPECT_EQ(error(), kProven);
}

}  // namespace
}  // namespace lathe::ir::program
