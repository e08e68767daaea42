// The noise policy on made-up samples whose truth is known.
#include "tuner/statistics.h"

#include <cmath>
#include <random>

#include <gtest/gtest.h>

namespace lathe::tuner {
namespace {

// Time plus a disturbance that is never negative, skewed, and the same for all within a round.
struct Rounds {
  std::vector<double> a, b;
};

Rounds noisy(double time_a, double time_b, int rounds, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::lognormal_distribution<double> own(-4.5, 0.8);     // about 1 %, with a long tail
  std::lognormal_distribution<double> shared(-2.5, 1.0);  // about 10 %, correlated
  Rounds result;
  for (int i = 0; i < rounds; ++i) {
    const double drift = 1 + shared(random);
    result.a.push_back(time_a * drift * (1 + own(random)));
    result.b.push_back(time_b * drift * (1 + own(random)));
  }
  return result;
}

TEST(Statistics, MedianOfAnyCount) {
  EXPECT_EQ(median({}), 0);
  EXPECT_EQ(median({3}), 3);
  EXPECT_EQ(median({4, 1}), 2.5);
  EXPECT_EQ(median({9, 1, 5}), 5);
  EXPECT_EQ(median({1, 1e9, 2, 3}), 2.5);
}

TEST(Statistics, SpreadIsTheQuartileRangeOverTheMedian) {
  EXPECT_EQ(relative_spread({1, 2, 3}), 0);
  EXPECT_EQ(relative_spread({5, 5, 5, 5, 5}), 0);
  EXPECT_DOUBLE_EQ(relative_spread({4, 2, 3, 1, 5}), 2.0 / 3);
}

TEST(Statistics, SignTestMatchesTheBinomialDistribution) {
  const std::vector<double> low(5, 1), high(5, 2);
  EXPECT_NEAR(confidence_faster(low, high), 1 - 0.5 / 32, 1e-12);  // five of five
  EXPECT_NEAR(confidence_faster(high, low), 0.5 / 32, 1e-12);
  EXPECT_EQ(confidence_faster(low, low), 0.5);  // ties say nothing
  EXPECT_EQ(confidence_faster({}, {}), 0.5);
}

TEST(Statistics, ThreePercentAreFoundUnderSkewedNoise) {
  int found = 0, reversed = 0;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    const Rounds rounds = noisy(97, 100, 31, seed);
    found += confidence_faster(rounds.a, rounds.b) > 0.95 ? 1 : 0;
    reversed += confidence_faster(rounds.b, rounds.a) > 0.95 ? 1 : 0;
  }
  EXPECT_GE(found, 95);
  EXPECT_EQ(reversed, 0);
}

TEST(Statistics, EqualCandidatesAreNotDeclaredSlower) {
  int declared = 0;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    const Rounds rounds = noisy(100, 100, 31, seed);
    declared += clearly_slower(rounds.a, rounds.b) ? 1 : 0;
  }
  EXPECT_LE(declared, 4);
}

TEST(Statistics, SlowerByLessThanTheMarginStays) {
  const std::vector<double> leader(31, 100), close(31, 101), far(31, 110);
  EXPECT_FALSE(clearly_slower(close, leader));
  EXPECT_TRUE(clearly_slower(far, leader));
  EXPECT_FALSE(clearly_slower(leader, far));
}

TEST(Statistics, TheErrorOfAMedianFollowsTheNoise) {
  EXPECT_TRUE(std::isinf(relative_error({100, 100})));
  EXPECT_EQ(relative_error({100, 100, 100}), 0);
  EXPECT_GT(relative_error({90, 110, 90}), 0.03);
  EXPECT_EQ(relative_error({100, 100, 100, 100, 900}), 0) << "one disturbance in five";
  std::vector<double> few, many;
  for (int i = 0; i < 40; ++i) (i < 10 ? few : many).push_back(100 + (i * 7) % 5);
  EXPECT_LT(relative_error(many), relative_error(few));
}

TEST(Statistics, ATieIsWithinAPercentBeyondDoubt) {
  const std::vector<double> even(5, 100), near(5, 100.5), apart(5, 102);
  EXPECT_TRUE(tied(even, near));
  EXPECT_TRUE(tied(near, even));
  EXPECT_FALSE(tied(even, apart));
  EXPECT_FALSE(tied(std::vector<double>{100, 100}, std::vector<double>{100, 100})) << "too few";
  int ties = 0;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    const Rounds rounds = noisy(103, 100, 15, seed);
    ties += tied(rounds.a, rounds.b) ? 1 : 0;
  }
  EXPECT_LE(ties, 2);
}

// A task of many rounds, slow by a tenth, and one of few that makes up for it twice over.
TEST(Statistics, ASumTakesTasksOfUnequalRounds) {
  int first = 0, reversed = 0;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    const Rounds many = noisy(110, 100, 31, seed), few = noisy(8000, 10000, 5, seed + 1000);
    const WeightedPairs tasks[] = {{0.01, many.a, many.b}, {0.0001, few.a, few.b}};
    const WeightedPairs turned[] = {{0.01, many.b, many.a}, {0.0001, few.b, few.a}};
    first += confidence_smaller_sum(tasks) > 0.9 ? 1 : 0;
    reversed += confidence_smaller_sum(turned) > 0.1 ? 1 : 0;
    EXPECT_EQ(confidence_smaller_sum(tasks), confidence_smaller_sum(tasks));
  }
  EXPECT_GE(first, 45);
  EXPECT_LE(reversed, 5);
  EXPECT_EQ(confidence_smaller_sum({}), 0.5);
}

TEST(Statistics, EqualSumsAreSeldomToldApart) {
  int told = 0;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    const Rounds one = noisy(110, 100, 15, seed), other = noisy(90, 100, 15, seed + 1000);
    const WeightedPairs tasks[] = {{1, one.a, one.b}, {1, other.a, other.b}};
    told += confidence_smaller_sum(tasks) > 0.9 ? 1 : 0;
  }
  EXPECT_LE(told, 20);
  const std::vector<double> same(5, 7);
  const WeightedPairs tie[] = {{1, same, same}};
  EXPECT_EQ(confidence_smaller_sum(tie), 0.5);
}

}  // namespace
}  // namespace lathe::tuner
