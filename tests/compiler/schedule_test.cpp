// Schedules: setting, reading, comparing.
#include "compiler/schedule.h"

#include <gtest/gtest.h>

namespace lathe::compiler {
namespace {

TEST(Schedule, HoldsWhatWasSetInOrder) {
  Schedule schedule;
  schedule.set("unroll", 2);
  schedule.set("grain", 32);
  schedule.set("unroll", 4);
  EXPECT_EQ(schedule["unroll"], 4);
  EXPECT_TRUE(schedule.has("grain"));
  EXPECT_FALSE(schedule.has("stream"));
  ASSERT_EQ(schedule.knobs().size(), 2U);
  EXPECT_EQ(schedule.knobs()[0].first, "unroll");
}

TEST(Schedule, ComparesByValues) {
  Schedule a, b;
  a.set("unroll", 2);
  b.set("unroll", 4);
  EXPECT_NE(a, b);
  EXPECT_LT(a, b);
  b.set("unroll", 2);
  EXPECT_EQ(a, b);
}

}  // namespace
}  // namespace lathe::compiler
