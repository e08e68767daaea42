// Strategies on made-up spaces: what each proposes, that none proposes twice, and that the model
// finds what experience says or what its own trials show.
#include <cmath>
#include <limits>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tuner/gaussian_process.h"
#include "tuner/prior.h"
#include "tuner/strategies/strategy.h"

namespace lathe::tuner {
namespace {

using testing::ElementsAre;

const KernelName kHere = {"linear rows=1 n=64 k=64", "rows=1", "cold", "avx2", "here", 1};

// unroll in {1, 2, 4, 8}, stream on or off; the default is unroll=4 stream=off.
SearchPoints small_space() {
  SearchPoints points;
  points.schedules.emplace_back("unroll=4 stream=off");
  points.estimates.push_back(40);
  for (const int unroll : {1, 2, 4, 8}) {
    for (const char* stream : {"off", "on"}) {
      const std::string schedule = fmt::format("unroll={} stream={}", unroll, stream);
      if (schedule == points.schedules.front()) continue;
      points.schedules.push_back(schedule);
      points.estimates.push_back(10 * unroll + (stream[1] == 'n' ? 5 : 0));
    }
  }
  return points;
}

class EveryStrategy : public testing::TestWithParam<StrategyKind> {};
INSTANTIATE_TEST_SUITE_P(Strategies, EveryStrategy, testing::ValuesIn(kStrategies),
                         [](const auto& info) { return std::string(to_string(info.param)); });

TEST_P(EveryStrategy, ProposesEachPointOnceAndNeverTheDefault) {
  Experience experience;
  const auto strategy =
      make_strategy(GetParam(), small_space(), experience, experience.kernel(kHere));
  EXPECT_EQ(strategy->left(), 7U);
  EXPECT_GT(strategy->promise(), 0);
  std::set<std::string> seen;
  strategy->leave_out("unroll=8 stream=on");
  strategy->leave_out("no such point");
  EXPECT_EQ(strategy->left(), 6U);
  while (strategy->left() > 0) {
    const auto schedules = strategy->propose(4);
    ASSERT_FALSE(schedules.empty());
    EXPECT_LE(schedules.size(), 4U);
    for (const std::string& schedule : schedules) {
      EXPECT_TRUE(seen.insert(schedule).second) << schedule;
      strategy->observe(schedule, 1.1);
    }
  }
  EXPECT_EQ(seen.size(), 6U);
  EXPECT_EQ(seen.count("unroll=4 stream=off"), 0U);
  EXPECT_EQ(strategy->promise(), 0);
  EXPECT_TRUE(strategy->propose(4).empty());
}

TEST_P(EveryStrategy, HasAName) {
  const auto back = parse_strategy(to_string(GetParam()));
  ASSERT_TRUE(back);
  EXPECT_EQ(*back, GetParam());
}

TEST(Strategies, AnUnknownNameIsRefusedWithTheChoices) {
  const auto refused = parse_strategy("oracle");
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("local"), std::string::npos);
}

TEST(Exhaustive, FollowsTheEstimate) {
  const auto strategy = make_exhaustive(small_space());
  EXPECT_THAT(strategy->propose(3),
              ElementsAre("unroll=1 stream=off", "unroll=1 stream=on", "unroll=2 stream=off"));
}

TEST(LocalSearch, GoesOnFromTheFastest) {
  const auto strategy = make_local_search(small_space());
  // One knob away from the default, the cheapest first.
  EXPECT_THAT(strategy->propose(2), ElementsAre("unroll=1 stream=off", "unroll=2 stream=off"));
  strategy->observe("unroll=2 stream=off", 0.8);
  EXPECT_THAT(strategy->propose(2), ElementsAre("unroll=2 stream=on", "unroll=8 stream=off"));
}

TEST(ModelGuided, BeginsWithWhatANeighbourFound) {
  Experience experience;
  KernelName neighbour = kHere;
  neighbour.host = "elsewhere";
  const int there = experience.kernel(neighbour);
  for (const char* slow : {"unroll=1 stream=off", "unroll=2 stream=off", "unroll=8 stream=off"})
    experience.add(there, slow, 1.4);
  experience.add(there, "unroll=2 stream=on", 0.7);
  const auto strategy = make_model_guided(small_space(), experience, experience.kernel(kHere));
  EXPECT_THAT(strategy->propose(1), ElementsAre("unroll=2 stream=on"));
}

TEST(ModelGuided, LearnsFromItsOwnTrialsMost) {
  Experience experience;
  const auto strategy = make_model_guided(small_space(), experience, experience.kernel(kHere));
  for (const char* slow : {"unroll=1 stream=off", "unroll=1 stream=on", "unroll=2 stream=off"})
    strategy->observe(slow, 1.5);
  strategy->observe("unroll=8 stream=off", 0.8);
  EXPECT_THAT(strategy->propose(1), ElementsAre("unroll=8 stream=on"));
  const double hopeful = strategy->promise();
  strategy->observe("unroll=4 stream=on", 1.5);
  strategy->observe("unroll=8 stream=on", 1.5);
  EXPECT_LT(strategy->promise(), hopeful);
}

TEST(Experience, TellsNearFromFar) {
  Experience experience;
  const int here = experience.kernel(kHere);
  EXPECT_EQ(experience.kernel(kHere), here);
  KernelName other = kHere;
  other.host = "elsewhere";
  const int elsewhere = experience.kernel(other);
  other.problem = "linear rows=1 n=4096 k=64";
  const int wider = experience.kernel(other);
  other.problem = "relu rows=1 width=64";
  const int relu = experience.kernel(other);
  EXPECT_EQ(experience.distance(here, here), 0);
  EXPECT_GT(experience.distance(here, elsewhere), 0);
  EXPECT_GT(experience.distance(here, wider), experience.distance(here, elsewhere));
  EXPECT_TRUE(std::isinf(experience.distance(here, relu)));
  const auto a = experience.features_of("unroll=4 stream=off");
  EXPECT_EQ(Experience::distance(a, experience.features_of("stream=off unroll=4")), 0);
  EXPECT_LT(Experience::distance(a, experience.features_of("unroll=8 stream=off")),
            Experience::distance(a, experience.features_of("unroll=1 stream=on")));
}

TEST(Experience, NearestAreOwnTrialsThenTheFastestOfNeighbours) {
  Experience experience;
  const int here = experience.kernel(kHere);
  KernelName other = kHere;
  other.host = "elsewhere";
  const int there = experience.kernel(other);
  experience.add(here, "unroll=1", 2);
  for (int i = 0; i < 40; ++i) experience.add(there, fmt::format("unroll={}", i), 1 + 0.01 * i);
  experience.add(there, "unroll=50", 0.5);
  experience.add(there, "unroll=51", 0);  // no time
  const auto near = experience.nearest(here, 100);
  ASSERT_GT(near.size(), 5U);
  EXPECT_LT(near.size(), 20U);
  EXPECT_EQ(near[0].kernel, here);
  EXPECT_NEAR(near[1].observation->log_time, std::log(0.5), 1e-9);
  EXPECT_EQ(experience.nearest(here, 3).size(), 3U);
}

TEST(Experience, KeepsOneObservationOfASchedule) {
  Experience experience;
  const int here = experience.kernel(kHere);
  experience.add(here, "unroll=1", 2);
  experience.add(here, "unroll=1", 8);
  ASSERT_EQ(experience.observations(here).size(), 1U);
  EXPECT_NEAR(experience.observations(here).front().log_time, std::log(4), 1e-9);
}

TEST(Experience, OfManyOwnTheFastestAndTheNewestAreNearest) {
  Experience experience;
  const int here = experience.kernel(kHere);
  for (int i = 0; i < 100; ++i)
    experience.add(here, fmt::format("unroll={}", i), i == 40 ? 0.5 : 2);
  experience.add(here, "unroll=99", 3);
  const auto near = experience.nearest(here, 30);
  EXPECT_EQ(near.size(), 20U) << "a third is for neighbours";
  bool fastest = false, newest = false;
  for (const auto& one : near) {
    fastest = fastest || one.observation->log_time < 0;
    newest = newest || one.observation->newest == 101;
  }
  EXPECT_TRUE(fastest && newest);
}

TEST(Experience, ReadsWhatIsBuiltInAndNamesADamagedLine) {
  Experience experience;
  const Status read = experience.read(prior_experience(), "built in");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_GT(experience.kernels(), 100U);
  for (const char* damaged : {"kernel\tlinear\trows=1\n", "1.5\tunroll=4\n",
                              "kernel\tlinear n=1\trows=1\tcold\tavx2\tone\thost\n",
                              "kernel\tlinear n=1\trows=1\tcold\tavx2\t1\thost\n-1\tunroll=4\n"}) {
    Experience other;
    const Status refused = other.read(damaged, "a file");
    ASSERT_FALSE(refused) << damaged;
    EXPECT_EQ(refused.error().code, ErrorCode::parse_error);
    EXPECT_NE(refused.error().message.find("a file:"), std::string::npos);
  }
}

TEST(GaussianProcess, GoesThroughItsValuesAndBackToThePriorFarAway) {
  const auto alike = [](double a, double b) { return std::exp(-(a - b) * (a - b)); };
  const std::vector<double> at = {0, 1, 3}, values = {1, -1, 0.5};
  std::vector<double> covariance;
  for (const double a : at)
    for (const double b : at) covariance.push_back(alike(a, b));
  const GaussianProcess process(covariance, values, 1e-8);
  const auto predict = [&](double x) {
    std::vector<double> with;
    for (const double a : at) with.push_back(alike(x, a));
    return process.predict(with, 1);
  };
  for (size_t i = 0; i < at.size(); ++i) {
    EXPECT_NEAR(predict(at[i]).mean, values[i], 1e-6);
    EXPECT_NEAR(predict(at[i]).deviation, 0, 1e-3);
  }
  EXPECT_NEAR(predict(100).mean, 0, 1e-9);
  EXPECT_NEAR(predict(100).deviation, 1, 1e-9);
  // Twice the same point: without noise the matrix would be singular.
  const GaussianProcess twice({1, 1, 1, 1}, std::vector<double>{1, 3}, 1e-4);
  EXPECT_NEAR(twice.predict(std::vector<double>{1, 1}, 1).mean, 2, 1e-3);
}

TEST(GaussianProcess, ExpectedImprovementIsZeroForTheCertainlyWorse) {
  EXPECT_EQ(expected_improvement({1, 0}, 0.5), 0);
  EXPECT_EQ(expected_improvement({0.25, 0}, 0.5), 0.25);
  EXPECT_NEAR(expected_improvement({0, 1}, 0), 1 / std::sqrt(2 * M_PI), 1e-12);
  EXPECT_GT(expected_improvement({0, 1}, 0), expected_improvement({0, 0.5}, 0));
}

}  // namespace
}  // namespace lathe::tuner
