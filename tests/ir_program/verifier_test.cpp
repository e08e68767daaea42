// One broken rule a test; each is named with its instruction.
#include "ir/program/verifier.h"

#include <gmock/gmock.h>

#include "tests/ir_program/run_op.h"

namespace lathe::ir::program {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class VerifierTest : public testing::Test {
 protected:
  VerifierTest() : b("wrong", *parse_target("sse")) {
    in = b.buffer("in", Type::f32, BufferAccess::read);
    out = b.buffer("out", Type::f32, BufferAccess::write);
    n = b.parameter("n");
  }

  static std::string error_of(const Program& program) {
    const Status status = verify(program);
    if (status) return "(verifies)";
    EXPECT_EQ(status.error().code, ErrorCode::verify_error);
    return status.error().message;
  }
  std::string error() { return error_of(b.finish()); }

  // The last instruction, to break.
  Instr& last() { return *b.last(); }

  Builder b;
  Pointer in, out;
  Scalar n;
};

TEST_F(VerifierTest, AcceptsARealProgram) {
  b.loop(0, n, 1, [&](Scalar) {
    b.vectors(7, [&](const Span& at) { b.store(out, at, b.load(in, at) * 2.0F); });
    b.advance(in, 28);
    b.advance(out, 28);
  });
  EXPECT_EQ(error(), "(verifies)");
}

TEST_F(VerifierTest, UnknownOp) {
  b.iota();
  b.scalar(1);
  last().op = static_cast<Op>(250);
  EXPECT_THAT(error(), HasSubstr("op number 250 does not exist"));
}

TEST_F(VerifierTest, MissingSource) {
  const Vec first = b.load(in, Span{});
  b.add(first, b.load(in, Span{}));
  last().src[1] = Reg{};
  EXPECT_THAT(error(), AllOf(HasSubstr("'%v2 = fadd %v0, %?'"),
                             HasSubstr("source 1 is missing; expected a vector register")));
}

TEST_F(VerifierTest, SourceOfAnotherClass) {
  b.copy(b.load(in, Span{}));
  last().src[0] = n.reg;
  EXPECT_THAT(error(), HasSubstr("source 0 %s0 is a scalar register; expected a vector register"));
}

TEST_F(VerifierTest, SourceThatTheOpDoesNotTake) {
  const Vec v = b.load(in, Span{});
  b.copy(v);
  last().src[1] = v.reg;
  EXPECT_THAT(error(), HasSubstr("has a source 1; vmov takes 1"));
}

TEST_F(VerifierTest, RegisterBeyondTheProgramsOwn) {
  b.copy(b.load(in, Span{}));
  last().src[0].id = 77;
  EXPECT_THAT(error(), HasSubstr("%v77: the program declares only 2 vector registers"));
}

TEST_F(VerifierTest, MissingResult) {
  b.copy(b.load(in, Span{}));
  last().dst = Reg{};
  EXPECT_THAT(error(), HasSubstr("the result is missing"));
}

TEST_F(VerifierTest, ResultOfAnotherClass) {
  b.copy(b.load(in, Span{}));
  last().dst = n.reg;
  EXPECT_THAT(error(), HasSubstr("the result %s0 is a scalar register"));
}

TEST_F(VerifierTest, ResultOfAStore) {
  const Vec v = b.load(in, Span{});
  b.store(out, Span{}, v);
  last().dst = v.reg;
  EXPECT_THAT(error(), HasSubstr("has a result %v0; store has none"));
}

TEST_F(VerifierTest, ReadBeforeItIsWritten) {
  b.store(out, Span{}, b.vector());
  EXPECT_THAT(error(), HasSubstr("source 0 %v0 is read before it is written on every path"));
}

TEST_F(VerifierTest, WrittenOnOnePathOnly) {
  const Vec v = b.vector();
  b.branch(Compare::lt, n, 4, [&] { b.set(v, b.load(in, Span{})); });
  b.store(out, Span{}, v);
  EXPECT_THAT(error(), HasSubstr("%v0 is read before it is written on every path"));
}

TEST_F(VerifierTest, WrittenOnBothPaths) {
  const Vec v = b.vector();
  b.branch(
      Compare::lt, n, 4, [&] { b.set(v, b.load(in, Span{})); },
      [&] { b.set(v, b.load_splat(in)); });
  b.store(out, Span{}, v);
  EXPECT_EQ(error(), "(verifies)");
}

TEST_F(VerifierTest, WrittenInALoopThatMayNotRun) {
  const Vec v = b.vector();
  b.loop(0, n, 1, [&](Scalar) { b.set(v, b.load(in, Span{})); });
  b.store(out, Span{}, v);
  EXPECT_THAT(error(), HasSubstr("%v0 is read before it is written on every path"));
}

TEST_F(VerifierTest, WrittenInALoopThatSurelyRuns) {
  const Vec v = b.vector();
  b.loop(0, 3, 1, [&](Scalar) { b.set(v, b.load(in, Span{})); });
  b.store(out, Span{}, v);
  EXPECT_EQ(error(), "(verifies)");
}

TEST_F(VerifierTest, CounterReadAfterItsLoop) {
  Scalar kept;
  b.loop(0, 3, 1, [&](Scalar i) { kept = i; });
  b.copy(kept);
  EXPECT_THAT(error(), HasSubstr("source 0 %s1 is read before it is written"));
}

TEST_F(VerifierTest, CounterWrittenInItsLoop) {
  b.loop(0, 3, 1, [&](Scalar i) { b.set(i, b.add(i, 1)); });
  EXPECT_THAT(error(), HasSubstr("writes %s1, the counter of a loop around it"));
}

TEST_F(VerifierTest, CounterOfTwoNestedLoops) {
  b.loop(0, 3, 1, [&](Scalar) { b.loop(0, 2, 1, [](Scalar) {}); });
  Program program = b.finish();
  auto& outer = std::get<Loop>(program.body[0].value);
  std::get<Loop>(outer.body[0].value).counter = outer.counter;
  EXPECT_THAT(error_of(program), HasSubstr("'loop %s1': writes %s1, the counter"));
}

TEST_F(VerifierTest, CounterThatIsNoScalar) {
  b.loop(0, 3, 1, [](Scalar) {});
  Program program = b.finish();
  std::get<Loop>(program.body[0].value).counter = in.reg;
  EXPECT_THAT(error_of(program), HasSubstr("the counter %p0 is a pointer register"));
}

TEST_F(VerifierTest, StepOfZero) {
  b.loop(0, 3, 0, [](Scalar) {});
  EXPECT_THAT(error(), HasSubstr("step 0; expected at least 1"));
}

TEST_F(VerifierTest, LoopBoundThatIsNotWritten) {
  Scalar end;
  end.reg = {RegClass::scalar, 1};
  b.loop(0, end, 1, [](Scalar) {});
  EXPECT_THAT(error(), HasSubstr("end %s1 is read before it is written"));
}

TEST_F(VerifierTest, BranchOnAVector) {
  b.branch(Compare::lt, n, 4, [] {});
  Program program = b.finish();
  std::get<Branch>(program.body[0].value).left = {RegClass::vector, 0};
  EXPECT_THAT(error_of(program), HasSubstr("the left side %v0 is a vector register"));
}

TEST_F(VerifierTest, BranchOnNoComparison) {
  b.branch(static_cast<Compare>(6), n, 4, [] {});
  EXPECT_THAT(error(), HasSubstr("comparison 6; expected 0 … 5"));
}

TEST_F(VerifierTest, LoadFromAWriteOnlyBuffer) {
  b.load(out, Span{});
  EXPECT_THAT(error(), HasSubstr("reads buffer 'out', which is write-only"));
}

TEST_F(VerifierTest, StoreToAReadOnlyBuffer) {
  b.store(in, Span{}, b.iota());
  EXPECT_THAT(error(), HasSubstr("writes buffer 'in', which is read-only"));
}

TEST_F(VerifierTest, AccessThroughAMovedPointer) {
  b.load(b.offset(out, 4), Span{});
  EXPECT_THAT(error(), HasSubstr("reads buffer 'out'"));
}

TEST_F(VerifierTest, PointerIntoTwoBuffers) {
  const Pointer p = b.copy(in);
  b.offset(out, 0);
  last().dst = p.reg;
  EXPECT_THAT(error(), HasSubstr("points into buffer 'in' elsewhere, but here into 'out'"));
}

TEST_F(VerifierTest, AddressWithoutAPointer) {
  b.load(in, Span{});
  last().address.pointer = Reg{};
  EXPECT_THAT(error(), HasSubstr("the address is missing"));
}

TEST_F(VerifierTest, IndexThatIsNotWritten) {
  b.load(in, Span{});
  last().address.index = {RegClass::scalar, 9};
  EXPECT_THAT(error(), HasSubstr("the index %s9"));
}

TEST_F(VerifierTest, ScaleOfThree) {
  b.load(in, Span{0, n, 0, true});
  last().address.scale = 3;
  EXPECT_THAT(error(), HasSubstr("scale 3; expected 1, 2, 4 or 8"));
}

TEST_F(VerifierTest, OffsetBeyond32Bits) {
  b.load(in, Span{int64_t{1} << 29, {}, 0, true});
  EXPECT_THAT(error(), HasSubstr("offset 2147483648 does not fit 32 bits"));
}

TEST_F(VerifierTest, ConstantBeyond32Bits) {
  b.copy(b.iota());
  Instr instr{.op = Op::vconst};
  instr.imm = -1;
  b.emit(instr);
  EXPECT_THAT(error(), HasSubstr("bits -1; expected 0 … 4294967295"));
}

TEST_F(VerifierTest, VectorShiftOf32) {
  b.shift(Op::ishl, b.iota(), 32);
  EXPECT_THAT(error(), HasSubstr("shift 32; expected 0 … 31"));
}

TEST_F(VerifierTest, ScalarShiftOf64) {
  b.copy(n);
  last().op = Op::sshr;
  last().imm = 64;
  EXPECT_THAT(error(), HasSubstr("shift 64; expected 0 … 63"));
}

TEST_F(VerifierTest, VectorComparison) {
  b.compare(static_cast<Compare>(9), b.iota(), b.iota());
  EXPECT_THAT(error(), HasSubstr("comparison 9; expected 0 … 5"));
}

TEST_F(VerifierTest, PrefetchLevel) {
  b.prefetch(in, 0, 4);
  EXPECT_THAT(error(), HasSubstr("prefetch level 4; expected 0 … 3"));
}

TEST_F(VerifierTest, LaneBeyondTheVector) {
  Instr instr{.op = Op::slane};
  instr.src[0] = b.iota().reg;
  instr.imm = 4;
  b.emit(instr);
  EXPECT_THAT(error(), HasSubstr("lane 4; expected 0 … 3"));
}

TEST_F(VerifierTest, GroupOfTwelveBytes) {
  b.load_group(in, 12);
  EXPECT_THAT(error(), HasSubstr("group of 12 bytes; expected 8 or 16"));
}

TEST_F(VerifierTest, IntegerOfThreeBytes) {
  Pointer bytes = in;
  bytes.type = Type::i8;
  b.load_integer(bytes);
  last().imm = -3;
  EXPECT_THAT(error(), HasSubstr("integer of -3 bytes; expected ±1, ±2, ±4 or ±8"));
}

TEST_F(VerifierTest, ModulusThatIsNoPowerOfTwo) {
  b.misaligned(in, 24);
  EXPECT_THAT(error(), HasSubstr("modulus 24; expected a power of two"));
}

TEST_F(VerifierTest, ConstantCountBeyondTheVector) {
  b.load(in, Span{0, {}, 5, false});
  EXPECT_THAT(error(), HasSubstr("count 5; expected 0 … 4"));
}

TEST_F(VerifierTest, DivisionByAConstantZero) {
  b.div(n, 0);
  EXPECT_THAT(error(), HasSubstr("divides by zero"));
}

TEST_F(VerifierTest, StreamOfHalves) {
  b.store_stream(out, Span{}, b.iota());
  last().memory = MemoryType::f16;
  EXPECT_THAT(error(), HasSubstr("streams f16; only raw32 can be streamed"));
}

TEST_F(VerifierTest, PatternOfTheWrongLength) {
  b.permute(b.iota(), {0, 1, 2});
  EXPECT_THAT(error(), HasSubstr("pattern of 3 lanes; the target has 4"));
}

TEST_F(VerifierTest, PatternBeyondOneVector) {
  b.permute(b.iota(), {0, 1, 2, 4});
  EXPECT_THAT(error(), HasSubstr("pattern names lane 4; expected 0 … 3"));
}

TEST_F(VerifierTest, PatternBeyondTwoVectors) {
  b.shuffle(b.iota(), b.iota(), {0, 1, 7, 8});
  EXPECT_THAT(error(), HasSubstr("pattern names lane 8; expected 0 … 7"));
}

TEST_F(VerifierTest, TableOfFourWords) {
  b.lookup8(b.iota(), {});
  last().pattern.resize(16);
  EXPECT_THAT(error(), HasSubstr("table of 16 bytes; expected 32"));
}

TEST_F(VerifierTest, TargetOfTwoLanes) {
  Program program = b.finish();
  program.target.lanes = 2;
  EXPECT_THAT(error_of(program), HasSubstr("target of 2 lanes; expected 1, 4, 8 or 16"));
}

TEST_F(VerifierTest, TwoArgumentsOfOneName) {
  b.parameter("in");
  EXPECT_THAT(error(), HasSubstr("two arguments are named 'in'"));
}

TEST_F(VerifierTest, TwoBuffersOfOnePointer) {
  Program program = b.finish();
  program.buffers[1].pointer = in.reg;
  EXPECT_THAT(error_of(program), HasSubstr("buffer 'out' needs a pointer register of its own"));
}

TEST_F(VerifierTest, TwoParametersOfOneScalar) {
  b.parameter("m");
  Program program = b.finish();
  program.parameters[1].reg = n.reg;
  EXPECT_THAT(error_of(program), HasSubstr("parameter 'm' needs a scalar register of its own"));
}

TEST_F(VerifierTest, RangeBeyondTheType) {
  b.buffer("bytes", Type::u8, BufferAccess::read, -1, 255);
  EXPECT_THAT(error(), HasSubstr("buffer 'bytes': range -1 … 255 is not one of u8 elements"));
}

TEST_F(VerifierTest, RangeOfFloats) {
  b.buffer("floats", Type::f32, BufferAccess::read, 0, 1);
  EXPECT_THAT(error(), HasSubstr("range 0 … 1 is not one of f32 elements"));
}

TEST_F(VerifierTest, EmptyRange) {
  b.buffer("bytes", Type::u8, BufferAccess::read, 5, 4);
  EXPECT_THAT(error(), HasSubstr("range 5 … 4 is not one of u8 elements"));
}

}  // namespace
}  // namespace lathe::ir::program
