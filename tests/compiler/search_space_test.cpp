// Search spaces: points, text, and that every family's default is among them.
#include "compiler/search_space.h"

#include <set>

#include <gtest/gtest.h>

#include "compiler/family.h"

namespace lathe::compiler {
namespace {

SearchSpace example() {
  SearchSpace space;
  space.knob("unroll", {1, 2, 4}, 2, "vectors a trip");
  space.choice("division", {"exact", "newton"}, "exact", "how quotients are made");
  space.require([](const Schedule& s) { return s["division"] == 0 || s["unroll"] > 1; },
                "a Newton step pays only between others");
  return space;
}

TEST(SearchSpace, PointsMeetTheConstraintsAndStartWithTheDefault) {
  const SearchSpace space = example();
  const auto points = space.points();
  EXPECT_EQ(points.size(), 5U);
  EXPECT_EQ(points.front(), space.default_schedule());
  EXPECT_EQ(std::set<Schedule>(points.begin(), points.end()).size(), points.size());
  for (const Schedule& point : points) EXPECT_TRUE(space.check(point)) << space.print(point);
}

TEST(SearchSpace, ADefaultThatBreaksAConstraintIsNoPoint) {
  SearchSpace space = example();
  space.require([](const Schedule& s) { return s["unroll"] == 1; }, "one register is left");
  EXPECT_FALSE(space.check(space.default_schedule()));
  ASSERT_EQ(space.points().size(), 1U);
  EXPECT_EQ(space.print(space.points().front()), "unroll=1 division=exact");
}

TEST(SearchSpace, TextReadsBack) {
  const SearchSpace space = example();
  for (const Schedule& point : space.points()) EXPECT_EQ(*space.parse(space.print(point)), point);
  EXPECT_EQ(space.print(space.default_schedule()), "unroll=2 division=exact");
}

TEST(SearchSpace, KnobsNotNamedKeepTheirDefault) {
  const auto schedule = example().parse("division=newton,unroll=4");
  ASSERT_TRUE(schedule);
  EXPECT_EQ((*schedule)["unroll"], 4);
  EXPECT_EQ((*example().parse(""))["unroll"], 2);
}

TEST(SearchSpace, AFixedKnobHasOneValue) {
  SearchSpace space = example();
  ASSERT_TRUE(space.fix("division", "newton"));
  EXPECT_EQ(space.print(space.default_schedule()), "unroll=2 division=newton");
  ASSERT_EQ(space.points().size(), 2U);
  for (const Schedule& point : space.points()) EXPECT_EQ(point["division"], 1);
  EXPECT_FALSE(space.parse("division=exact"));
  const Status no_value = space.fix("unroll", "3");
  ASSERT_FALSE(no_value);
  EXPECT_EQ(no_value.error().code, ErrorCode::rejected);
  EXPECT_NE(no_value.error().message.find("expected one of 1, 2, 4"), std::string::npos);
  const Status no_knob = space.fix("unrol", "2");
  ASSERT_FALSE(no_knob);
  EXPECT_EQ(no_knob.error().code, ErrorCode::not_found);
  EXPECT_NE(no_knob.error().message.find("did you mean 'unroll'?"), std::string::npos);
}

TEST(SearchSpace, EveryFamilysDefaultIsAPointOnEveryTarget) {
  for (const Family* family : catalogue()) {
    const auto problem = parse_problem(family->example);
    ASSERT_TRUE(problem);
    for (const char* name : {"scalar", "sse", "avx2", "avx512"}) {
      const ir::Target target = *ir::parse_target(name);
      const SearchSpace space = family->space(*problem, target);
      EXPECT_TRUE(space.check(space.default_schedule())) << family->name;
      EXPECT_TRUE(family->build(*problem, space.default_schedule(), target)) << family->name;
      for (const Knob& knob : space.knobs())
        EXPECT_FALSE(knob.meaning.empty()) << family->name << " " << knob.name;
    }
  }
}

}  // namespace
}  // namespace lathe::compiler
