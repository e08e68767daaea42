// Golden disassemblies of three small programs on every target.
#include "tests/support/golden.h"

#include <gtest/gtest.h>

#include "codegen/llvm/disassemble.h"
#include "tests/codegen_x86/harness.h"

namespace lathe::tests {
namespace {

using namespace ir::program;  // NOLINT: programs are written here
using ir::Type;

Program multiply_add(const ir::Target& target) {
  Builder b("multiply_add", target);
  const Pointer x = b.buffer("x", Type::f32, BufferAccess::read);
  const Pointer y = b.buffer("y", Type::f32, BufferAccess::read_write);
  const ir::program::Scalar rows = b.parameter("rows");
  b.loop(0, rows, 1, [&](ir::program::Scalar) {
    b.vectors(3 * b.lanes() + 1, [&](const Span& at) {
      const Vec addend = b.load(y, at), factor = b.constant(1.5f);
      b.store(y, at, b.fma(b.load(x, at), factor, addend));
    });
    b.advance(x, 4 * (3 * b.lanes() + 1));
    b.advance(y, 4 * (3 * b.lanes() + 1));
  });
  return b.finish();
}

Program bf16_relu(const ir::Target& target) {
  Builder b("bf16_relu", target);
  const Pointer x = b.buffer("x", Type::bf16, BufferAccess::read_write);
  const Vec v = b.load(x, Span{});
  b.store(x, Span{}, b.max(b.constant(0.0f), v));
  return b.finish();
}

Program clamp(const ir::Target& target) {
  Builder b("clamp", target);
  const Pointer x = b.buffer("x", Type::i8, BufferAccess::read);
  const Pointer y = b.buffer("y", Type::u8, BufferAccess::write);
  const ir::program::Scalar count = b.parameter("count");
  const Span at{0, {}, count, false};
  const Vec v = b.load(x, at);
  const Mask over = b.compare_int(Compare::ge, v, b.constant_bits(100));
  b.store(y, at, b.select(over, b.constant_bits(100), v));
  return b.finish();
}

TEST(X86Golden, Disassemblies) {
  for (const char* name : {"scalar", "sse", "avx2", "avx512"}) {
    const ir::Target target = ir::parse_target(name).value();
    for (const Program& program : {multiply_add(target), bf16_relu(target), clamp(target)}) {
      const auto text = codegen::llvm::disassemble(compile(program));
      ASSERT_TRUE(text.has_value()) << text.error().message;
      EXPECT_TRUE(matches_golden(fmt::format("codegen_x86/{}_{}.s", program.name, name), *text));
    }
  }
}

}  // namespace
}  // namespace lathe::tests
