// f32 instructions and conversions against values worked out by hand.
#include "tests/ir_program/run_op.h"

namespace lathe::ir::program {
namespace {

constexpr float kMinNormal = 0x1p-126F;

TEST(InterpreterFloat, Constants) {
  for (const Target& target : all_targets()) {
    EXPECT_EQ(run_op(target, Op::vconst, {}, 0xC0490FDB), Lanes(16, 0xC0490FDBU));
    const Lanes iota = run_op(target, Op::viota, {});
    for (size_t i = 0; i < 16; ++i) EXPECT_EQ(iota[i], i % static_cast<size_t>(target.lanes));
  }
}

TEST(InterpreterFloat, MovesKeepTheBits) {
  expect_op(Op::vmov, {Lanes{0x7F800001, 0xFFC12345, 0x80000000, 1}},
            {0x7F800001, 0xFFC12345, 0x80000000, 1});
}

TEST(InterpreterFloat, Add) {
  expect_op(Op::fadd,
            {floats({1, 0x1p24F, 0x1p24F, -0.0F, 0.0F, kMax, kInf, kNan, kDenormal}),
             floats({2, 1, 3, -0.0F, -0.0F, kMax, -kInf, 1, kDenormal})},
            floats({3, 0x1p24F, 0x1p24F + 4, -0.0F, 0.0F, kInf, kNan, kNan, 2 * kDenormal}));
}

TEST(InterpreterFloat, Sub) {
  expect_op(
      Op::fsub,
      {floats({1, 1, -0.0F, kInf, kMinNormal}), floats({2, 1, 0.0F, kInf, kMinNormal - kDenormal})},
      floats({-1, 0.0F, -0.0F, kNan, kDenormal}));
}

TEST(InterpreterFloat, Mul) {
  expect_op(Op::fmul,
            {floats({3, -0.0F, kInf, kDenormal, kMinNormal, kMax, kNan}),
             floats({-2, 5, 0, 0.5F, 0.5F, 2, 0})},
            // 2^-149 * 0.5 is a tie between 0 and 2^-149: to even.
            floats({-6, -0.0F, kNan, 0, 0x1p-127F, kInf, kNan}));
}

TEST(InterpreterFloat, Div) {
  expect_op(Op::fdiv, {floats({1, 1, -1, 0, kInf, 1, kNan}), floats({3, 0, 0, 0, kInf, kInf, 1})},
            floats({0x1.555556p-2F, kInf, -kInf, kNan, kNan, 0, kNan}));
}

// a * a = 1 + 2^-11 + 2^-24: the last bit is lost where the product is rounded by itself.
TEST(InterpreterFloat, MultiplyAddRoundsOnceOnlyWhereFused) {
  const float a = 1 + 0x1p-12F, square = 1 + 0x1p-11F;
  for (const Target& target : all_targets()) {
    const float rest = target.fused ? 0x1p-24F : 0.0F;
    EXPECT_EQ(run_op(target, Op::fma, {floats({a}), floats({a}), floats({-square})}),
              floats({rest}));
    EXPECT_EQ(run_op(target, Op::fms, {floats({a}), floats({a}), floats({square})}),
              floats({rest}));
    EXPECT_EQ(run_op(target, Op::fnma, {floats({a}), floats({a}), floats({square})}),
              floats({target.fused ? -rest : 0.0F}));
  }
}

TEST(InterpreterFloat, MultiplyAddSigns) {
  const Input a = floats({2, kInf, 0, kNan}), b = floats({3, 0, 1, 1}),
              c = floats({10, 1, -0.0F, 1});
  expect_op(Op::fma, {a, b, c}, floats({16, kNan, 0.0F, kNan}));
  expect_op(Op::fms, {a, b, c}, floats({-4, kNan, 0.0F, kNan}));
  expect_op(Op::fnma, {a, b, c}, floats({4, kNan, -0.0F, kNan}));
}

TEST(InterpreterFloat, MinAndMaxGiveTheSecondForNanAndZeros) {
  const Input a = floats({1, 2, kNan, 1, 0.0F, -0.0F, -kInf});
  const Input b = floats({2, 1, 3, kNan, -0.0F, 0.0F, kInf});
  expect_op(Op::fmin, {a, b}, floats({1, 1, 3, kNan, -0.0F, 0.0F, -kInf}));
  expect_op(Op::fmax, {a, b}, floats({2, 2, 3, kNan, -0.0F, 0.0F, kInf}));
}

TEST(InterpreterFloat, Sqrt) {
  expect_op(Op::fsqrt, {floats({4, 2, -0.0F, -1, kInf, kNan, 0x1p-149F})},
            floats({2, 0x1.6a09e6p+0F, -0.0F, kNan, kInf, kNan, 0x1.6a09e6p-75F}));
}

TEST(InterpreterFloat, ApproximationsAreNearEnough) {
  for (const Target& target : all_targets()) {
    for (float x = 0x1p-100F; x < 0x1p100F; x *= 1.37F) {
      const auto value = [&](Op op) {
        return double{std::bit_cast<float>(run_op(target, op, {floats({x})})[0])};
      };
      EXPECT_NEAR(value(Op::frecip) * x, 1, 1.5 * 0x1p-12);
      EXPECT_NEAR(value(Op::frsqrt) * std::sqrt(double{x}), 1, 1.5 * 0x1p-12);
    }
  }
}

TEST(InterpreterFloat, ApproximationsOfZeroAndInfinity) {
  expect_op(Op::frecip, {floats({0.0F, -0.0F, kInf, -kInf, kNan})},
            floats({kInf, -kInf, 0.0F, -0.0F, kNan}));
  expect_op(Op::frsqrt, {floats({0.0F, -0.0F, kInf, -1, kNan})},
            floats({kInf, -kInf, 0.0F, kNan, kNan}));
}

TEST(InterpreterFloat, RoundToIntegral) {
  const Input a = floats({0.5F, 1.5F, 2.5F, -0.5F, -0.3F, 2.7F, -2.7F, 0x1.fffffep22F, 0x1p23F,
                          kInf, kNan, kDenormal});
  expect_op(Op::fround, {a},
            floats({0, 2, 2, -0.0F, -0.0F, 3, -3, 0x1p23F, 0x1p23F, kInf, kNan, 0}));
  expect_op(Op::ftrunc, {a},
            floats({0, 1, 2, -0.0F, -0.0F, 2, -2, 0x1.fffffcp22F, 0x1p23F, kInf, kNan, 0}));
}

TEST(InterpreterFloat, ScaleRoundsOnce) {
  expect_op(Op::fscale,
            {floats({1, 1, 3, kMax, 1, kInf, kNan, 0x1.000002p0F, 0x1.8p0F, 0x1p127F, -0.0F, 1}),
             floats({10, -149, -1, 1, 254, -252, 0, -127, -149, -252, 254, kNan})},
            floats({1024, kDenormal, 1.5F, kInf, kInf, kInf, kNan, 0x1p-127F, 2 * kDenormal,
                    0x1p-125F, -0.0F, kNan}));
}

TEST(InterpreterFloat, RoundToHalf) {
  expect_op(Op::round_f16,
            {floats({1, 1 + 0x1p-11F, 1 + 0x1.8p-11F, 65519, 65520, 0x1p-24F, 0x1p-25F, 0x1.8p-25F,
                     -0.0F, kInf, kNan})},
            floats({1, 1, 1 + 0x1p-10F, 65504, kInf, 0x1p-24F, 0, 0x1p-24F, -0.0F, kInf, kNan}));
}

TEST(InterpreterFloat, RoundToBrain) {
  expect_op(Op::round_bf16,
            {floats({1, 1 + 0x1p-8F, 1 + 0x1.8p-8F, kMax, kDenormal, -0.0F, -kInf, kNan})},
            floats({1, 1, 1 + 0x1p-7F, kInf, 0, -0.0F, -kInf, kNan}));
}

TEST(InterpreterFloat, ToInt) {
  expect_op(
      Op::f2i,
      {floats({0.5F, 1.5F, -2.5F, 0x1.fffffep30F, 0x1p31F, -0x1p31F, -0x1.000002p31F, kNan, kInf})},
      {0, 2, static_cast<uint32_t>(-2), 0x7FFFFF80, 0x80000000, 0x80000000, 0x80000000, 0x80000000,
       0x80000000});
}

TEST(InterpreterFloat, FromInt) {
  expect_op(Op::i2f, {Lanes{0, 1, 0xFFFFFFFF, 0x01000001, 0x01000003, 0x7FFFFFFF, 0x80000000}},
            floats({0, 1, -1, 0x1p24F, 0x1p24F + 4, 0x1p31F, -0x1p31F}));
}

}  // namespace
}  // namespace lathe::ir::program
