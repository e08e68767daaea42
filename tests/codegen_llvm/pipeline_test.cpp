// What compiling yields: objects that stand alone, the instructions of the CPU asked for and no
// others, IR text, and errors.
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "codegen/llvm/backend.h"
#include "codegen/llvm/disassemble.h"
#include "codegen/llvm/target.h"
#include "ir/program/builder.h"
#include "tests/codegen_llvm/agreement.h"
#include "tests/codegen_llvm/every_op.h"

namespace lathe::codegen::llvm {
namespace {

using support::Isa;
using ::testing::HasSubstr;
using ::testing::Not;

ir::Target target_of(std::string_view name) {
  auto target = target_for(name);
  EXPECT_TRUE(target) << target.error().message;
  return target ? *target : ir::Target{};
}

ir::program::Program scale_program(const ir::Target& target, std::string name = "scale") {
  using namespace ir::program;  // NOLINT: one program is written here
  Builder b(std::move(name), target);
  const Pointer x = b.buffer("x", ir::Type::f32, BufferAccess::read);
  const Pointer y = b.buffer("y", ir::Type::f32, BufferAccess::write);
  const Scalar rows = b.parameter("rows");
  b.loop(0, rows, 1, [&](Scalar) {
    b.vectors(64, [&](const Span& at) { b.store(y, at, b.load(x, at) * 2.0F + 1.0F); });
    b.advance(x, 256);
    b.advance(y, 256);
  });
  return b.finish();
}

// compile() fails on an undefined symbol, so these objects have none.
TEST(LlvmPipeline, compiles_every_instruction_for_every_machine_without_a_call) {
  const auto backend = make_backend();
  for (const char* name :
       {"x86_64-linux-gnu", "nehalem", "sandybridge", "haswell", "alderlake", "znver3",
        "skylake-avx512", "sapphirerapids", "aarch64-linux-gnu", "cortex-a76", "neoverse-v1"}) {
    const ir::Target target = target_of(name);
    for (const int lanes : {1, target.lanes}) {
      const auto test = tests::every_op(tests::with_lanes(target, lanes));
      const auto image = backend->compile(test.program);
      ASSERT_TRUE(image) << name << " " << lanes << ": " << image.error().message;
      EXPECT_EQ(image->format, KernelImage::Format::object);
      EXPECT_EQ(image->backend, "llvm");
      EXPECT_EQ(image->name, "every_op");
      const auto instructions = decode(*image);
      ASSERT_TRUE(instructions) << name << ": " << instructions.error().message;
      EXPECT_EQ(instructions->back().offset + instructions->back().bytes.size(), image->code_bytes);
      EXPECT_EQ(count(*instructions, "call"), 0U);
      EXPECT_EQ(count(*instructions, "bl"), 0U);
    }
  }
}

TEST(LlvmPipeline, uses_no_instruction_beyond_the_cpu) {
  const auto backend = make_backend();
  const auto test = tests::every_op(target_of("haswell"));
  const auto image = backend->compile(test.program);
  ASSERT_TRUE(image) << image.error().message;
  EXPECT_TRUE(image->required_isa.contains(Isa::avx2 | Isa::fma));
  EXPECT_FALSE(image->required_isa.contains(Isa::avx512f));
  const auto instructions = decode(*image);
  ASSERT_TRUE(instructions);
  for (const Instruction& instruction : *instructions) {
    EXPECT_FALSE(instruction.evex()) << instruction.mnemonic << " " << instruction.operands;
    EXPECT_THAT(instruction.operands, Not(HasSubstr("zmm")));
  }
}

TEST(LlvmPipeline, uses_full_vectors_of_avx512) {
  const auto image = make_backend()->compile(scale_program(target_of("skylake-avx512")));
  ASSERT_TRUE(image);
  EXPECT_TRUE(image->required_isa.contains(Isa::avx512f | Isa::avx512vl));
  const auto text = disassemble(*image);
  ASSERT_TRUE(text);
  EXPECT_THAT(*text, HasSubstr("zmm"));
}

// x86's streamed stores are the only ones that a later release does not order.
TEST(LlvmPipeline, fences_streamed_stores_of_x86) {
  for (const char* name : {"nehalem", "haswell", "skylake-avx512", "cortex-a76"}) {
    for (const bool streams : {false, true}) {
      using namespace ir::program;  // NOLINT: one program is written here
      const ir::Target target = target_of(name);
      Builder b("copy", target);
      const Pointer x = b.buffer("x", ir::Type::f32, BufferAccess::read);
      const Pointer y = b.buffer("y", ir::Type::f32, BufferAccess::write);
      const Vec v = b.load(x, Span{});
      if (streams)
        b.store_stream(y, Span{}, v);
      else
        b.store(y, Span{}, v);
      const auto image = make_backend()->compile(b.finish());
      ASSERT_TRUE(image) << image.error().message;
      const auto code = decode(*image);
      ASSERT_TRUE(code);
      const bool x86 = std::string_view(name) != "cortex-a76";
      EXPECT_EQ(count(*code, "movntps") + count(*code, "vmovntps"), x86 && streams ? 1U : 0U)
          << print(*code);
      EXPECT_EQ(count(*code, "sfence"), x86 && streams ? 1U : 0U) << name << "\n" << print(*code);
    }
  }
}

TEST(LlvmPipeline, keeps_a_simple_loop_in_registers) {
  for (const char* name : {"nehalem", "haswell", "cortex-a76"}) {
    const auto image = make_backend()->compile(scale_program(target_of(name)));
    ASSERT_TRUE(image);
    const auto instructions = decode(*image);
    ASSERT_TRUE(instructions);
    EXPECT_EQ(stack_accesses(*instructions), 0U) << print(*instructions);
    const auto loop = hottest_loop(*instructions);
    EXPECT_GE(loop.size(), 3U);
    EXPECT_LE(loop.size(), 8U) << print(loop);
  }
}

TEST(LlvmPipeline, refuses_code_that_would_call_a_library) {
  ir::Target target = target_of("nehalem");
  target.fused = true;          // an fma that this CPU lacks
  using namespace ir::program;  // NOLINT: one program is written here
  Builder b("needs_fma", target);
  const Pointer x = b.buffer("x", ir::Type::f32, BufferAccess::read_write);
  const Vec v = b.load(x, Span{});
  b.store(x, Span{}, b.fma(v, v, v));
  const auto image = make_backend()->compile(b.finish());
  ASSERT_FALSE(image);
  EXPECT_EQ(image.error().code, ErrorCode::unsupported);
  EXPECT_THAT(image.error().message, HasSubstr("fmaf"));
}

TEST(LlvmPipeline, refuses_targets_of_the_other_backend) {
  const auto image = make_backend()->compile(scale_program(*ir::parse_target("avx2")));
  ASSERT_FALSE(image);
  EXPECT_EQ(image.error().code, ErrorCode::unsupported);
  EXPECT_THAT(image.error().message, HasSubstr("'avx2'"));
}

TEST(LlvmPipeline, makes_any_name_a_symbol) {
  const auto image = make_backend()->compile(scale_program(target_of("haswell"), "2x + 1/y"));
  ASSERT_TRUE(image);
  EXPECT_EQ(image->name, "_2x___1_y");
  EXPECT_GT(image->code_bytes, 0U);
}

TEST(LlvmPipeline, prints_its_ir_before_and_after_the_passes) {
  const auto program = scale_program(target_of("haswell"));
  const auto lowered = emit_llvm_ir(program, IrStage::lowered);
  const auto optimised = emit_llvm_ir(program);
  ASSERT_TRUE(lowered);
  ASSERT_TRUE(optimised);
  EXPECT_THAT(*lowered, HasSubstr("define void @scale(ptr %slots)"));
  EXPECT_THAT(*lowered, HasSubstr("alloca"));
  EXPECT_THAT(*optimised, Not(HasSubstr("alloca")));
  EXPECT_THAT(*optimised, HasSubstr("fmul <8 x float>"));
  EXPECT_THAT(*optimised, Not(HasSubstr("fast")));
}

TEST(LlvmPipeline, compiles_the_same_bytes_again) {
  const auto program = scale_program(target_of("haswell"));
  const auto backend = make_backend();
  const auto first = backend->compile(program);
  ASSERT_TRUE(first);
  std::vector<std::thread> threads;
  std::array<std::vector<std::byte>, 4> codes;
  for (auto& code : codes)
    threads.emplace_back([&] {
      if (const auto image = backend->compile(program)) code = image->code;
    });
  for (std::thread& thread : threads) thread.join();
  for (const auto& code : codes) EXPECT_EQ(code, first->code);
}

}  // namespace
}  // namespace lathe::codegen::llvm
