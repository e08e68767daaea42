// Loads and stores of every element type, whole and partial, touch what they should and convert
// exactly.
#include "ir/program/builder.h"
#include "tests/codegen_x86/harness.h"

namespace lathe::tests {
namespace {

using namespace ir::program;  // NOLINT: programs are written here
using ir::Type;

constexpr Type kTypes[] = {Type::f32, Type::f16, Type::bf16, Type::i8,
                           Type::u8,  Type::i16, Type::u16,  Type::i32};

bool is_half(Type type) { return type == Type::f16 || type == Type::bf16; }

class X86Memory : public testing::TestWithParam<size_t> {
 protected:
  ir::Target target() const { return x86_targets()[GetParam()]; }
  int lanes() const { return target().lanes; }
  static size_t size(Type type) { return static_cast<size_t>(ir::size_of(type)); }
};

// Exact-size buffers: the guard pages catch a load or store of one byte too many.
TEST_P(X86Memory, PartialLoadsWithAKnownCount) {
  for (const Type type : kTypes)
    for (int count = 0; count <= lanes(); ++count) {
      SCOPED_TRACE(testing::Message() << ir::name(type) << " count " << count);
      Builder b("part", target());
      const Pointer x = b.buffer("x", type, BufferAccess::read);
      const Pointer o = b.buffer("o", is_half(type) ? Type::f32 : Type::i32, BufferAccess::write);
      b.store(o, Span{}, b.load(x, Span{0, {}, count, count == lanes()}));
      const auto n = static_cast<size_t>(count) * size(type);
      Bytes in = bytes_of_values(random_words(n / 4 + 1, static_cast<uint32_t>(count + 1)));
      in.resize(n);
      ASSERT_TRUE(agrees(b.finish(), {in, Bytes(static_cast<size_t>(lanes()) * 4)}));
    }
}

TEST_P(X86Memory, PartialAccessesWithARunTimeCount) {
  for (const Type type : kTypes) {
    Builder b("part", target());
    const Pointer x = b.buffer("x", type, BufferAccess::read);
    const Pointer o = b.buffer("o", type, BufferAccess::write);
    const ir::program::Scalar count = b.parameter("count");
    const Span at{0, {}, count, false};
    b.store(o, at, b.load(x, at));
    const Program program = b.finish();
    for (int n = 0; n <= lanes(); ++n) {
      SCOPED_TRACE(testing::Message() << ir::name(type) << " count " << n);
      const size_t bytes = static_cast<size_t>(n) * size(type);
      Bytes in = bytes_of_values(random_words(bytes / 4 + 1, 7));
      in.resize(bytes);
      ASSERT_TRUE(agrees(program, {in, Bytes(bytes)}, {n}));
    }
  }
}

TEST_P(X86Memory, StoresConvert) {
  for (const Type type : kTypes) {
    const Type wide = is_half(type) || type == Type::f32 ? Type::f32 : Type::i32;
    for (int count = 0; count <= lanes(); ++count) {
      SCOPED_TRACE(testing::Message() << ir::name(type) << " count " << count);
      Builder b("store", target());
      const Pointer x = b.buffer("x", wide, BufferAccess::read);
      const Pointer o = b.buffer("o", type, BufferAccess::write);
      b.store(o, Span{0, {}, count, count == lanes()}, b.load(x, Span{}));
      const auto n = static_cast<size_t>(lanes());
      std::vector<uint32_t> values = random_words(n, static_cast<uint32_t>(count));
      for (size_t i = 0; i < n; ++i)  // near the limits of each type, not only far beyond them
        if (wide == Type::i32 && i % 3 != 0) values[i] = (values[i] % 0x30000u) - 0x18000u;
      const Bytes in = wide == Type::f32
                           ? bytes_of_values(awkward_floats(n, static_cast<uint32_t>(count)))
                           : bytes_of_values(values);
      ASSERT_TRUE(agrees(b.finish(), {in, Bytes(static_cast<size_t>(count) * size(type))}));
    }
  }
}

TEST_P(X86Memory, EveryHalfPatternLoadsExactly) {
  for (const Type type : {Type::f16, Type::bf16}) {
    Builder b("half", target());
    const Pointer x = b.buffer("x", type, BufferAccess::read);
    const Pointer o = b.buffer("o", Type::f32, BufferAccess::write);
    b.vectors(65536, [&](const Span& at) { b.store(o, at, b.load(x, at)); });
    std::vector<uint16_t> patterns(65536);
    for (size_t i = 0; i < patterns.size(); ++i) patterns[i] = static_cast<uint16_t>(i);
    EXPECT_TRUE(agrees(b.finish(), {bytes_of_values(patterns), Bytes(65536 * 4)}));
  }
}

TEST_P(X86Memory, HalvesRoundAtTies) {
  for (const Type type : {Type::f16, Type::bf16}) {
    Builder b("half", target());
    const Pointer x = b.buffer("x", Type::f32, BufferAccess::read);
    const Pointer o = b.buffer("o", type, BufferAccess::write);
    const int64_t count = 3 * 65536;
    b.vectors(count, [&](const Span& at) { b.store(o, at, b.load(x, at)); });
    // Each tie between two neighbours, and the values just beside it.
    std::vector<uint32_t> bits;
    for (uint32_t high = 0; high < 65536; ++high) {
      uint32_t tie = high << 16 | 0x8000u;
      if (type == Type::f16) {  // halfway between neighbouring f16, denormal and normal
        const uint32_t magnitude = high & 0x7FFFu;
        tie = (high & 0x8000u) << 16 | (0x33000000u + magnitude * 0x1800u);
      }
      for (const uint32_t near : {tie - 1, tie, tie + 1}) bits.push_back(near);
    }
    EXPECT_TRUE(agrees(b.finish(), {bytes_of_values(bits), Bytes(static_cast<size_t>(count) * 2)}));
  }
}

TEST_P(X86Memory, SplatsGroupsAndAddresses) {
  for (const Type type : kTypes) {
    SCOPED_TRACE(ir::name(type));
    Builder b("splat", target());
    const Pointer x = b.buffer("x", type, BufferAccess::read);
    const Pointer o = b.buffer("o", is_half(type) ? Type::f32 : Type::i32, BufferAccess::write);
    const ir::program::Scalar three = b.parameter("three");
    b.store(o, Span{}, b.load_splat(x, 1, three));
    b.store(o, Span{lanes(), {}, 0, true}, b.load_splat(x, 0));
    Bytes in = bytes_of_values(random_words(5, 3));
    in.resize(5 * size(type));
    EXPECT_TRUE(agrees(b.finish(), {in, Bytes(static_cast<size_t>(lanes()) * 8)}, {3}));
  }
  for (const int group : {8, 16}) {
    Builder b("group", target());
    const Pointer x = b.buffer("x", Type::u8, BufferAccess::read);
    const Pointer o = b.buffer("o", Type::i32, BufferAccess::write);
    b.prefetch(x, 4096, 0);
    b.store(o, Span{}, b.load_group(x, group, 4));
    const Bytes in(4 + static_cast<size_t>(group), std::byte{0x5A});
    EXPECT_TRUE(agrees(b.finish(), {in, Bytes(static_cast<size_t>(lanes()) * 4)}));
  }
}

TEST_P(X86Memory, StreamedStores) {
  Builder b("stream", target());
  const Pointer x = b.buffer("x", Type::f32, BufferAccess::read);
  const Pointer o = b.buffer("o", Type::f32, BufferAccess::write);
  b.vectors(64, [&](const Span& at) { b.store_stream(o, at, b.load(x, at)); });
  EXPECT_TRUE(agrees(b.finish(), {bytes_of_values(awkward_floats(64)), Bytes(256)}, {},
                     {.floats = true, .alignment = 64}));
}

std::string target_name(const testing::TestParamInfo<size_t>& info) {
  const ir::Target target = x86_targets()[info.param];
  return target.name + (target.vnni ? "_vnni" : "");
}

INSTANTIATE_TEST_SUITE_P(Targets, X86Memory, testing::Range<size_t>(0, 5), target_name);

}  // namespace
}  // namespace lathe::tests
