// Legalisation: the text it makes of two small programs, what it leaves alone, and that it
// verifies.
#include "compiler/passes/legalize.h"

#include <gmock/gmock.h>

#include "ir/program/builder.h"
#include "ir/program/interpreter.h"
#include "ir/program/printer.h"
#include "ir/program/verifier.h"
#include "tests/codegen_x86/harness.h"

namespace lathe::tests {
namespace {

using namespace ir::program;  // NOLINT: programs are written here
using compiler::passes::legalize;
using ir::Type;
using testing::HasSubstr;
using testing::Not;

ir::Target target(std::string_view name) { return ir::parse_target(name).value(); }

Program fused(const ir::Target& target) {
  Builder b("fused", target);
  const Pointer x = b.buffer("x", Type::f32, BufferAccess::read_write);
  const Vec v = b.load(x, Span{});
  b.store(x, Span{}, b.fnma(v, v, v));
  return b.finish();
}

Program half_copy(const ir::Target& target, Type type) {
  Builder b("half", target);
  const Pointer x = b.buffer("x", type, BufferAccess::read);
  const Pointer o = b.buffer("o", type, BufferAccess::write);
  b.vectors(65536, [&](const Span& at) { b.store(o, at, b.load(x, at)); });
  return b.finish();
}

size_t count_of(const std::string& text, std::string_view word) {
  size_t count = 0;
  for (size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++count;
  return count;
}

TEST(Legalize, SplitsFusedMultiplyAddsWhereTheTargetDoesNotFuse) {
  const std::string before = print(fused(target("sse")));
  EXPECT_THAT(before, HasSubstr("%v1 = fnma %v0, %v0, %v0"));
  const std::string after = print(legalize(fused(target("sse"))));
  EXPECT_THAT(after, Not(HasSubstr("fnma")));
  EXPECT_THAT(after, HasSubstr("%v2 = fmul %v0, %v0"));
  EXPECT_THAT(after, HasSubstr("%v1 = fsub %v0, %v2"));
}

TEST(Legalize, LoadsBf16AsShiftedIntegers) {
  Builder b("load", target("avx2"));
  const Pointer x = b.buffer("x", Type::bf16, BufferAccess::read);
  const Pointer o = b.buffer("o", Type::f32, BufferAccess::write);
  b.store(o, Span{}, b.load(x, Span{}));
  const Program before = b.finish();
  EXPECT_THAT(print(before), HasSubstr("%v0 = load"));
  const std::string after = print(legalize(before));
  EXPECT_THAT(after, HasSubstr("%v1 = load"));
  EXPECT_THAT(after, HasSubstr("%v0 = ishl %v1, 16"));
}

TEST(Legalize, PutsStoresOfNeighboursSideBySide) {
  for (const int64_t distance : {8, 16}) {
    Builder b("pair", target("avx2"));
    const Pointer x = b.buffer("x", Type::f32, BufferAccess::read);
    const Pointer o = b.buffer("o", Type::bf16, BufferAccess::write);
    const Vec value = b.load(x, Span{});
    b.store(o, Span{}, value);
    b.store(o, Span{.offset = distance}, value);
    const std::string text = print(legalize(b.finish()));
    const size_t first = text.find("store.u16"), second = text.find("store.u16", first + 1);
    ASSERT_NE(second, std::string::npos) << text;
    EXPECT_EQ(count_of(text.substr(first, second - first), "\n"), distance == 8 ? 1U : 8U) << text;
  }
}

TEST(Legalize, LeavesWhatTheTargetHas) {
  for (const char* name : {"avx2", "avx512"}) {
    const Program program = fused(target(name));
    EXPECT_EQ(print(legalize(program)), print(program));
    const Program halves = half_copy(target(name), Type::f16);
    EXPECT_EQ(print(legalize(halves)), print(halves));
  }
}

TEST(Legalize, SharesItsConstants) {
  const std::string text = print(legalize(half_copy(target("sse"), Type::f16)));
  EXPECT_EQ(count_of(text, "0x7f800000"), 1u) << text;  // read by both conversions
}

// Interpreted before and after, over every pattern of 16 bits and near every tie.
TEST(Legalize, KeepsTheMeaningExhaustively) {
  for (const char* name : {"scalar", "sse", "avx2"})
    for (const Type type : {Type::f16, Type::bf16})
      for (const bool widen : {false, true}) {
        Builder b("convert", target(name));
        const Pointer x = b.buffer("x", widen ? type : Type::f32, BufferAccess::read);
        const Pointer o = b.buffer("o", widen ? Type::f32 : type, BufferAccess::write);
        const int64_t count = widen ? 65536 : 3 * 65536;
        // In pairs: two stores side by side are converted together.
        b.vectors(count, 2, [&](const Span& at, int) { b.store(o, at, b.load(x, at)); });
        const Program program = b.finish(), legal = legalize(program);
        ASSERT_TRUE(verify(legal).has_value());
        Bytes in;
        if (widen) {
          std::vector<uint16_t> patterns(65536);
          for (size_t i = 0; i < patterns.size(); ++i) patterns[i] = static_cast<uint16_t>(i);
          in = bytes_of_values(patterns);
        } else {
          std::vector<uint32_t> bits;
          for (uint32_t high = 0; high < 65536; ++high) {
            const uint32_t sign = (high & 0x8000u) << 16, magnitude = high & 0x7FFFu;
            const uint32_t tie = type == Type::bf16 ? high << 16 | 0x8000u
                                                    : sign | (0x33000000u + magnitude * 0x1800u);
            for (const uint32_t near : {tie - 1, tie, tie + 1}) bits.push_back(near);
          }
          in = bytes_of_values(bits);
        }
        const auto run = [&](const Program& which) {
          Bytes out(static_cast<size_t>(count) * (widen ? 4 : 2));
          Bytes copy = in;
          const BufferView views[] = {{copy.data(), static_cast<int64_t>(copy.size()), 0},
                                      {out.data(), static_cast<int64_t>(out.size()), 0}};
          const auto trace = interpret(which, views, {});
          EXPECT_TRUE(trace.has_value());
          return out;
        };
        const Bytes want = run(program), have = run(legal);
        size_t at = 0;
        EXPECT_TRUE(same_values(widen ? Type::f32 : type, want, have, at))
            << name << " " << ir::name(type) << (widen ? " load" : " store") << " byte " << at;
      }
}

}  // namespace
}  // namespace lathe::tests
