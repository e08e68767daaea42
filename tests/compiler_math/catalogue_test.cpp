// The unit that errors are told in.
#include "compiler/math/catalogue.h"

#include <cmath>

#include <gtest/gtest.h>

namespace lathe::compiler::math {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

TEST(UlpError, CountsTheSpacingOfTheExactValue) {
  EXPECT_EQ(ulp_error(1.0F, 1.0, 0), 0);
  EXPECT_EQ(ulp_error(1.0F + 0x1p-23F, 1.0, 0), 1);
  EXPECT_EQ(ulp_error(2.0F + 0x1p-22F, 2.0, 0), 1);
  EXPECT_EQ(ulp_error(1.0F, 1.0 + 0x1p-24, 0), 0.5);
}

TEST(UlpError, CountsSubnormalsByTheirOwnSpacing) {
  EXPECT_EQ(ulp_error(0x1p-149F, 0x1p-148, 0), 1);
  EXPECT_EQ(ulp_error(0.0F, 0x1p-140, 0), 512);
}

TEST(UlpError, CountsSmallResultsByTheFloor) { EXPECT_EQ(ulp_error(0.0F, 0x1p-30, 0x1p-10), 8); }

TEST(UlpError, InfinitiesAndNaNMustMatch) {
  EXPECT_EQ(ulp_error(kNaN, kNaN, 0), 0);
  EXPECT_EQ(ulp_error(kInf, 1e39, 0), 0);
  EXPECT_TRUE(std::isinf(ulp_error(kNaN, 1.0, 0)));
  EXPECT_TRUE(std::isinf(ulp_error(1.0F, kNaN, 0)));
  EXPECT_TRUE(std::isinf(ulp_error(kInf, 1.0, 0)));
  EXPECT_TRUE(std::isinf(ulp_error(1.0F, 1e39, 0)));
}

TEST(Measured, LeavesOutWhatTheFunctionDoesNotPromise) {
  for (const Function& function : functions()) {
    EXPECT_EQ(measured(function, Division::exact, 1.0F), function.high > 0) << function.name;
    EXPECT_TRUE(measured(function, Division::exact, -1e-40F)) << function.name;
    EXPECT_TRUE(measured(function, Division::newton, -kInf)) << function.name;
    if (function.name == "rsqrt" || function.name == "reciprocal") {
      EXPECT_FALSE(measured(function, Division::newton, 1e-40F));
    }
  }
}

}  // namespace
}  // namespace lathe::compiler::math
