// What the interpreter refuses at run time: one mistake a test, named with instruction and place.
#include <array>

#include <gmock/gmock.h>

#include "tests/ir_program/run_op.h"

namespace lathe::ir::program {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class InterpreterErrors : public testing::Test {
 protected:
  InterpreterErrors() : b("wrong", *parse_target("sse")) {}

  // The error of running what was built on one buffer of 64 bytes.
  std::string error(std::vector<int64_t> parameters = {}, int64_t start = 0) {
    program = b.finish();
    const Status verified = verify(program);
    EXPECT_TRUE(verified) << verified.error().message;
    const std::array<BufferView, 1> views{
        BufferView{reinterpret_cast<std::byte*>(memory.data()), 64, start}};
    const auto trace = interpret(program, views, parameters, options);
    if (trace) return "(runs)";
    code = trace.error().code;
    return trace.error().message;
  }

  Builder b;
  Program program;
  alignas(64) std::array<uint32_t, 16> memory{};
  InterpreterOptions options;
  ErrorCode code{};
};

TEST_F(InterpreterErrors, LoadBeyondTheEnd) {
  const Pointer x = b.buffer("x", Type::f32, BufferAccess::read);
  b.load(x, Span{13, {}, 0, true});
  EXPECT_EQ(error(),
            "program 'wrong': '%v0 = load.raw32 [%p0 + 52]': reads 16 bytes at offset 52 of buffer "
            "'x', which has 64 bytes");
  EXPECT_EQ(code, ErrorCode::verify_error);
}

TEST_F(InterpreterErrors, LoadBeforeTheStart) {
  const Pointer x = b.buffer("x", Type::f32, BufferAccess::read);
  b.load(x, Span{-1, {}, 0, true});
  EXPECT_THAT(error(), HasSubstr("reads 16 bytes at offset -4 of buffer 'x'"));
}

TEST_F(InterpreterErrors, LoadFarOutside) {
  const Pointer x = b.buffer("x", Type::f32, BufferAccess::read);
  const Scalar i = b.parameter("i");
  b.load(x, Span{0, i, 0, true});
  EXPECT_THAT(error({INT64_MAX / 4}), HasSubstr("of buffer 'x', which has 64 bytes"));
}

TEST_F(InterpreterErrors, StoreBeyondTheEnd) {
  const Pointer x = b.buffer("x", Type::f16, BufferAccess::write);
  b.store(x, Span{29, {}, 0, true}, b.iota());
  EXPECT_THAT(error(), HasSubstr("writes 8 bytes at offset 58 of buffer 'x'"));
}

TEST_F(InterpreterErrors, StoreThatEndsOneByteBeyond) {
  const Pointer x = b.buffer("x", Type::i8, BufferAccess::write);
  b.store(x, Span{61, {}, 0, true}, b.iota());
  EXPECT_THAT(error(), HasSubstr("writes 4 bytes at offset 61 of buffer 'x'"));
}

TEST_F(InterpreterErrors, PartialStoreBeyondTheEnd) {
  const Pointer x = b.buffer("x", Type::f32, BufferAccess::write);
  const Scalar n = b.parameter("n");
  b.store(x, Span{14, {}, n, false}, b.iota());
  EXPECT_THAT(error({3}), HasSubstr("writes 12 bytes at offset 56"));
}

TEST_F(InterpreterErrors, SplatGroupAndScalarBeyondTheEnd) {
  const Pointer x = b.buffer("x", Type::i8, BufferAccess::read);
  const Scalar which = b.parameter("which");
  b.branch(Compare::eq, which, 0, [&] { b.load_splat(x, 64); });
  b.branch(Compare::eq, which, 1, [&] { b.load_group(x, 8, 57); });
  b.branch(Compare::eq, which, 2, [&] { b.load_integer(x, -1); });
  program = b.finish();
  const std::array<BufferView, 1> views{
      BufferView{reinterpret_cast<std::byte*>(memory.data()), 64, 0}};
  const auto message = [&](int64_t value) {
    return interpret(program, views, std::array<int64_t, 1>{value}).error().message;
  };
  EXPECT_THAT(message(0), HasSubstr("reads 1 bytes at offset 64"));
  EXPECT_THAT(message(1), HasSubstr("reads 8 bytes at offset 57"));
  EXPECT_THAT(message(2), HasSubstr("reads 1 bytes at offset -1"));
}

TEST_F(InterpreterErrors, CountOutOfRange) {
  const Pointer x = b.buffer("x", Type::f32, BufferAccess::read);
  const Scalar n = b.parameter("n");
  b.load(x, Span{0, {}, n, false});
  EXPECT_THAT(error({5}), HasSubstr("count 5; expected 0 … 4"));
}

TEST_F(InterpreterErrors, NegativeCount) {
  const Pointer x = b.buffer("x", Type::f32, BufferAccess::write);
  const Scalar n = b.parameter("n");
  b.store(x, Span{0, {}, n, false}, b.iota());
  EXPECT_THAT(error({-1}), HasSubstr("count -1; expected 0 … 4"));
}

TEST_F(InterpreterErrors, MisalignedStream) {
  const Pointer x = b.buffer("x", Type::f32, BufferAccess::write);
  b.store_stream(x, Span{}, b.iota());
  EXPECT_THAT(error({}, 4), HasSubstr("offset 4 of its buffer, is not a multiple of 16"));
}

TEST_F(InterpreterErrors, ValueOutsideTheDeclaredRange) {
  const Pointer x = b.buffer("x", Type::i8, BufferAccess::read, -127, 127);
  b.load_group(x, 8);
  memory[1] = 0x00008000;
  EXPECT_THAT(
      error(),
      HasSubstr("reads -128 at offset 5 of buffer 'x', whose declared range is -127 … 127"));
}

TEST_F(InterpreterErrors, RangesHoldForEveryIntegerType) {
  for (const Type type :
       {Type::i8, Type::u8, Type::i16, Type::u16, Type::i32, Type::u32, Type::i64}) {
    Builder builder("ranged", *parse_target("sse"));
    Pointer x = builder.buffer("x", type, BufferAccess::read, 1, 2);
    x.type = Type::i32;
    builder.load(x, Span{});
    const Program ranged = builder.finish();
    memory.fill(0);
    const std::array<BufferView, 1> views{
        BufferView{reinterpret_cast<std::byte*>(memory.data()), 64, 0}};
    const auto trace = interpret(ranged, views, {});
    ASSERT_FALSE(trace) << name(type);
    EXPECT_THAT(trace.error().message, HasSubstr("reads 0 at offset 0")) << name(type);
  }
}

TEST_F(InterpreterErrors, PartOfAnElementOfADeclaredRange) {
  Pointer x = b.buffer("x", Type::i16, BufferAccess::read, 0, 1);
  x.type = Type::i8;
  b.load_splat(x, 1);
  EXPECT_THAT(error(), HasSubstr("not whole i16 elements"));
}

TEST_F(InterpreterErrors, DivisionByZero) {
  b.buffer("x", Type::f32, BufferAccess::read);
  const Scalar n = b.parameter("n");
  b.div(n, n);
  EXPECT_THAT(error({0}), AllOf(HasSubstr("'%s1 = sdiv %s0, %s0'"), HasSubstr("divides by zero")));
}

TEST_F(InterpreterErrors, QuotientThatDoesNotFit) {
  b.buffer("x", Type::f32, BufferAccess::read);
  const Scalar n = b.parameter("n");
  b.div(n, -1);
  EXPECT_THAT(error({INT64_MIN}), HasSubstr("does not fit an i64"));
}

TEST_F(InterpreterErrors, ScaleByAFractionOrTooMuch) {
  b.buffer("x", Type::f32, BufferAccess::read);
  const Vec one = b.constant(1.0F);
  b.scale(one, b.constant(0.5F));
  EXPECT_THAT(error(), HasSubstr("exponent 0.5 in lane 0; expected an integral value"));
}

TEST_F(InterpreterErrors, ScaleBeyondTheRange) {
  b.buffer("x", Type::f32, BufferAccess::read);
  const Vec one = b.constant(1.0F);
  b.scale(one, b.constant(255.0F));
  EXPECT_THAT(error(), HasSubstr("exponent 255 in lane 0"));
}

TEST_F(InterpreterErrors, EndlessLoop) {
  b.buffer("x", Type::f32, BufferAccess::read);
  b.loop(0, INT64_MAX, 1, [](Scalar) {});
  options.instruction_limit = 1000;
  EXPECT_THAT(error(), HasSubstr("stopped after 0 instructions"));
  EXPECT_EQ(code, ErrorCode::resource_exhausted);
}

TEST_F(InterpreterErrors, WrongNumberOfArguments) {
  b.buffer("x", Type::f32, BufferAccess::read);
  EXPECT_THAT(error({1, 2}), HasSubstr("takes 1 buffers and 0 parameters; got 1 and 2"));
  EXPECT_EQ(code, ErrorCode::invalid_argument);
}

TEST_F(InterpreterErrors, NullBufferWithBytes) {
  b.buffer("x", Type::f32, BufferAccess::read);
  const auto trace =
      interpret(b.finish(), std::array<BufferView, 1>{BufferView{nullptr, 4, 0}}, {});
  ASSERT_FALSE(trace);
  EXPECT_THAT(trace.error().message, HasSubstr("buffer 'x' is null with 4 bytes"));
}

TEST_F(InterpreterErrors, NullBufferThatIsRead) {
  const Pointer x = b.buffer("x", Type::f32, BufferAccess::read);
  b.load_splat(x);
  const auto trace = interpret(b.finish(), std::array<BufferView, 1>{}, {});
  ASSERT_FALSE(trace);
  EXPECT_THAT(trace.error().message, HasSubstr("'x', which has 0 bytes"));
}

}  // namespace
}  // namespace lathe::ir::program
