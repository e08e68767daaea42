// f16 and bf16 conversions: every bit pattern, every boundary between two of them.
#include "ir/half.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

namespace lathe::ir {
namespace {

bool is_nan_f16(uint16_t bits) { return (bits & 0x7C00) == 0x7C00 && (bits & 0x3FF) != 0; }
bool is_nan_bf16(uint16_t bits) { return (bits & 0x7F80) == 0x7F80 && (bits & 0x7F) != 0; }

TEST(Half, EveryF16RoundTrips) {
  for (uint32_t bits = 0; bits <= 0xFFFF; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    const float value = f16_to_float(half);
    if (is_nan_f16(half)) {
      ASSERT_TRUE(std::isnan(value));
      ASSERT_TRUE(is_nan_f16(float_to_f16(value)));
    } else {
      ASSERT_EQ(float_to_f16(value), half);
      ASSERT_EQ(double_to_f16(static_cast<double>(value)), half);
    }
  }
}

TEST(Half, EveryBf16RoundTrips) {
  for (uint32_t bits = 0; bits <= 0xFFFF; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    const float value = bf16_to_float(half);
    if (is_nan_bf16(half)) {
      ASSERT_TRUE(is_nan_bf16(float_to_bf16(value)));
      ASSERT_TRUE(is_nan_bf16(double_to_bf16(static_cast<double>(value))));
    } else {
      ASSERT_EQ(float_to_bf16(value), half);
      ASSERT_EQ(double_to_bf16(static_cast<double>(value)), half);
    }
  }
}

// Between neighbours the middle goes to the even one, and anything off the middle to the nearer,
// even where only a double can tell.
template <typename ToFloat, typename FromDouble>
void check_middles(uint16_t last_finite, ToFloat to_float, FromDouble from_double) {
  for (uint16_t bits = 0; bits < last_finite; ++bits) {
    const auto low = static_cast<double>(to_float(bits));
    const auto high = static_cast<double>(to_float(static_cast<uint16_t>(bits + 1)));
    const double middle = (low + high) / 2;
    const auto even = static_cast<uint16_t>(bits + bits % 2);
    ASSERT_EQ(from_double(middle), even) << bits;
    ASSERT_EQ(from_double(std::nextafter(middle, 0.0)), bits) << bits;
    ASSERT_EQ(from_double(std::nextafter(middle, std::numeric_limits<double>::infinity())),
              bits + 1)
        << bits;
    ASSERT_EQ(from_double(-middle), even | 0x8000) << bits;
  }
}

TEST(Half, F16RoundsOnceToNearestEven) { check_middles(0x7BFF, f16_to_float, double_to_f16); }
TEST(Half, Bf16RoundsOnceToNearestEven) { check_middles(0x7F7F, bf16_to_float, double_to_bf16); }

// The same from f32, which holds each middle and its neighbours on both sides.
template <typename ToFloat, typename FromFloat>
void check_float_middles(uint16_t last_finite, ToFloat to_float, FromFloat from_float) {
  for (uint16_t bits = 0; bits < last_finite; ++bits) {
    const float low = to_float(bits);
    const float high = to_float(static_cast<uint16_t>(bits + 1));
    const float middle = low + (high - low) / 2;
    const auto even = static_cast<uint16_t>(bits + bits % 2);
    ASSERT_EQ(from_float(middle), even) << bits;
    ASSERT_EQ(from_float(std::nextafterf(middle, low)), bits) << bits;
    ASSERT_EQ(from_float(std::nextafterf(middle, high)), bits + 1) << bits;
    ASSERT_EQ(from_float(-middle), even | 0x8000) << bits;
  }
}

TEST(Half, F32RoundsToTheNearestEvenF16) {
  check_float_middles(0x7BFF, f16_to_float, float_to_f16);
}
TEST(Half, F32RoundsToTheNearestEvenBf16) {
  check_float_middles(0x7F7F, bf16_to_float, float_to_bf16);
}

TEST(Half, OverflowGivesInfinity) {
  EXPECT_EQ(float_to_f16(65519.996F), 0x7BFF);
  EXPECT_EQ(float_to_f16(65520.0F), 0x7C00);
  EXPECT_EQ(float_to_f16(-1e30F), 0xFC00);
  EXPECT_EQ(double_to_bf16(0x1.FFp127), 0x7F80);
  EXPECT_EQ(double_to_bf16(std::nextafter(0x1.FFp127, 0.0)), 0x7F7F);
  EXPECT_EQ(float_to_bf16(-std::numeric_limits<float>::infinity()), 0xFF80);
  EXPECT_EQ(double_to_f16(std::numeric_limits<double>::infinity()), 0x7C00);
}

}  // namespace
}  // namespace lathe::ir
