// Every instruction at every lane count agrees with the interpreter, on every x86-64 level.
#include <cmath>
#include <cstring>

#include <gtest/gtest.h>

#include "codegen/llvm/backend.h"
#include "codegen/llvm/disassemble.h"
#include "codegen/llvm/target.h"
#include "ir/program/builder.h"
#include "tests/codegen_llvm/agreement.h"
#include "tests/codegen_llvm/every_op.h"

namespace lathe::tests {
namespace {

using namespace ir::program;  // NOLINT: programs are written here
using ir::Type;

class LlvmOps : public ::testing::TestWithParam<int> {};

TEST_P(LlvmOps, agree_with_the_interpreter) {
  for (const ir::Target& machine : runnable_targets()) {
    SCOPED_TRACE(machine.cpu);
    const EveryOp test = every_op(with_lanes(machine, GetParam()));
    const auto result = agrees(test.program, test.arguments);
    EXPECT_TRUE(result);
    if (result) continue;
    const auto kernel_of = [&] {
      const auto backend = codegen::llvm::make_backend();
      return backend->load(*backend->compile(test.program)).value();
    };
    // Name the instructions that differ, each once.
    const auto kernel = kernel_of();
    const auto want = interpreted(test.program, test.arguments).buffers.back();
    const auto have = called(kernel->function(), test.arguments).buffers.back();
    std::string last;
    for (size_t i = 0; i < want.size() / 4; ++i) {
      uint32_t a = 0, b = 0;
      std::memcpy(&a, want.data() + 4 * i, 4);
      std::memcpy(&b, have.data() + 4 * i, 4);
      const bool nan = (a & 0x7fffffff) > 0x7f800000 && (b & 0x7fffffff) > 0x7f800000;
      const std::string place = test.place(i);
      const std::string op = place.substr(0, place.find(" row"));
      if (a == b || nan || op == last) continue;
      last = op;
      ADD_FAILURE() << place << ": found " << std::hex << b << ", expected " << a;
    }
  }
}

TEST_P(LlvmOps, cover_the_table) {
  const EveryOp test = every_op(with_lanes(codegen::llvm::host_target(), GetParam()));
  std::vector<bool> seen(all_ops().size());
  const auto visit = [&](const auto& self, const Block& block) -> void {
    for (const Node& node : block) {
      if (const auto* instr = std::get_if<Instr>(&node.value))
        seen[static_cast<size_t>(instr->op)] = true;
      if (const auto* loop = std::get_if<Loop>(&node.value)) self(self, loop->body);
      if (const auto* branch = std::get_if<Branch>(&node.value)) {
        self(self, branch->then);
        self(self, branch->otherwise);
      }
    }
  };
  visit(visit, test.program.body);
  for (size_t op = 0; op < seen.size(); ++op) {
    const bool estimate = static_cast<Op>(op) == Op::frecip || static_cast<Op>(op) == Op::frsqrt;
    EXPECT_EQ(seen[op], !estimate) << all_ops()[op].name;
  }
}

TEST_P(LlvmOps, estimates_keep_their_bound) {
  for (const ir::Target& machine : runnable_targets()) {
    const ir::Target target = with_lanes(machine, GetParam());
    Builder b("estimates", target);
    const Pointer x = b.buffer("x", Type::f32, BufferAccess::read);
    const Pointer recip = b.buffer("recip", Type::f32, BufferAccess::write);
    const Pointer root = b.buffer("root", Type::f32, BufferAccess::write);
    const int64_t width = 4096;
    b.vectors(width, [&](const Span& at) {
      b.store(recip, at, b.recip_approx(b.load(x, at)));
      b.store(root, at, b.rsqrt_approx(b.load(x, at)));
    });
    const Program program = b.finish();
    const auto backend = codegen::llvm::make_backend();
    const auto image = backend->compile(program);
    ASSERT_TRUE(image) << image.error().message;
    const auto kernel = backend->load(*image);
    ASSERT_TRUE(kernel) << kernel.error().message;
    const size_t bytes = static_cast<size_t>(width) * 4;
    const Arguments after = called(
        (*kernel)->function(),
        {{corner_floats(width, 5), std::vector<std::byte>(bytes), std::vector<std::byte>(bytes)},
         {}});
    const auto near = [](float found, double exact) {
      if (std::isnan(exact)) return std::isnan(found);
      const auto rounded = static_cast<float>(exact);
      if (std::isinf(rounded) || rounded == 0) return found == rounded;
      // A denormal result has fewer bits: half of the last place comes on top.
      return std::abs(found - exact) <= 1.5 * 0x1p-12 * std::abs(exact) + 0x1p-150;
    };
    for (size_t i = 0; i < static_cast<size_t>(width); ++i) {
      float in = 0, out[2];
      std::memcpy(&in, after.buffers[0].data() + 4 * i, 4);
      std::memcpy(&out[0], after.buffers[1].data() + 4 * i, 4);
      std::memcpy(&out[1], after.buffers[2].data() + 4 * i, 4);
      EXPECT_TRUE(near(out[0], 1.0 / in)) << target.cpu << " 1/" << in << " = " << out[0];
      EXPECT_TRUE(near(out[1], 1.0 / std::sqrt(static_cast<double>(in))))
          << target.cpu << " 1/sqrt(" << in << ") = " << out[1];
    }
  }
}

// Rows of awkward widths, whose memory ends at protected pages.
TEST_P(LlvmOps, tails_touch_nothing_beyond) {
  for (const ir::Target& machine : runnable_targets()) {
    const ir::Target target = with_lanes(machine, GetParam());
    Builder b("tails", target);
    Arguments arguments;
    const auto argument = [&](Type type, BufferAccess access, int width) {
      const size_t bytes = static_cast<size_t>(width) * static_cast<size_t>(ir::size_of(type));
      arguments.buffers.push_back(random_bytes(bytes, 7));
      return b.buffer("b" + std::to_string(arguments.buffers.size()), type, access);
    };
    for (const Type type :
         {Type::f32, Type::f16, Type::bf16, Type::i8, Type::u8, Type::i16, Type::u16}) {
      for (const int width : {1, target.lanes - 1, target.lanes + 1, 2 * target.lanes + 3}) {
        if (width == 0) continue;
        const Pointer from = argument(type, BufferAccess::read, width);
        const Pointer to = argument(type, BufferAccess::write, width);
        b.vectors(width, [&](const Span& at) { b.store(to, at, b.load(from, at)); });
      }
    }
    EXPECT_TRUE(agrees(b.finish(), arguments));
  }
}

INSTANTIATE_TEST_SUITE_P(Lanes, LlvmOps, ::testing::Values(1, 4, 8, 16));

}  // namespace
}  // namespace lathe::tests
