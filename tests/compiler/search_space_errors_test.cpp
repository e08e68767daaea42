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
  EXPECT_EQ(
      schedule.error().message,
      "unknown knob 'unrol' (did you mean 'unroll'?); the knobs of this problem and target are "
      "unroll, division");
  EXPECT_THAT(example().parse("tiles=2").error().message,
              HasSubstr("unknown knob 'tiles'; the knobs of this problem and target are unroll"));
}

TEST(SearchSpaceErrors, AKnobOfASpaceWithoutKnobs) {
  const SearchSpace none;
  EXPECT_THAT(none.parse("unroll=2").error().message, HasSubstr("none: leave the schedule out"));
}

TEST(SearchSpaceErrors, AKnobGivenTwice) {
  const auto schedule = example().parse("unroll=2,division=exact,unroll=4");
  ASSERT_FALSE(schedule);
  EXPECT_EQ(schedule.error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(schedule.error().message,
            "schedule: knob unroll is given twice, expected it once; remove one");
}

TEST(SearchSpaceErrors, ValueOutsideTheSpace) {
  const auto schedule = example().parse("unroll=3");
  ASSERT_FALSE(schedule);
  EXPECT_EQ(schedule.error().code, ErrorCode::rejected);
  EXPECT_EQ(schedule.error().message,
            "knob unroll (vectors a trip): found '3', expected one of 1, 2, 4 for this problem and "
            "target");
  Schedule other = example().default_schedule();
  other.set("division", 7);
  EXPECT_THAT(example().check(other).error().message,
              HasSubstr("knob division (how quotients are made): found '7', expected one of exact, "
                        "newton"));
}

TEST(SearchSpaceErrors, UnknownChoice) {
  const auto schedule = example().parse("division=fast");
  ASSERT_FALSE(schedule);
  EXPECT_THAT(schedule.error().message, HasSubstr("exact, newton"));
}

TEST(SearchSpaceErrors, BrokenConstraintGivesItsReasonAndWhatWouldDo) {
  const auto schedule = example().parse("division=newton unroll=1");
  ASSERT_FALSE(schedule);
  EXPECT_EQ(schedule.error().code, ErrorCode::rejected);
  EXPECT_EQ(schedule.error().message,
            "schedule 'unroll=1 division=newton': a Newton step pays only between others; set "
            "unroll=2 or 4, or division=exact");
}

TEST(SearchSpaceErrors, WhatWouldDoMeetsEveryConstraint) {
  SearchSpace space = example();
  space.require([](const Schedule& s) { return s["unroll"] != 4; }, "four are too many");
  EXPECT_THAT(space.parse("division=newton unroll=1").error().message,
              HasSubstr("; set unroll=2, or division=exact"));
}

TEST(SearchSpaceErrors, TwoKnobsWhereOneIsNotEnough) {
  SearchSpace space = example();
  space.choice("hold", {"reread", "buffer"}, "reread", "where the row is");
  space.require([](const Schedule& s) { return s["hold"] == 1 || s["unroll"] == 4; }, "too long");
  space.require([](const Schedule& s) { return s["hold"] == 0 || s["division"] == 1; }, "too slow");
  space.require([](const Schedule& s) { return s["unroll"] != 4 || s["division"] == 1; }, "no");
  EXPECT_THAT(space.parse("").error().message,
              HasSubstr(": too long; set unroll=4 and division=newton"));
  // What was asked for stays where it can.
  EXPECT_THAT(space.parse("unroll=2").error().message,
              HasSubstr(": too long; set division=newton and hold=buffer"));
}

TEST(SearchSpaceErrors, WhatWasAskedForMayStayByOtherKnobs) {
  SearchSpace space;
  space.choice("passes", {"three", "two"}, "three", "over the row");
  space.choice("hold", {"reread", "buffer"}, "buffer", "where the row is");
  space.choice("ahead", {"off", "on"}, "on", "whether the next row is read");
  space.require([](const Schedule& s) { return s["passes"] == 0 || s["hold"] == 0; }, "no need");
  space.require([](const Schedule& s) { return s["ahead"] == 0 || s["hold"] == 1; }, "no place");
  EXPECT_THAT(space.parse("passes=two").error().message,
              HasSubstr(": no need; set passes=three, or hold=reread and ahead=off"));
}

TEST(SearchSpaceErrors, ThreeKnobsWhereTwoAreNotEnough) {
  SearchSpace space;
  for (const char* name : {"a", "b", "c", "d"}) space.knob(name, {0, 1}, 0, "one of four");
  space.require([](const Schedule& s) { return s["a"] + s["b"] + s["c"] + s["d"] >= 3; }, "few");
  EXPECT_THAT(space.parse("b=0").error().message, HasSubstr(": few; set a=1 and c=1 and d=1"));
}

TEST(SearchSpaceErrors, WhereNothingNearWouldDo) {
  SearchSpace space = example();
  space.require([](const Schedule&) { return false; }, "nothing is good enough");
  EXPECT_THAT(space.parse("unroll=1").error().message,
              HasSubstr("nothing is good enough; leave the schedule out"));
}

TEST(SearchSpaceErrors, NotKnobAndValue) {
  const auto schedule = example().parse("unroll");
  ASSERT_FALSE(schedule);
  EXPECT_THAT(schedule.error().message,
              HasSubstr("found 'unroll', expected knob=value; the knobs are unroll, division"));
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
