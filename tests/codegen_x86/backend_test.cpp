// The backend object: names, targets, machines, images that are the same every time.
#include <thread>

#include <gmock/gmock.h>

#include "codegen/x86/x86_backend.h"
#include "ir/program/builder.h"
#include "tests/codegen_x86/harness.h"

namespace lathe::tests {
namespace {

using namespace ir::program;  // NOLINT: programs are written here
using ir::Type;
using testing::HasSubstr;

Program copy(const ir::Target& target, std::string name) {
  Builder b(std::move(name), target);
  const Pointer x = b.buffer("x", Type::f32, BufferAccess::read);
  const Pointer y = b.buffer("y", Type::f32, BufferAccess::write);
  b.vectors(100, [&](const Span& at) { b.store(y, at, b.add(b.load(x, at), b.constant(1.5f))); });
  return b.finish();
}

TEST(X86Backend, NamesBecomeIdentifiers) {
  const ir::Target target = ir::parse_target("avx2").value();
  EXPECT_EQ(compile(copy(target, "rms_norm x=512/f32")).name, "rms_norm_x_512_f32");
  EXPECT_EQ(compile(copy(target, "8bit")).name, "_8bit");
}

TEST(X86Backend, EmitsOnlyWhatItKnows) {
  const auto backend = codegen::x86::make_backend();
  EXPECT_EQ(backend->name(), "x86");
  ir::Target target = ir::parse_target("avx2").value();
  target.isa = ir::Isa::generic;
  EXPECT_FALSE(backend->emits(target));
  const auto image = backend->compile(copy(target, "copy"));
  ASSERT_FALSE(image.has_value());
  EXPECT_EQ(image.error().code, ErrorCode::unsupported);
}

TEST(X86Backend, NamesMachines) {
  const auto backend = codegen::x86::make_backend();
  EXPECT_TRUE(backend->target("avx2", "haswell").has_value());
  EXPECT_EQ(backend->target("avx512", "znver4")->vnni, true);
  EXPECT_EQ(backend->target("avx512", "skylake-avx512")->vnni, false);
  const auto narrow = backend->target("avx512", "haswell");
  ASSERT_FALSE(narrow.has_value());
  EXPECT_EQ(narrow.error().code, ErrorCode::unsupported);
  const auto unknown = backend->target("avx2", "z80");
  ASSERT_FALSE(unknown.has_value());
  EXPECT_EQ(unknown.error().code, ErrorCode::not_found);
  EXPECT_THAT(unknown.error().message, HasSubstr("skylake"));
  EXPECT_EQ(backend->target("llvm", "").error().code, ErrorCode::not_found);
}

TEST(X86Backend, TheSameProgramGivesTheSameImageOnEveryThread) {
  const ir::Target target = ir::parse_target("avx2").value();
  const Program program = copy(target, "copy");
  const codegen::KernelImage expected = compile(program);
  const auto backend = codegen::x86::make_backend();
  std::vector<std::thread> threads;
  std::vector<int> same(4, 0);
  for (size_t i = 0; i < same.size(); ++i)
    threads.emplace_back([&, i] {
      for (int n = 0; n < 20; ++n)
        same[i] += backend->compile(program)->code == expected.code ? 1 : 0;
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(same, testing::Each(20));
}

TEST(X86Backend, ConstantsStandBehindTheCode) {
  const codegen::KernelImage image = compile(copy(ir::parse_target("sse").value(), "copy"));
  EXPECT_EQ(image.entry, 0u);
  EXPECT_LT(image.code_bytes, image.code.size());
  EXPECT_EQ(image.code[image.code_bytes - 1], std::byte{0xC3}) << "ret ends the instructions";
}

}  // namespace
}  // namespace lathe::tests
