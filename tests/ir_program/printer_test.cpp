// Programs as text: golden files, and every op's operands.
#include "ir/program/printer.h"

#include <gtest/gtest.h>

#include "ir/program/builder.h"
#include "tests/support/golden.h"
#include "tests/support/random_program.h"

namespace lathe::ir::program {
namespace {

using tests::matches_golden;

TEST(Printer, ScaleRows) {
  Builder b("scale_rows", *parse_target("avx2"));
  Pointer x = b.buffer("x", Type::bf16, BufferAccess::read);
  Pointer y = b.buffer("y", Type::f32, BufferAccess::write);
  const Scalar rows = b.parameter("rows");
  b.loop(0, rows, 1, [&](Scalar) {
    b.vectors(70, 4, [&](const Span& at, int) { b.store(y, at, b.load(x, at) * 2.0F); });
    b.advance(x, 140);
    b.advance(y, 280);
  });
  EXPECT_TRUE(matches_golden("program/scale_rows.txt", print(b.finish())));
}

TEST(Printer, BranchesAndScalars) {
  Builder b("branches", *parse_target("scalar"));
  const Pointer x = b.buffer("x", Type::i16, BufferAccess::read_write, -100, 100);
  const Scalar n = b.parameter("n"), m = b.parameter("m");
  b.branch(
      Compare::ge, n, m, [&] { b.load_integer(x, -3, n); },
      [&] { b.store(x, Span{0, n, 0, true}, b.iota()); });
  b.branch(Compare::ne, n, 0, [&] { b.set(n, b.sub(n, b.misaligned(x, 32))); });
  EXPECT_TRUE(matches_golden("program/branches.txt", print(b.finish())));
}

TEST(Printer, EightNibbleSteps) {
  Builder b("nibbles", *parse_target("avx2"));
  const Pointer w = b.buffer("w", Type::u8, BufferAccess::read);
  const Pointer x = b.buffer("x", Type::i8, BufferAccess::read, -127, 127);
  const Pointer y = b.buffer("y", Type::i32, BufferAccess::write);
  const Vec acc = b.copy(b.constant_bits(0));
  for (int i = 0; i < 2; ++i) {
    const Vec packed = b.load_group(w, 16, 16 * i);
    const Vec low = b.bit_and(packed, b.constant_bits(0x0F0F0F0F));
    b.set(acc, b.int_op(Op::iadd16, acc, b.int_op(Op::dot2_u8s8, low, b.load_group(x, 16))));
  }
  b.store_stream(y, Span{}, b.int_op(Op::dot2_s16, acc, b.constant_bits(0x00010001)));
  EXPECT_TRUE(matches_golden("program/nibbles.txt", print(b.finish())));
}

// One random program for each target: all kinds of operands, and stable across hosts.
TEST(Printer, RandomPrograms) {
  for (const char* name : {"scalar", "sse", "avx2", "avx512"}) {
    tests::RandomProgramOptions options;
    options.steps = 12;
    const auto random = tests::random_program(3, *parse_target(name), options);
    EXPECT_TRUE(matches_golden(fmt::format("program/random_{}.txt", name), print(random.program)));
  }
}

TEST(Printer, ConstantsShowPlausibleFloats) {
  const auto printed = [](uint32_t bits) {
    Instr instr{.op = Op::vconst};
    instr.dst = {RegClass::vector, 0};
    instr.imm = bits;
    return print(instr);
  };
  EXPECT_EQ(printed(0x3F800000), "%v0 = vconst 0x3f800000 ; 1");
  EXPECT_EQ(printed(0xBDCCCCCD), "%v0 = vconst 0xbdcccccd ; -0.1");
  EXPECT_EQ(printed(0x0F0F0F0F), "%v0 = vconst 0x0f0f0f0f");
  EXPECT_EQ(printed(0x7FC00000), "%v0 = vconst 0x7fc00000");
  EXPECT_EQ(printed(0), "%v0 = vconst 0x00000000");
}

TEST(Printer, BrokenInstructionsPrintToo) {
  Instr instr{.op = Op::fcmp};
  instr.imm = 17;
  EXPECT_EQ(print(instr), "%? = fcmp.? %?, %?");
  instr = Instr{.op = Op::load};
  instr.address.offset = INT64_MIN;
  EXPECT_EQ(print(instr), "%? = load.raw32 [%? - 9223372036854775808]");
}

}  // namespace
}  // namespace lathe::ir::program
