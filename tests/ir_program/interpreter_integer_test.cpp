// i32, bit and narrow integer instructions against values worked out by hand.
#include "tests/ir_program/run_op.h"

namespace lathe::ir::program {
namespace {

TEST(InterpreterInteger, Arithmetic) {
  const Input a = Lanes{5, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF};
  const Input b = Lanes{7, 1, 1, 2};
  expect_op(Op::iadd, {a, b}, {12, 0x80000000, 0x80000001, 1});
  expect_op(Op::isub, {a, b}, {0xFFFFFFFE, 0x7FFFFFFE, 0x7FFFFFFF, 0xFFFFFFFD});
  expect_op(Op::imul, {a, b}, {35, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE});
  expect_op(Op::imin, {a, b}, {5, 1, 0x80000000, 0xFFFFFFFF});
  expect_op(Op::imax, {a, b}, {7, 0x7FFFFFFF, 1, 2});
}

TEST(InterpreterInteger, ProductsKeepTheLowBits) {
  expect_op(Op::imul, {Lanes{0x00010001, 0xFFFFFFFF}, Lanes{0x00010001, 0xFFFFFFFF}},
            {0x00020001, 1});
}

TEST(InterpreterInteger, Bits) {
  const Input a = Lanes{0xF0F0F0F0, 0xFFFFFFFF}, b = Lanes{0xFF00FF00, 0x12345678};
  expect_op(Op::iand, {a, b}, {0xF000F000, 0x12345678});
  expect_op(Op::ior, {a, b}, {0xFFF0FFF0, 0xFFFFFFFF});
  expect_op(Op::ixor, {a, b}, {0x0FF00FF0, 0xEDCBA987});
  expect_op(Op::iandn, {a, b}, {0x0F000F00, 0});
}

TEST(InterpreterInteger, Shifts) {
  const Input a = Lanes{0x80000001, 0x7FFFFFFF};
  expect_op(Op::ishl, {a}, {0x80000001, 0x7FFFFFFF}, 0);
  expect_op(Op::ishl, {a}, {0x00000010, 0xFFFFFFF0}, 4);
  expect_op(Op::ishl, {a}, {0x80000000, 0x80000000}, 31);
  expect_op(Op::ishr, {a}, {0x08000000, 0x07FFFFFF}, 4);
  expect_op(Op::ishr, {a}, {1, 0}, 31);
  expect_op(Op::isar, {a}, {0xF8000000, 0x07FFFFFF}, 4);
  expect_op(Op::isar, {a}, {0xFFFFFFFF, 0}, 31);
}

TEST(InterpreterInteger, Add16) {
  expect_op(Op::iadd16,
            {Input({0x0001FFFF, 0x3FFF3FFF, 0xC000C000}, Type::i16, -16384, 16383),
             Input({0x00020001, 0x40004000, 0xC000C000}, Type::i16, -16384, 16384)},
            {0x00030000, 0x7FFF7FFF, 0x80008000});
}

TEST(InterpreterInteger, Dot2OfBytes) {
  // Low half: 255*64 + 1*-64; high half: 0*5 + 2*-3.
  expect_op(Op::dot2_u8s8,
            {Input({0x020001FF}, Type::u8, 0, 255), Input({0xFD05C040}, Type::i8, -64, 64)},
            {0xFFFA0000U | (255 * 64 - 64)});
  expect_op(Op::dot2_u8s8,
            {Input({0x0F0F0F0F}, Type::u8, 0, 15), Input({0x80807F7F}, Type::i8, -128, 127)},
            {0xF1000EE2});
}

TEST(InterpreterInteger, Dot2OfHalves) {
  expect_op(Op::dot2_s16,
            {Input({0x00028000, 0x7FFF7FFF, 0xFFFF0001}, Type::i16, -32768, 32767),
             Input({0xFFFD7FFF, 0x7FFF7FFF, 0x00010001}, Type::i16, -32767, 32767)},
            {static_cast<uint32_t>(-32768 * 32767 - 6), 2U * 32767 * 32767, 0});
}

TEST(InterpreterInteger, Dot4) {
  expect_op(Op::dot4_u8s8,
            {Input({0x04030201, 0x7F7F7F7F}, Type::u8, 0, 127),
             Input({0x7FFE0302, 0x81818181}, Type::i8, -127, 127), Input({100, 0x7FFFFFFF})},
            {100 + 2 + 6 - 6 + 4 * 127, 0x7FFFFFFFU - 4 * 127 * 127});
}

TEST(InterpreterInteger, Dot4SumWraps) {
  expect_op(Op::dot4_u8s8,
            {Input({1}, Type::u8, 0, 1), Input({1}, Type::i8, 0, 1), Input({0x7FFFFFFF})},
            {0x80000000});
}

TEST(InterpreterInteger, Dot4WithVnniNeedsNoSmallPairs) {
  Target target = *parse_target("avx512");
  target.vnni = true;
  EXPECT_EQ(run_op(target, Op::dot4_u8s8, {Lanes{0xFFFFFFFF}, Lanes{0x7F7F7F7F}, Lanes{0}}),
            Lanes{4 * 255 * 127});
}

TEST(InterpreterInteger, AbsoluteBytes) {
  expect_op(Op::iabs8, {Lanes{0x80FF7F00, 0x01FE8081}}, {0x80017F00, 0x0102807F});
}

TEST(InterpreterInteger, SignBytes) {
  expect_op(Op::isign8,
            {Input({0x05050505, 0x81017F00}, Type::i8, -127, 127), Lanes{0x80FF0001, 0xFF80FF80}},
            {0xFBFB0005, 0x7FFF8100});
}

}  // namespace
}  // namespace lathe::ir::program
