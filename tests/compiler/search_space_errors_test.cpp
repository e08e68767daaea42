// Schedules that a search space refuses, and why.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compiler/family.h"
#include "compiler/search_space.h"

namespace lathe::compiler {
namespace {

using testing::HasSubstr;

SearchSpace example() {
  SearchSpace space;
  space.knob("unroll", {1, 2, 4}, 2, "vectors a trip");
  space.choice("division", {"exact", "newton"}, "exact", "how quotients are made");
  space.require([](const Schedule& s) { return s["division"] == 0 || s["unroll"] > 1; },
                "a Newton step pays only between others");
  return space;
}

TEST(SearchSpaceErrors, UnknownKnob) {
  const auto schedule = example().parse("unrol=2");
  ASSERT_FALSE(schedule);
  EXPECT_EQ(schedule.error().code, ErrorCode::not_found);
  EXPECT_THAT(schedule.error().message, HasSubstr("'unroll'"));
}

TEST(SearchSpaceErrors, ValueOutsideTheSpace) {
  const auto schedule = example().parse("unroll=3");
  ASSERT_FALSE(schedule);
  EXPECT_EQ(schedule.error().code, ErrorCode::rejected);
  EXPECT_THAT(schedule.error().message, HasSubstr("expected one of 1, 2, 4"));
}

TEST(SearchSpaceErrors, UnknownChoice) {
  const auto schedule = example().parse("division=fast");
  ASSERT_FALSE(schedule);
  EXPECT_THAT(schedule.error().message, HasSubstr("exact, newton"));
}

TEST(SearchSpaceErrors, BrokenConstraintGivesItsReason) {
  const auto schedule = example().parse("division=newton unroll=1");
  ASSERT_FALSE(schedule);
  EXPECT_EQ(schedule.error().code, ErrorCode::rejected);
  EXPECT_THAT(schedule.error().message, HasSubstr("a Newton step pays only between others"));
}

TEST(SearchSpaceErrors, NotKnobAndValue) {
  const auto schedule = example().parse("unroll");
  ASSERT_FALSE(schedule);
  EXPECT_THAT(schedule.error().message, HasSubstr("knob=value"));
}

TEST(SearchSpaceErrors, AScheduleOfAnotherSpace) {
  Schedule schedule;
  schedule.set("unroll", 2);
  EXPECT_THAT(example().check(schedule).error().message, HasSubstr("found 1 knobs, expected 2"));
  schedule.set("stream", 1);
  EXPECT_THAT(example().check(schedule).error().message, HasSubstr("knob division is missing"));
}

TEST(SearchSpaceErrors, EveryFamilyRejectsAScheduleThatIsNotItsOwn) {
  for (const Family* family : catalogue()) {
    const auto plan =
        family->build(*parse_problem(family->example), Schedule{}, *ir::parse_target("avx2"));
    ASSERT_FALSE(plan) << family->name;
    EXPECT_EQ(plan.error().code, ErrorCode::rejected) << family->name;
  }
}

}  // namespace
}  // namespace lathe::compiler
