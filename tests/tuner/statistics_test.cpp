// The noise policy on made-up samples whose truth is known.
#include "tuner/statistics.h"

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

}  // namespace
}  // namespace lathe::tuner
