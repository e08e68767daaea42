// The order in which other points are tried, and where the search for one that fits ends.
#include "compiler/fallback.h"

#include <gtest/gtest.h>

namespace lathe::compiler {
namespace {

SearchSpace example() {
  SearchSpace space;
  space.knob("unroll", {1, 2, 4, 8}, 4, "vectors a trip");
  space.choice("division", {"exact", "newton"}, "exact", "how quotients are made");
  space.require([](const Schedule& s) { return s["division"] == 0 || s["unroll"] > 1; },
                "a Newton step pays only between others");
  return space;
}

std::vector<std::string> printed(const SearchSpace& space, const std::vector<Schedule>& points) {
  std::vector<std::string> lines;
  for (const Schedule& point : points) lines.push_back(space.print(point));
  return lines;
}

TEST(Fallback, FewChangesComeFirstThenShortSteps) {
  const SearchSpace space = example();
  EXPECT_EQ(printed(space, points_by_nearness(space)),
            (std::vector<std::string>{"unroll=4 division=exact", "unroll=2 division=exact",
                                      "unroll=4 division=newton", "unroll=8 division=exact",
                                      "unroll=1 division=exact", "unroll=2 division=newton",
                                      "unroll=8 division=newton"}));
}

TEST(Fallback, TheDefaultIsTakenWhereItIsAccepted) {
  const SearchSpace space = example();
  int asked = 0;
  const auto found = nearest_accepted(space, [&](const Schedule&) -> Status {
    ++asked;
    return {};
  });
  ASSERT_TRUE(found);
  EXPECT_EQ(*found, space.default_schedule());
  EXPECT_EQ(asked, 1);
}

TEST(Fallback, TheNearestAcceptedPointIsTaken) {
  const SearchSpace space = example();
  const auto found = nearest_accepted(space, [&](const Schedule& point) -> Status {
    if (point["unroll"] == 1) return {};
    return fail(ErrorCode::rejected, "unroll {} needs too many registers", point["unroll"]);
  });
  ASSERT_TRUE(found);
  EXPECT_EQ(space.print(*found), "unroll=1 division=exact");
}

TEST(Fallback, WhereNothingFitsTheDefaultsOwnRejectionIsTheError) {
  const auto found = nearest_accepted(example(), [](const Schedule& point) -> Status {
    return fail(ErrorCode::rejected, "unroll {}", point["unroll"]);
  });
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().message, "unroll 4");
}

TEST(Fallback, AnyOtherErrorEndsTheSearch) {
  int asked = 0;
  const auto found = nearest_accepted(example(), [&](const Schedule&) -> Status {
    return fail(++asked == 1 ? ErrorCode::rejected : ErrorCode::internal, "call {}", asked);
  });
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().message, "call 2");
}

TEST(Fallback, TheSearchIsBounded) {
  SearchSpace space;
  std::vector<int64_t> values;
  for (int64_t i = 0; i < 1000; ++i) values.push_back(i);
  space.knob("k", values, 0, "many");
  size_t asked = 0;
  EXPECT_FALSE(nearest_accepted(space, [&](const Schedule&) -> Status {
    ++asked;
    return fail(ErrorCode::rejected, "no");
  }));
  EXPECT_EQ(asked, kFallbackPoints);
}

}  // namespace
}  // namespace lathe::compiler
