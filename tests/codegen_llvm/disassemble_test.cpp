// Machine code as text: labels, constants, Intel syntax, and bytes that are no code.
#include "codegen/llvm/disassemble.h"

#include <initializer_list>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "codegen/llvm/backend.h"
#include "codegen/llvm/target.h"
#include "ir/program/builder.h"
#include "tests/support/golden.h"

namespace lathe::codegen::llvm {
namespace {

using ::testing::HasSubstr;
using tests::matches_golden;

std::vector<std::byte> bytes(std::initializer_list<int> values) {
  std::vector<std::byte> result;
  for (const int value : values) result.push_back(static_cast<std::byte>(value));
  return result;
}

TEST(LlvmDisassemble, labels_branches_and_numbers_constants) {
  const auto code = bytes({
      0x31, 0xc0,                                      // xor eax, eax
      0xc5, 0xfc, 0x28, 0x05, 0x38, 0x00, 0x00, 0x00,  // vmovaps ymm0, [rip + 56]
      0xc5, 0xfc, 0x58, 0x0d, 0x50, 0x00, 0x00, 0x00,  // vaddps ymm1, ymm0, [rip + 80]
      0xc5, 0xfc, 0x58, 0x05, 0x28, 0x00, 0x00, 0x00,  // vaddps ymm0, ymm0, [rip + 40]
      0x48, 0x83, 0xc0, 0x08,                          // add rax, 8
      0x48, 0x39, 0xf8,                                // cmp rax, rdi
      0x7c, 0xef,                                      // jl: to the second vaddps
      0xeb, 0x00,                                      // jmp to the next instruction
      0xc3,                                            // ret
  });
  const auto text = disassemble(code, "x86_64-linux-gnu", "");
  ASSERT_TRUE(text) << text.error().message;
  EXPECT_EQ(*text,
            "  xor eax, eax\n"
            "  vmovaps ymm0, ymmword ptr [rip+C0]\n"
            "  vaddps ymm1, ymm0, ymmword ptr [rip+C1]\n"
            "L0:\n"
            "  vaddps ymm0, ymm0, ymmword ptr [rip+C0]\n"
            "  add rax, 8\n"
            "  cmp rax, rdi\n"
            "  jl L0\n"
            "  jmp L1\n"
            "L1:\n"
            "  ret\n");
}

TEST(LlvmDisassemble, decodes_into_a_list) {
  const auto code = bytes({0x62, 0xf1, 0x7c, 0x48, 0x58, 0xc1,  // vaddps zmm0, zmm0, zmm1
                           0x48, 0x8b, 0x44, 0x24, 0x08,        // mov rax, [rsp + 8]
                           0xc3});
  const auto list = decode(code, "x86_64-linux-gnu", "");
  ASSERT_TRUE(list) << list.error().message;
  ASSERT_EQ(list->size(), 3U);
  EXPECT_EQ(list->at(0).mnemonic, "vaddps");
  EXPECT_EQ(list->at(0).operands, "zmm0, zmm0, zmm1");
  EXPECT_EQ(list->at(0).bytes.size(), 6U);
  EXPECT_TRUE(list->at(0).evex());
  EXPECT_FALSE(list->at(1).evex());
  EXPECT_EQ(list->at(1).offset, 6U);
  EXPECT_EQ(count(*list), 3U);
  EXPECT_EQ(count(*list, "mov"), 1U);
  EXPECT_EQ(stack_accesses(*list), 1U);
}

TEST(LlvmDisassemble, names_what_does_not_decode) {
  const auto data = decode(bytes({0x90, 0x06, 0x00}), "x86_64-linux-gnu", "");
  ASSERT_FALSE(data);
  EXPECT_EQ(data.error().code, ErrorCode::corrupt);
  EXPECT_THAT(data.error().message, HasSubstr("offset 1 of 3"));
  EXPECT_THAT(data.error().message, HasSubstr("06 00"));
  const auto nop = bytes({0x90});
  EXPECT_EQ(decode(nop, "toaster", "").error().code, ErrorCode::not_found);
  EXPECT_EQ(decode(nop, "x86_64-linux-gnu", "toaster").error().code, ErrorCode::not_found);
}

TEST(LlvmDisassemble, finds_the_innermost_loop) {
  const auto code = bytes({0x48, 0x31, 0xc0,  // outer: xor rax, rax
                           0x48, 0xff, 0xc0,  // inner: inc rax
                           0x48, 0x39, 0xf8,  //        cmp rax, rdi
                           0x7c, 0xf8,        //        jl inner
                           0x48, 0xff, 0xce,  //        dec rsi
                           0x75, 0xf0,        //        jne outer
                           0xc3});
  const auto list = decode(code, "x86_64-linux-gnu", "");
  ASSERT_TRUE(list) << list.error().message;
  const auto loop = hottest_loop(*list);
  ASSERT_EQ(loop.size(), 3U);
  EXPECT_EQ(loop.front().mnemonic, "inc");
  EXPECT_EQ(loop.back().mnemonic, "jl");
  EXPECT_TRUE(hottest_loop(std::span(*list).first(1)).empty());
}

class LlvmGolden : public ::testing::TestWithParam<const char*> {};

// y[i] = max(x[i], 0) * 2 + bias, over a row of 21 elements: a loop, its end, and a tail.
TEST_P(LlvmGolden, row_of_21) {
  using namespace ir::program;  // NOLINT: one program is written here
  const std::string cpu = GetParam();
  Builder b("row_of_21", *target_for(cpu));
  const Pointer x = b.buffer("x", ir::Type::f32, BufferAccess::read);
  const Pointer bias = b.buffer("bias", ir::Type::f16, BufferAccess::read);
  const Pointer y = b.buffer("y", ir::Type::f32, BufferAccess::write);
  b.vectors(21, [&](const Span& at) {
    const Vec positive = b.max(b.load(x, at), b.constant(0));
    b.store(y, at, b.fma(positive, b.constant(2), b.load(bias, at)));
  });
  const auto image = make_backend()->compile(b.finish());
  ASSERT_TRUE(image) << image.error().message;
  const auto text = make_backend()->disassemble(*image);
  ASSERT_TRUE(text) << text.error().message;
  EXPECT_TRUE(matches_golden("codegen_llvm/row_of_21." + cpu + ".txt", *text));
}

INSTANTIATE_TEST_SUITE_P(Machines, LlvmGolden,
                         ::testing::Values("haswell", "skylake-avx512", "cortex-a76"));

}  // namespace
}  // namespace lathe::codegen::llvm
