// Candidates in order, races of real kernels and of made-up times, operands, and the roofs.
#include "tuner/race.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>

#include <gtest/gtest.h>

#include "runtime/library/choose_schedule.h"
#include "tests/tuner/kernels.h"
#include "tuner/candidates.h"
#include "tuner/roofline.h"

namespace lathe::tuner {
namespace {

std::vector<std::string> candidates_of(const std::string& line, int64_t rows,
                                       const std::string& cache, Effort effort) {
  const auto list =
      candidates(*compiler::parse_problem(line), {{"rows", rows}}, cache, test_target(), 1, effort);
  EXPECT_TRUE(list);
  return list ? list->schedules : std::vector<std::string>{};
}

TEST(Candidates, TheDefaultComesFirstAndNothingTwice) {
  const auto problem = *compiler::parse_problem("rms_norm rows=8 width=2048");
  const auto space = problem.family().space(problem, test_target().target);
  const auto full = candidates_of(problem.line(), 8, "cold", Effort::full);
  ASSERT_FALSE(full.empty());
  EXPECT_EQ(full.front(), space.print(space.default_schedule()));
  EXPECT_EQ(full.size(), space.points().size());
  EXPECT_EQ(std::set<std::string>(full.begin(), full.end()).size(), full.size());
  const auto quick = candidates_of(problem.line(), 8, "cold", Effort::quick);
  EXPECT_LT(quick.size(), full.size());
  EXPECT_TRUE(std::equal(quick.begin(), quick.end(), full.begin()));
}

// The baseline of a race is what a fetch without records runs.
TEST(Candidates, WhereTheDefaultDoesNotFitTheNearestPointThatDoesComesFirst) {
  const auto problem = *compiler::parse_problem("softmax rows=8 width=4096 type=f16");
  runtime::SelectedTarget small = test_target();
  for (small.target.vector_registers = 16; small.target.vector_registers > 1;
       --small.target.vector_registers) {
    const auto space = problem.family().space(problem, small.target);
    const auto fits = runtime::buildable_default(problem, small);
    if (!fits) break;
    const auto list = candidates(problem, {{"rows", 8}}, "cold", small, 1, Effort::full);
    ASSERT_TRUE(list);
    EXPECT_EQ(list->schedules.front(), space.print(*fits));
    EXPECT_EQ(list->schedules.size(), space.points().size());
  }
  EXPECT_LT(small.target.vector_registers, 16);
}

TEST(Candidates, WarmInputsLeaveStreamingStoresOut) {
  const char* line = "relu rows=8192 width=1024";
  const auto streaming = [](const std::vector<std::string>& list) {
    return std::count_if(list.begin() + 1, list.end(), [](const std::string& schedule) {
      return schedule.find("stream=on") != std::string::npos;
    });
  };
  EXPECT_GT(streaming(candidates_of(line, 64, "cold", Effort::full)), 0);
  EXPECT_EQ(streaming(candidates_of(line, 64, "warm", Effort::full)), 0);
}

TEST(Race, TimesEveryRacerInEveryRound) {
  const auto fast = compile("relu rows=16 width=256");
  std::vector<Racer> racers = {{.kernel = fast, .keep = true}, {.kernel = fast, .keep = true}};
  for (const bool cold : {false, true}) {
    SharedInputs inputs_of_buffers;
    const auto buffers = RaceBuffers::create(*fast, {{"rows", 16}}, cold, inputs_of_buffers);
    ASSERT_TRUE(buffers) << buffers.error().message;
    EXPECT_EQ(buffers->sets() > 1, cold);
    auto pool = runtime::ThreadPool::create(2);
    ASSERT_TRUE(pool);
    auto caches = ColdCaches::create(*pool);
    ASSERT_TRUE(caches) << caches.error().message;
    for (Racer& racer : racers) racer.batches_ns.clear();
    const Status status = race(racers, *buffers, cold ? &*caches : nullptr, *pool,
                               {.seconds = 1e9, .max_rounds = 7, .stop_when_decided = false},
                               [](size_t) { FAIL() << "a kept racer was dropped"; });
    ASSERT_TRUE(status) << status.error().message;
    for (const Racer& racer : racers) {
      EXPECT_EQ(racer.batches_ns.size(), 7U);
      for (const double time : racer.batches_ns) EXPECT_GT(time, 0);
    }
  }
}

// A race of made-up times: `batch_ns(racer, round)` is what a call takes.
class MadeUpRace : public testing::Test {
 protected:
  Status run(int max_rounds, const std::function<double(size_t, int)>& batch_ns) {
    const auto kernel = compile("relu rows=1 width=8");
    racers_.resize(racers_.empty() ? 1 : racers_.size());
    for (Racer& racer : racers_) racer.kernel = kernel;
    SharedInputs inputs_of_buffers;
    const auto buffers = RaceBuffers::create(*kernel, {{"rows", 1}}, false, inputs_of_buffers);
    auto pool = runtime::ThreadPool::create(1);
    EXPECT_TRUE(buffers && pool);
    double now = 0;
    RaceOptions options;
    options.seconds = 1e9;
    options.max_rounds = max_rounds;
    options.clock = [&] { return now; };
    options.stand_in = [&](const Racer& racer, int64_t repeats) -> Status {
      const auto i = static_cast<size_t>(&racer - racers_.data());
      const auto round = static_cast<int>(racer.batches_ns.size());
      first_.try_emplace(round, i);
      now += batch_ns(i, round) * 1e-9 * static_cast<double>(repeats);
      return {};
    };
    return race(racers_, *buffers, nullptr, *pool, options,
                [&](size_t i) { dropped_.push_back(i); });
  }

  std::vector<Racer> racers_;
  std::vector<size_t> dropped_;
  std::map<int, size_t> first_;  ///< which racer began each round
};

// What a machine does to the first of a round it does to each in turn.
TEST_F(MadeUpRace, EachRoundBeginsWithAnother) {
  racers_.resize(3);
  for (Racer& racer : racers_) racer.keep = true;
  ASSERT_TRUE(run(7, [](size_t i, int round) {
    return 100 + static_cast<double>((7 * round + 3 * static_cast<int>(i)) % 5);
  }));
  for (int round = 1; round < 4; ++round)
    EXPECT_EQ(first_.at(round), static_cast<size_t>(round) % 3) << round;
}

TEST_F(MadeUpRace, TheHopelessGoAfterTheirFirstBatch) {
  racers_.resize(4);
  racers_[0].keep = true;
  ASSERT_TRUE(run(31, [](size_t i, int) { return std::array{100., 160., 103., 99.}[i]; }));
  EXPECT_EQ(racers_[1].batches_ns.size(), 1U);
  EXPECT_EQ(racers_[2].batches_ns.size(), 4U) << "clearly slower, after the least number of rounds";
  EXPECT_EQ(dropped_, (std::vector<size_t>{1, 2}));
}

TEST_F(MadeUpRace, OfLongBatchesLessMakesHopeless) {
  racers_.resize(3);
  racers_[0].keep = true;
  ASSERT_TRUE(run(31, [](size_t i, int) { return std::array{50e6, 60e6, 52e6}[i]; }));
  EXPECT_EQ(racers_[1].batches_ns.size(), 1U);
  EXPECT_EQ(racers_[2].batches_ns.size(), 4U);
}

TEST_F(MadeUpRace, OneDisturbanceMakesNobodyHopeless) {
  racers_.resize(2);
  // The second racer's first batch is disturbed, its warm-up is not: one call, 64 and a batch.
  int before_second_round = 0;
  ASSERT_TRUE(run(31, [&](size_t i, int round) {
    if (i == 1 && round == 0) ++before_second_round;
    return i == 1 && round == 0 && before_second_round == 4 ? 1000. : 100.;
  }));
  EXPECT_DOUBLE_EQ(racers_[1].batches_ns.front(), 1000);
  EXPECT_TRUE(dropped_.empty());
}

TEST_F(MadeUpRace, RoundsFollowFromTheNoiseSeen) {
  const auto rounds = [&](double noise) {
    racers_.assign(2, {});
    racers_[0].keep = racers_[1].keep = true;
    EXPECT_TRUE(run(31, [&](size_t i, int round) {
      return 100 + noise * static_cast<double>((round * 7 + static_cast<int>(i) * 3) % 5 - 2);
    }));
    EXPECT_TRUE(dropped_.empty());
    return racers_[0].batches_ns.size();
  };
  EXPECT_EQ(rounds(0), 4U);
  EXPECT_EQ(rounds(10), 31U) << "noise of a tenth leaves a percent undecided";
  EXPECT_LT(rounds(0.3), 31U);
}

TEST_F(MadeUpRace, ALoneRacerIsTimedUntilItsTimeIsKnown) {
  ASSERT_TRUE(run(31, [](size_t, int) { return 100.; }));
  EXPECT_EQ(racers_[0].batches_ns.size(), 3U);
  racers_.assign(1, {});
  ASSERT_TRUE(run(31, [](size_t, int round) { return round % 2 == 0 ? 90. : 110.; }));
  EXPECT_EQ(racers_[0].batches_ns.size(), 31U);
}

// A call reads one entry of a table: what is evicted is the entries, not the table.
TEST(RaceBuffers, AColdSetNamesOtherEntriesOfASharedTable) {
  const auto kernel = compile("embedding rows=1 width=256");
  const compiler::Sizes at = {{"rows", 1}, {"vocabulary", 30000}};
  SharedInputs inputs_of_buffers;
  const auto buffers = RaceBuffers::create(*kernel, at, true, inputs_of_buffers, 500);
  ASSERT_TRUE(buffers) << buffers.error().message;
  ASSERT_EQ(buffers->sets(), 500U);
  std::set<const void*> tables, outputs;
  std::set<int32_t> ids;
  for (size_t set = 0; set < buffers->sets(); ++set) {
    const auto views = buffers->views(set, *kernel);
    ASSERT_TRUE(views) << views.error().message;
    ASSERT_EQ(views->size(), 3U);
    tables.insert((*views)[0].data);
    ids.insert(*static_cast<const int32_t*>((*views)[1].data));
    outputs.insert((*views)[2].data);
  }
  EXPECT_EQ(tables.size(), 1U);
  EXPECT_GT(ids.size(), 450U);
  EXPECT_EQ(outputs.size(), buffers->sets());
  int64_t bytes = 0;
  for (const ColdCaches::Bytes& span : buffers->touched(500))
    bytes += static_cast<int64_t>(span.size());
  EXPECT_EQ(bytes, 500 * (1024 + 4 + 1024));
}

// Sets that name the same entries of a small table would find them in a cache.
TEST(RaceBuffers, TheSetsOfASmallTableNameFewOfItsEntries) {
  const auto kernel = compile("embedding rows=8 width=256");
  SharedInputs inputs_of_cold;
  const auto cold =
      RaceBuffers::create(*kernel, {{"rows", 8}, {"vocabulary", 1000}}, true, inputs_of_cold);
  SharedInputs inputs_of_warm;
  const auto warm =
      RaceBuffers::create(*kernel, {{"rows", 8}, {"vocabulary", 1000}}, false, inputs_of_warm);
  ASSERT_TRUE(cold) << cold.error().message;
  ASSERT_TRUE(warm) << warm.error().message;
  EXPECT_EQ(warm->sets(), 1U);
  EXPECT_LE(cold->sets() * 8 * 16, 1000U);
}

TEST(ColdCaches, KeepWhatMemoryHolds) {
  auto pool = runtime::ThreadPool::create(2);
  ASSERT_TRUE(pool);
  auto caches = ColdCaches::create(*pool);
  ASSERT_TRUE(caches) << caches.error().message;
  std::vector<std::byte> memory(100003);
  for (size_t i = 0; i < memory.size(); ++i) memory[i] = static_cast<std::byte>(i * 31);
  const ColdCaches::Bytes spans[] = {{memory.data() + 1, 70000}, {memory.data() + 99999, 4}, {}};
  for (const double written : {0., 0.3, 1.}) caches->make_cold(spans, written);
  for (size_t i = 0; i < memory.size(); ++i)
    ASSERT_EQ(memory[i], static_cast<std::byte>(i * 31)) << i;
}

TEST(Roofs, ArePositiveAndFinite) {
  auto pool = runtime::ThreadPool::create(1);
  ASSERT_TRUE(pool);
  auto caches = ColdCaches::create(*pool);
  ASSERT_TRUE(caches) << caches.error().message;
  const auto meter = RoofMeter::create(test_target(), *pool);
  ASSERT_TRUE(meter) << meter.error().message;
  for (const Footprint& footprint :
       {Footprint{1 << 16, 0.5}, Footprint{1 << 16, 0}, Footprint::of_memory(0.5, 1)}) {
    const auto roofs = (*meter)->measure(footprint, &*caches, 0.02);
    ASSERT_TRUE(roofs) << roofs.error().message;
    for (const double roof : {roofs->gflops, roofs->gbytes_per_s}) {
      EXPECT_TRUE(std::isfinite(roof));
      EXPECT_GT(roof, 0);
    }
  }
}

}  // namespace
}  // namespace lathe::tuner
