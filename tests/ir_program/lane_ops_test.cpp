// Lane arithmetic against the C library's, over many bit patterns.
#include "ir/program/lane_ops.h"

#include <random>

#include <gtest/gtest.h>

namespace lathe::ir::program {
namespace {

// Bit patterns spread over all exponents, and the corners.
template <typename F>
void for_many_floats(F body) {
  for (uint64_t bits = 0; bits <= UINT32_MAX; bits += 65'537) body(static_cast<uint32_t>(bits));
  for (const uint32_t corner :
       {0U, 1U, 0x007FFFFFU, 0x00800000U, 0x3EFFFFFFU, 0x3F000000U, 0x3F000001U, 0x4AFFFFFFU,
        0x4B000000U, 0x4EFFFFFFU, 0x4F000000U, 0x7F7FFFFFU, 0x7F800000U, 0x7FC00000U})
    for (const uint32_t sign : {0U, 0x80000000U}) body(corner | sign);
}

TEST(LaneOps, RoundingIsThatOfTheCLibrary) {
  for_many_floats([](uint32_t bits) {
    const float a = lane::as_float(bits);
    if (std::isnan(a)) {
      EXPECT_TRUE(std::isnan(lane::round_even(a)) && std::isnan(lane::truncate(a)));
      return;
    }
    EXPECT_EQ(lane::as_bits(lane::round_even(a)), lane::as_bits(std::nearbyint(a))) << a;
    EXPECT_EQ(lane::as_bits(lane::truncate(a)), lane::as_bits(std::trunc(a))) << a;
  });
}

TEST(LaneOps, ToIntIsThatOfTheCLibraryInRange) {
  for_many_floats([](uint32_t bits) {
    const float a = lane::as_float(bits);
    if (a >= -0x1p31F && a < 0x1p31F) {
      EXPECT_EQ(lane::to_int(a), static_cast<uint32_t>(std::lrint(a))) << a;
    } else {
      EXPECT_EQ(lane::to_int(a), 0x80000000U) << a;
    }
  });
}

TEST(LaneOps, ScaleIsExactScaling) {
  std::mt19937 random(1);  // NOLINT: the same numbers in every run
  for_many_floats([&](uint32_t bits) {
    const float a = lane::as_float(bits);
    const int b = static_cast<int>(random() % 507) - 252;
    if (std::isnan(a)) return;
    EXPECT_EQ(lane::as_bits(lane::scale(a, static_cast<float>(b))), lane::as_bits(std::ldexp(a, b)))
        << a << " " << b;
  });
}

TEST(LaneOps, ValidExponents) {
  for (const float valid : {0.0F, -0.0F, -252.0F, 254.0F, std::nanf("")})
    EXPECT_TRUE(lane::valid_exponent(valid)) << valid;
  for (const float invalid : {0.5F, -253.0F, 255.0F, HUGE_VALF, -HUGE_VALF})
    EXPECT_FALSE(lane::valid_exponent(invalid)) << invalid;
}

TEST(LaneOps, ApproximationsKeepTwelveBits) {
  for_many_floats([](uint32_t bits) {
    const float a = lane::as_float(bits);
    if (!std::isnormal(a) || !std::isnormal(1 / a)) return;
    const float r = lane::reciprocal(a);
    EXPECT_EQ(lane::as_bits(r) & 0xFFFU, 0U);
    EXPECT_LE(std::fabs(double{r} * a - 1), 0x1p-12);
    if (a < 0) return;
    const float s = lane::reciprocal_sqrt(a);
    EXPECT_EQ(lane::as_bits(s) & 0xFFFU, 0U);
    EXPECT_LE(std::fabs(s * std::sqrt(double{a}) - 1), 0x1p-12);
  });
}

TEST(LaneOps, NarrowOverflowIsNoted) {
  const auto overflows = [](auto op, uint32_t a, uint32_t b) {
    bool overflow = false;
    op(a, b, overflow);
    return overflow;
  };
  EXPECT_FALSE(overflows(lane::add16, 0x7FFE7FFE, 0x00010001));
  EXPECT_TRUE(overflows(lane::add16, 0x7FFF0000, 0x00010000));
  EXPECT_TRUE(overflows(lane::add16, 0x00008000, 0x0000FFFF));
  EXPECT_FALSE(overflows(lane::dot2_u8s8, 0x0000FF80, 0x00007F01));
  EXPECT_TRUE(overflows(lane::dot2_u8s8, 0xFFFF0000, 0x7F7F0000));
  EXPECT_FALSE(overflows(lane::dot2_s16, 0x80008000, 0x80007FFF));
  EXPECT_TRUE(overflows(lane::dot2_s16, 0x80008000, 0x80008000));
  EXPECT_FALSE(overflows(lane::sign8, 0x81818181, 0xFFFFFFFF));
  EXPECT_TRUE(overflows(lane::sign8, 0x00800000, 0));
}

TEST(LaneOps, OverflowStaysSet) {
  bool overflow = true;
  lane::add16(0, 0, overflow);
  EXPECT_TRUE(overflow);
}

}  // namespace
}  // namespace lathe::ir::program
