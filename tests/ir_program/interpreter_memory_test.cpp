// Loads and stores: conversions, partial access, addresses, observers, traces.
#include <array>
#include <cstring>

#include <gmock/gmock.h>

#include "ir/half.h"
#include "tests/ir_program/run_op.h"

namespace lathe::ir::program {
namespace {

// Loads a vector of `type` elements from `bytes` and stores its lanes.
Lanes widened(const Target& target, Type type, Lanes words) {
  Builder b("widen", target);
  const Pointer x = b.buffer("x", type, BufferAccess::read);
  const Pointer out = b.buffer("out", Type::f32, BufferAccess::write);
  b.store(out, Span{}, b.load(x, Span{}));
  words.resize(16);
  return run_program(b.finish(), {words}, static_cast<size_t>(target.lanes));
}

// Stores `lanes` as `type` elements; the memory afterwards, over 0xDEADBEEF.
Lanes narrowed(const Target& target, Type type, Lanes lanes, size_t words) {
  Builder b("narrow", target);
  const Pointer x = b.buffer("x", Type::f32, BufferAccess::read);
  const Pointer out = b.buffer("out", type, BufferAccess::write);
  b.store(out, Span{}, b.load(x, Span{}));
  return run_program(b.finish(), {lanes}, words);
}

const Target kSse = *parse_target("sse");

TEST(InterpreterMemory, LoadsWiden) {
  EXPECT_EQ(widened(kSse, Type::f32, {1, 2, 3, 0x7F800001}), (Lanes{1, 2, 3, 0x7F800001}));
  EXPECT_EQ(widened(kSse, Type::i8, {0x80FF7F01}), (Lanes{1, 127, 0xFFFFFFFF, 0xFFFFFF80}));
  EXPECT_EQ(widened(kSse, Type::u8, {0x80FF7F01}), (Lanes{1, 127, 255, 128}));
  EXPECT_EQ(widened(kSse, Type::i16, {0x7FFF0001, 0xFFFF8000}),
            (Lanes{1, 32767, 0xFFFF8000, 0xFFFFFFFF}));
  EXPECT_EQ(widened(kSse, Type::u16, {0x7FFF0001, 0xFFFF8000}), (Lanes{1, 32767, 32768, 65535}));
  EXPECT_EQ(widened(kSse, Type::f16, {0x00013C00, 0xFC008000}),
            floats({1, 0x1p-24F, -0.0F, -kInf}));
  EXPECT_EQ(widened(kSse, Type::bf16, {0x00013F80, 0xFF808000}),
            floats({1, 0x1p-133F, -0.0F, -kInf}));
}

TEST(InterpreterMemory, StoresNarrow) {
  const Lanes integers{0x7FFFFFFF, 0x80000000, 255, 0xFFFFFFFF};
  EXPECT_EQ(narrowed(kSse, Type::i32, integers, 4), integers);
  EXPECT_EQ(narrowed(kSse, Type::i8, integers, 2), (Lanes{0xFF7F807F, 0xDEADBEEF}));
  EXPECT_EQ(narrowed(kSse, Type::u8, integers, 2), (Lanes{0x00FF00FF, 0xDEADBEEF}));
  EXPECT_EQ(narrowed(kSse, Type::i16, integers, 3), (Lanes{0x80007FFF, 0xFFFF00FF, 0xDEADBEEF}));
  EXPECT_EQ(narrowed(kSse, Type::u16, integers, 3), (Lanes{0x0000FFFF, 0x000000FF, 0xDEADBEEF}));
  EXPECT_EQ(narrowed(kSse, Type::f16, floats({1, 65520, -0.0F, 0x1p-25F}), 2),
            (Lanes{0x7C003C00, 0x00008000}));
  EXPECT_EQ(narrowed(kSse, Type::bf16, floats({1, kMax, -0.0F, 1 + 0x1p-8F}), 2),
            (Lanes{0x7F803F80, 0x3F808000}));
}

TEST(InterpreterMemory, NarrowedNanStaysNan) {
  const Lanes nans{0x7FC00000, 0x7F800001, 0xFFC00000, 0xFF800001};
  for (const Type type : {Type::f16, Type::bf16}) {
    for (const uint32_t word : narrowed(kSse, type, nans, 2)) {
      for (const uint16_t half : {static_cast<uint16_t>(word), static_cast<uint16_t>(word >> 16)})
        EXPECT_TRUE(std::isnan(type == Type::f16 ? f16_to_float(half) : bf16_to_float(half)));
    }
  }
}

TEST(InterpreterMemory, PartialAccessTouchesNoByteBeyond) {
  for (const Target& target : all_targets()) {
    for (int count = 0; count <= target.lanes; ++count) {
      Builder b("part", target);
      const Pointer x = b.buffer("x", Type::u16, BufferAccess::read);
      const Pointer out = b.buffer("out", Type::f32, BufferAccess::write);
      const Scalar n = b.parameter("n");
      b.store(out, Span{}, b.constant_bits(7));
      b.store(out, Span{0, {}, n, false}, b.load(x, Span{0, {}, n, false}));
      const Program program = b.finish();
      ASSERT_TRUE(verify(program));
      std::vector<uint16_t> in(static_cast<size_t>(count), 9);
      Lanes output(static_cast<size_t>(target.lanes));
      const std::array<BufferView, 2> views{
          BufferView{reinterpret_cast<std::byte*>(in.data()), int64_t{2} * count, 0},
          BufferView{reinterpret_cast<std::byte*>(output.data()), int64_t{4} * target.lanes, 0}};
      const std::array<int64_t, 1> parameters{count};
      const auto trace = interpret(program, views, parameters);
      ASSERT_TRUE(trace) << trace.error().message;
      EXPECT_EQ(trace->bytes_read, static_cast<uint64_t>(2 * count));
      for (int i = 0; i < target.lanes; ++i)
        EXPECT_EQ(output[static_cast<size_t>(i)], i < count ? 9U : 7U);
    }
  }
}

TEST(InterpreterMemory, PartialLoadsZeroTheRest) {
  Builder b("part", kSse);
  const Pointer x = b.buffer("x", Type::f32, BufferAccess::read);
  const Pointer out = b.buffer("out", Type::f32, BufferAccess::write);
  b.store(out, Span{}, b.load(x, Span{0, {}, 2, false}));
  EXPECT_EQ(run_program(b.finish(), {{5, 6, 7, 8}}, 4), (Lanes{5, 6, 0, 0}));
}

TEST(InterpreterMemory, Splat) {
  Builder b("splat", kSse);
  const Pointer x = b.buffer("x", Type::i8, BufferAccess::read);
  const Pointer out = b.buffer("out", Type::f32, BufferAccess::write);
  const Scalar i = b.parameter("i");
  b.store(out, Span{}, b.load_splat(x, 1, i));
  EXPECT_EQ(run_program(b.finish(), {{0xFE020100}}, 4, {2}), Lanes(4, 0xFFFFFFFE));
}

TEST(InterpreterMemory, Groups) {
  for (const Target& target : all_targets()) {
    for (const int bytes : {8, 16}) {
      Builder b("group", target);
      const Pointer x = b.buffer("x", Type::u8, BufferAccess::read);
      const Pointer out = b.buffer("out", Type::f32, BufferAccess::write);
      b.store(out, Span{}, b.load_group(x, bytes, 4));
      const Lanes found =
          run_program(b.finish(), {{0, 1, 2, 3, 4}}, static_cast<size_t>(target.lanes));
      for (size_t i = 0; i < found.size(); ++i)
        EXPECT_EQ(found[i], 1 + i % static_cast<size_t>(bytes / 4));
    }
  }
}

TEST(InterpreterMemory, AddressesCountFromTheMovedPointer) {
  Builder b("walk", *parse_target("scalar"));
  Pointer x = b.buffer("x", Type::f32, BufferAccess::read);
  const Pointer out = b.buffer("out", Type::f32, BufferAccess::write);
  const Scalar bytes = b.parameter("bytes");
  const Pointer second = b.offset(x, bytes);
  b.advance(x, 12);
  b.store(out, Span{0, {}, 0, true}, b.load(second, Span{}));
  b.store(out, Span{1, {}, 0, true}, b.load(x, Span{-1, {}, 0, true}));
  b.store(out, Span{2, {}, 0, true}, b.load(x, Span{}));
  EXPECT_EQ(run_program(b.finish(), {{10, 11, 12, 13}}, 3, {4}), (Lanes{11, 12, 13}));
}

TEST(InterpreterMemory, BuffersStartWhereTheViewSays) {
  Builder b("start", *parse_target("scalar"));
  const Pointer x = b.buffer("x", Type::f32, BufferAccess::read);
  const Pointer out = b.buffer("out", Type::f32, BufferAccess::write);
  b.store(out, Span{}, b.load(x, Span{-1, {}, 0, true}));
  const Program program = b.finish();
  Lanes in{1, 2, 3}, output{0};
  const std::array<BufferView, 2> views{
      BufferView{reinterpret_cast<std::byte*>(in.data()), 12, 8},
      BufferView{reinterpret_cast<std::byte*>(output.data()), 4, 0}};
  ASSERT_TRUE(interpret(program, views, {}));
  EXPECT_EQ(output[0], 2U);
}

TEST(InterpreterMemory, OneMemoryUnderTwoBuffers) {
  Builder b("in_place", kSse);
  const Pointer x = b.buffer("x", Type::f32, BufferAccess::read);
  const Pointer y = b.buffer("y", Type::f32, BufferAccess::write);
  b.store(y, Span{}, b.constant_bits(3));
  b.store(y, Span{4, {}, 0, true}, b.load(x, Span{}));
  const Program program = b.finish();
  Lanes memory(8, 1);
  const BufferView view{reinterpret_cast<std::byte*>(memory.data()), 32, 0};
  ASSERT_TRUE(interpret(program, std::array<BufferView, 2>{view, view}, {}));
  EXPECT_EQ(memory, Lanes(8, 3));
}

TEST(InterpreterMemory, StreamsToAlignedAddresses) {
  Builder b("stream", kSse);
  const Pointer out = b.buffer("out", Type::f32, BufferAccess::write);
  b.store_stream(out, Span{4, {}, 0, true}, b.constant_bits(5));
  const Program program = b.finish();
  alignas(64) std::array<uint32_t, 8> memory{};
  const std::array<BufferView, 1> views{
      BufferView{reinterpret_cast<std::byte*>(memory.data()), 32, 0}};
  ASSERT_TRUE(interpret(program, views, {}));
  EXPECT_EQ(memory[3], 0U);
  EXPECT_EQ(memory[4], 5U);
}

TEST(InterpreterMemory, PrefetchMayGoAnywhere) {
  Builder b("prefetch", kSse);
  const Pointer x = b.buffer("x", Type::f32, BufferAccess::read);
  for (int level = 0; level < 4; ++level) b.prefetch(x, 1 << 30, level);
  const auto trace = interpret(b.finish(), std::array<BufferView, 1>{}, {});
  ASSERT_TRUE(trace) << trace.error().message;
  EXPECT_EQ(trace->bytes_read, 0U);
  EXPECT_EQ(trace->instructions, 4U);
}

TEST(InterpreterMemory, ObserverSeesEveryRange) {
  struct Recorder : WriteObserver {
    void wrote(size_t buffer, int64_t offset, int64_t bytes) override {
      seen.push_back({1, static_cast<int64_t>(buffer), offset, bytes});
    }
    void read(size_t buffer, int64_t offset, int64_t bytes) override {
      seen.push_back({0, static_cast<int64_t>(buffer), offset, bytes});
    }
    std::vector<std::array<int64_t, 4>> seen;
  } recorder;
  Builder b("observed", kSse);
  const Pointer x = b.buffer("x", Type::f16, BufferAccess::read);
  const Pointer y = b.buffer("y", Type::f32, BufferAccess::write);
  b.vectors(6, [&](const Span& at) { b.store(y, at, b.load(x, at)); });
  const Program program = b.finish();
  std::array<uint16_t, 8> in{};
  std::array<uint32_t, 6> out{};
  const std::array<BufferView, 2> views{
      BufferView{reinterpret_cast<std::byte*>(in.data()), 16, 2},
      BufferView{reinterpret_cast<std::byte*>(out.data()), 24, 0}};
  InterpreterOptions options;
  options.observer = &recorder;
  const auto trace = interpret(program, views, {}, options);
  ASSERT_TRUE(trace) << trace.error().message;
  using Access = std::array<int64_t, 4>;
  EXPECT_THAT(recorder.seen, testing::ElementsAre(Access{0, 0, 2, 8}, Access{1, 1, 0, 16},
                                                  Access{0, 0, 10, 4}, Access{1, 1, 16, 8}));
  EXPECT_EQ(trace->bytes_read, 12U);
  EXPECT_EQ(trace->bytes_written, 24U);
  EXPECT_EQ(trace->instructions, 4U);
}

}  // namespace
}  // namespace lathe::ir::program
