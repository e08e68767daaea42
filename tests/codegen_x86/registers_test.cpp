// What happens when registers run out: constants go to memory, scalars to the stack, the rest is
// refused.
#include <gmock/gmock.h>

#include "codegen/x86/x86_backend.h"
#include "tests/codegen_x86/harness.h"

namespace lathe::tests {
namespace {

using namespace ir::program;  // NOLINT: programs are written here
using ir::Type;
using testing::HasSubstr;

ir::Target target(std::string_view name) { return ir::parse_target(name).value(); }

// `accumulators` sums that live through a loop, each with a factor from a constant of its own.
Program sums(const ir::Target& target, int accumulators, int constants) {
  Builder b("sums", target);
  const Pointer x = b.buffer("x", Type::f32, BufferAccess::read);
  const Pointer o = b.buffer("o", Type::f32, BufferAccess::write);
  std::vector<Vec> sum;
  for (int i = 0; i < accumulators; ++i) sum.push_back(b.copy(b.constant(0.0f)));
  b.loop(0, 4, 1, [&](ir::program::Scalar) {
    const Vec value = b.load(x, Span{});
    for (int i = 0; i < accumulators; ++i) {
      const float factor = 1.5f + static_cast<float>(constants > 0 ? i % constants : 0);
      b.set(sum[static_cast<size_t>(i)],
            b.fma(value, b.constant(factor), sum[static_cast<size_t>(i)]));
    }
    b.advance(x, 4 * b.lanes());
  });
  for (int i = 0; i < accumulators; ++i)
    b.store(o, Span{int64_t{i} * b.lanes(), {}, 0, true}, sum[static_cast<size_t>(i)]);
  return b.finish();
}

testing::AssertionResult sums_agree(const ir::Target& target, int accumulators, int constants) {
  const auto lanes = static_cast<size_t>(target.lanes);
  return agrees(sums(target, accumulators, constants),
                {bytes_of_values(awkward_floats(4 * lanes)),
                 Bytes(static_cast<size_t>(accumulators) * lanes * 4)});
}

TEST(X86Registers, ATooLargeTileIsRejectedByBothCounts) {
  for (const auto& [name, accumulators, has] :
       {std::tuple{"avx2", 18, "16"}, {"sse", 18, "16"}, {"avx512", 36, "32"}}) {
    const auto image = codegen::x86::make_backend()->compile(sums(target(name), accumulators, 1));
    ASSERT_FALSE(image.has_value()) << name;
    EXPECT_EQ(image.error().code, ErrorCode::rejected);
    EXPECT_THAT(image.error().message,
                HasSubstr("vector registers, " + std::string(name) + " has " + has));
    EXPECT_THAT(image.error().message, testing::ContainsRegex("needs [0-9]+ vector registers"));
  }
}

TEST(X86Registers, ConstantsMoveToMemoryWhenAccumulatorsNeedTheirRegisters) {
  for (const char* name : {"avx2", "avx512", "sse", "scalar"}) {
    const ir::Target t = target(name);
    const int accumulators = t.vector_registers - 4;
    EXPECT_TRUE(sums_agree(t, accumulators, 12)) << name;
    const auto image = compile(sums(t, accumulators, 12));
    EXPECT_LE(image.vector_registers_used, t.vector_registers);
  }
}

TEST(X86Registers, ASmallerRegisterFileIsRespected) {
  ir::Target t = target("avx2");
  t.vector_registers = 8;
  const auto image = codegen::x86::make_backend()->compile(sums(t, 6, 3));
  ASSERT_TRUE(image.has_value()) << image.error().message;
  EXPECT_LE(image->vector_registers_used, 8);
}

TEST(X86Registers, ScalarsGoToTheStackAndArgumentsStayThere) {
  for (const char* name : {"avx2", "sse"}) {
    Builder b("many", target(name));
    const Pointer o = b.buffer("o", Type::i32, BufferAccess::write);
    std::vector<ir::program::Scalar> parameters, copies;
    for (int i = 0; i < 20; ++i) parameters.push_back(b.parameter("p" + std::to_string(i)));
    for (int i = 0; i < 10; ++i) copies.push_back(b.mul(parameters[static_cast<size_t>(i)], i + 2));
    const ir::program::Scalar sum = b.scalar(0);
    b.loop(0, parameters[0], 1, [&](ir::program::Scalar i) {
      for (const auto p : parameters) b.set(sum, b.add(sum, p));
      for (auto& c : copies) b.set(c, b.add(c, i));
    });
    for (const auto c : copies) b.set(sum, b.add(sum, c));
    Instr splat{.op = Op::vsplat};
    splat.src[0] = sum.reg;
    Vec v;
    v.builder = &b;
    v.reg = b.emit(splat);
    b.store(o, Span{}, v);
    std::vector<int64_t> values(20);
    for (size_t i = 0; i < 20; ++i) values[i] = static_cast<int64_t>(5 + i * i);
    EXPECT_TRUE(agrees(b.finish(), {Bytes(static_cast<size_t>(b.lanes()) * 4)}, values)) << name;
  }
}

TEST(X86Registers, TooManyMasksAreRejected) {
  Builder b("masks", target("avx512"));
  const Pointer x = b.buffer("x", Type::f32, BufferAccess::read);
  const Pointer o = b.buffer("o", Type::f32, BufferAccess::write);
  const Vec v = b.load(x, Span{});
  std::vector<Mask> masks;
  for (int i = 0; i < 9; ++i)
    masks.push_back(b.compare(Compare::lt, v, b.constant(static_cast<float>(i))));
  Vec r = v;
  for (const Mask m : masks) r = b.select(m, r, b.constant(2.0f));
  b.store(o, Span{}, r);
  const auto image = codegen::x86::make_backend()->compile(b.finish());
  ASSERT_FALSE(image.has_value());
  EXPECT_EQ(image.error().code, ErrorCode::rejected);
  EXPECT_THAT(image.error().message, HasSubstr("needs 9 mask registers, avx512 has 7"));
}

}  // namespace
}  // namespace lathe::tests
