// Candidates in order, a race of two real kernels, and the roofs.
#include "tuner/race.h"

#include <algorithm>
#include <cmath>
#include <set>

#include <gtest/gtest.h>

#include "runtime/choose_schedule.h"
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
  return list ? *list : std::vector<std::string>{};
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
    EXPECT_EQ(list->front(), space.print(*fits));
    EXPECT_EQ(list->size(), space.points().size());
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
    const auto buffers = RaceBuffers::create(*fast, {{"rows", 16}}, cold);
    ASSERT_TRUE(buffers) << buffers.error().message;
    EXPECT_EQ(buffers->sets() > 1, cold);
    auto pool = runtime::ThreadPool::create(1);
    ASSERT_TRUE(pool);
    for (Racer& racer : racers) racer.batches_ns.clear();
    const Status status =
        race(racers, *buffers, *pool, {.seconds = 1e9, .max_rounds = 7, .stop_when_decided = false},
             [](size_t) { FAIL() << "a kept racer was dropped"; });
    ASSERT_TRUE(status) << status.error().message;
    for (const Racer& racer : racers) {
      EXPECT_EQ(racer.batches_ns.size(), 7U);
      for (const double time : racer.batches_ns) EXPECT_GT(time, 0);
    }
  }
}

// A call reads one entry of a table: two copies of a large one would be two entries, both in cache.
TEST(RaceBuffers, AColdSetNamesOtherEntriesOfASharedTable) {
  const auto kernel = compile("embedding rows=1 width=256");
  const compiler::Sizes at = {{"rows", 1}, {"vocabulary", 300000}};  // 300 MB
  const auto buffers = RaceBuffers::create(*kernel, at, true);
  ASSERT_TRUE(buffers) << buffers.error().message;
  EXPECT_EQ(buffers->sets(), 4096U);
  std::set<const void*> tables, outputs;
  std::set<int32_t> ids;
  for (size_t set = 0; set < buffers->sets(); ++set) {
    const auto& views = buffers->views(set);
    ASSERT_EQ(views.size(), 3U);
    tables.insert(views[0].data);
    ids.insert(*static_cast<const int32_t*>(views[1].data));
    outputs.insert(views[2].data);
  }
  EXPECT_EQ(tables.size(), 1U);
  EXPECT_GT(ids.size(), 3500U);
  EXPECT_EQ(outputs.size(), buffers->sets());
}

// A table smaller than the caches exists in so many copies that it is not found there.
TEST(RaceBuffers, ASmallTableIsCopied) {
  const auto kernel = compile("embedding rows=8 width=256");
  const auto cold = RaceBuffers::create(*kernel, {{"rows", 8}, {"vocabulary", 1000}}, true);
  const auto warm = RaceBuffers::create(*kernel, {{"rows", 8}, {"vocabulary", 1000}}, false);
  ASSERT_TRUE(cold) << cold.error().message;
  ASSERT_TRUE(warm) << warm.error().message;
  EXPECT_EQ(warm->sets(), 1U);
  std::set<const void*> tables;
  for (size_t set = 0; set < cold->sets(); ++set) tables.insert(cold->views(set)[0].data);
  EXPECT_GE(tables.size() * 1000 * 256 * 4, size_t{60} << 20);
}

TEST(Roofs, ArePositiveAndFinite) {
  auto pool = runtime::ThreadPool::create(1);
  ASSERT_TRUE(pool);
  for (const Footprint& footprint :
       {Footprint{1 << 16, 0.5}, Footprint{1 << 16, 0}, Footprint{int64_t{64} << 20, 0.5}}) {
    const auto roofs = measure_roofs(test_target(), *pool, footprint, 0.02);
    ASSERT_TRUE(roofs) << roofs.error().message;
    for (const double roof : {roofs->gflops, roofs->gbytes_per_s}) {
      EXPECT_TRUE(std::isfinite(roof));
      EXPECT_GT(roof, 0);
    }
  }
}

}  // namespace
}  // namespace lathe::tuner
