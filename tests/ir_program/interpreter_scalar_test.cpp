// Scalars, pointers, loops and branches.
#include <array>

#include "tests/ir_program/run_op.h"

namespace lathe::ir::program {
namespace {

constexpr int64_t kLeast = INT64_MIN, kMost = INT64_MAX;

// The value of a scalar that `body` makes, through two 32-bit halves in memory.
template <typename F>
int64_t scalar_of(std::vector<int64_t> parameters, F body) {
  Builder b("scalar", *parse_target("scalar"));
  const Pointer out = b.buffer("out", Type::f32, BufferAccess::write);
  std::vector<Scalar> inputs;
  for (size_t i = 0; i < parameters.size(); ++i)
    inputs.push_back(b.parameter(std::string(1, static_cast<char>('a' + i))));
  const Scalar result = body(b, inputs);
  const auto store_low = [&](Scalar value, int64_t at) {
    Instr splat{.op = Op::vsplat};
    splat.src[0] = value.reg;
    Vec v;
    v.reg = b.emit(splat);
    v.builder = &b;
    b.store(out, Span{at, {}, 0, true}, v);
  };
  store_low(result, 0);
  Instr high{.op = Op::sshr};
  high.src[0] = result.reg;
  high.imm = 32;
  Scalar upper;
  upper.reg = b.emit(high);
  store_low(upper, 1);
  const Lanes words = run_program(b.finish(), {}, 2, std::move(parameters));
  return static_cast<int64_t>(uint64_t{words[1]} << 32 | words[0]);
}

int64_t binary(Op op, int64_t a, int64_t b) {
  const auto with = [op](Builder& builder, Scalar left, Operand right) {
    Instr instr{.op = op};
    instr.src[0] = left.reg;
    instr.scalar = right;
    Scalar result;
    result.reg = builder.emit(instr);
    return result;
  };
  const int64_t by_register = scalar_of(
      {a, b}, [&](Builder& builder, auto& in) { return with(builder, in[0], {in[1].reg, 0}); });
  const int64_t by_immediate =
      scalar_of({a}, [&](Builder& builder, auto& in) { return with(builder, in[0], {{}, b}); });
  EXPECT_EQ(by_register, by_immediate);
  return by_register;
}

int64_t shifted(Op op, int64_t a, int64_t bits) {
  return scalar_of({a}, [&](Builder& b, auto& in) {
    Instr instr{.op = op};
    instr.src[0] = in[0].reg;
    instr.imm = bits;
    Scalar result;
    result.reg = b.emit(instr);
    return result;
  });
}

TEST(InterpreterScalar, Arithmetic) {
  EXPECT_EQ(binary(Op::sadd, 5, -7), -2);
  EXPECT_EQ(binary(Op::sadd, kMost, 1), kLeast);
  EXPECT_EQ(binary(Op::ssub, kLeast, 1), kMost);
  EXPECT_EQ(binary(Op::smul, 1'000'000'007, -3), -3'000'000'021);
  EXPECT_EQ(binary(Op::smul, kMost, 2), -2);
  EXPECT_EQ(binary(Op::smin, -1, 1), -1);
  EXPECT_EQ(binary(Op::smax, -1, 1), 1);
  EXPECT_EQ(binary(Op::sand, -1, 0xFF00FF00FF), 0xFF00FF00FF);
}

TEST(InterpreterScalar, DivisionGoesTowardsZero) {
  EXPECT_EQ(binary(Op::sdiv, 7, 2), 3);
  EXPECT_EQ(binary(Op::sdiv, -7, 2), -3);
  EXPECT_EQ(binary(Op::sdiv, 7, -2), -3);
  EXPECT_EQ(binary(Op::sdiv, kLeast, 1), kLeast);
}

TEST(InterpreterScalar, Shifts) {
  EXPECT_EQ(shifted(Op::sshl, 3, 62), int64_t{3} << 62);
  EXPECT_EQ(shifted(Op::sshl, -1, 63), kLeast);
  EXPECT_EQ(shifted(Op::sshr, -8, 2), -2);
  EXPECT_EQ(shifted(Op::sshr, kLeast, 63), -1);
}

TEST(InterpreterScalar, ConstantsAndCopies) {
  EXPECT_EQ(scalar_of({}, [](Builder& b, auto&) { return b.scalar(kLeast); }), kLeast);
  EXPECT_EQ(scalar_of({kMost}, [](Builder& b, auto& in) { return b.copy(in[0]); }), kMost);
}

TEST(InterpreterScalar, LoadsOfEveryWidth) {
  const Lanes memory{0x84838281, 0x88878685};
  const auto loaded = [&](int64_t imm, int64_t offset) {
    Builder b("sload", *parse_target("scalar"));
    const Pointer x = b.buffer("x", Type::u8, BufferAccess::read);
    const Pointer out = b.buffer("out", Type::i32, BufferAccess::write);
    Instr load{.op = Op::sload};
    load.imm = imm;
    load.address.pointer = x.reg;
    load.address.offset = offset;
    Instr high{.op = Op::sshr};
    high.imm = 32;
    high.src[0] = b.emit(load);
    Instr splat{.op = Op::vsplat};
    for (int64_t at = 0; at < 2; ++at) {
      splat.src[0] = at == 0 ? high.src[0] : b.emit(high);
      Vec v;
      v.reg = b.emit(splat);
      b.store(out, Span{at, {}, 0, true}, v);
    }
    const Lanes words = run_program(b.finish(), {memory}, 2);
    return uint64_t{words[1]} << 32 | words[0];
  };
  EXPECT_EQ(loaded(1, 1), 0x82U);
  EXPECT_EQ(loaded(-1, 1), 0xFFFFFFFFFFFFFF82U);
  EXPECT_EQ(loaded(2, 1), 0x8382U);
  EXPECT_EQ(loaded(-2, 1), 0xFFFFFFFFFFFF8382U);
  EXPECT_EQ(loaded(4, 2), 0x86858483U);
  EXPECT_EQ(loaded(-4, 2), 0xFFFFFFFF86858483U);
  EXPECT_EQ(loaded(8, 0), 0x8887868584838281U);
  EXPECT_EQ(loaded(-8, 0), 0x8887868584838281U);
}

TEST(InterpreterScalar, FromMasksAndLanes) {
  for (const Target& target : all_targets()) {
    Builder b("bits", target);
    const Pointer out = b.buffer("out", Type::i32, BufferAccess::write);
    const Mask odd =
        b.compare_int(Compare::ne, b.bit_and(b.iota(), b.constant_bits(1)), b.constant_bits(0));
    Instr bits{.op = Op::sbits};
    bits.src[0] = odd.reg;
    Instr lane{.op = Op::slane};
    lane.src[0] = b.int_op(Op::isub, b.constant_bits(0), b.iota()).reg;
    lane.imm = target.lanes - 1;
    Instr splat{.op = Op::vsplat};
    int64_t at = 0;
    for (const Instr& instr : {bits, lane}) {
      splat.src[0] = b.emit(instr);
      Vec v;
      v.reg = b.emit(splat);
      b.store(out, Span{at, {}, 0, true}, v);
      at += target.lanes;
    }
    const auto n = static_cast<size_t>(target.lanes);
    const Lanes words = run_program(b.finish(), {}, 2 * n);
    EXPECT_EQ(words[0], 0xAAAAAAAAU & ((1U << target.lanes) - 1));
    EXPECT_EQ(words[n], static_cast<uint32_t>(1 - target.lanes));
  }
}

TEST(InterpreterScalar, MisalignmentIsOfTheRealAddress) {
  Builder b("misaligned", *parse_target("scalar"));
  const Pointer out = b.buffer("out", Type::i32, BufferAccess::write);
  Instr splat{.op = Op::vsplat};
  splat.src[0] = b.misaligned(out, 64).reg;
  Vec v;
  v.reg = b.emit(splat);
  b.store(out, Span{}, v);
  const Program program = b.finish();
  alignas(64) std::array<uint32_t, 16> memory{};
  const std::array<BufferView, 1> views{
      BufferView{reinterpret_cast<std::byte*>(memory.data()), 64, 20}};
  ASSERT_TRUE(interpret(program, views, {}));
  EXPECT_EQ(memory[5], 20U);
}

// Counts the trips of a loop.
int64_t trips(int64_t begin, int64_t end, int64_t step) {
  return scalar_of({begin, end}, [&](Builder& b, auto& in) {
    const Scalar count = b.scalar(0);
    b.loop(in[0], in[1], step, [&](Scalar) { b.set(count, b.add(count, 1)); });
    return count;
  });
}

TEST(InterpreterScalar, Loops) {
  EXPECT_EQ(trips(0, 0, 1), 0);
  EXPECT_EQ(trips(5, 3, 1), 0);
  EXPECT_EQ(trips(0, 3, 1), 3);
  EXPECT_EQ(trips(0, 7, 3), 3);
  EXPECT_EQ(trips(-4, 4, 8), 1);
  EXPECT_EQ(trips(kMost - 1, kMost, 5), 1);  // the counter would overflow: the loop ends
}

TEST(InterpreterScalar, LoopBoundsAreReadOnce) {
  EXPECT_EQ(scalar_of({3},
                      [](Builder& b, auto& in) {
                        const Scalar end = b.copy(in[0]), count = b.scalar(0);
                        b.loop(0, end, 1, [&](Scalar) {
                          b.set(end, b.add(end, 1));
                          b.set(count, b.add(count, 1));
                        });
                        return count;
                      }),
            3);
}

TEST(InterpreterScalar, NestedLoopsKeepTheirBounds) {
  EXPECT_EQ(scalar_of({4},
                      [](Builder& b, auto& in) {
                        const Scalar sum = b.scalar(0);
                        b.loop(0, in[0], 1, [&](Scalar i) {
                          b.loop(0, i, 1, [&](Scalar j) { b.set(sum, b.add(sum, j)); });
                        });
                        return sum;
                      }),
            0 + 0 + 1 + 3);
}

TEST(InterpreterScalar, Branches) {
  const auto taken = [](Compare compare, int64_t a, int64_t b_value) {
    return scalar_of({a, b_value}, [&](Builder& b, auto& in) {
      const Scalar result = b.scalar(0);
      b.branch(
          compare, in[0], in[1], [&] { b.set(result, b.copy(b.scalar(1))); },
          [&] { b.set(result, b.copy(b.scalar(2))); });
      return result;
    });
  };
  EXPECT_EQ(taken(Compare::lt, -1, 1), 1);
  EXPECT_EQ(taken(Compare::lt, 1, 1), 2);
  EXPECT_EQ(taken(Compare::le, 1, 1), 1);
  EXPECT_EQ(taken(Compare::eq, 1, 1), 1);
  EXPECT_EQ(taken(Compare::eq, 1, 2), 2);
  EXPECT_EQ(taken(Compare::ne, 1, 2), 1);
  EXPECT_EQ(taken(Compare::ge, kLeast, kMost), 2);
  EXPECT_EQ(taken(Compare::gt, kMost, kLeast), 1);
}

TEST(InterpreterScalar, BranchWithoutOtherwise) {
  const auto run = [](int64_t a) {
    return scalar_of({a}, [](Builder& b, auto& in) {
      const Scalar result = b.scalar(0);
      b.branch(Compare::gt, in[0], 0, [&] { b.set(result, b.copy(in[0])); });
      return result;
    });
  };
  EXPECT_EQ(run(5), 5);
  EXPECT_EQ(run(-5), 0);
}

}  // namespace
}  // namespace lathe::ir::program
