// What a search concludes from races: events are made up, records are read back from the store.
#include "tuner/task_search.h"

#include <gtest/gtest.h>

#include <lathe/lathe.h>

#include "support/hardware.h"
#include "tests/temporary_folder.h"
#include "tests/tuner/kernels.h"

namespace lathe::tuner {
namespace {

class Decisions : public testing::Test {
 protected:
  void SetUp() override {
    const auto& backend = test_backends().front();
    auto target = backend->target("sse", "");
    ASSERT_TRUE(target) << target.error().message;
    options_.target = {std::move(*target), backend};
    auto opened = store::Store::open(folder_ / "store.db");
    ASSERT_TRUE(opened) << opened.error().message;
    store_.emplace(std::move(*opened));
    ASSERT_TRUE(store_->record_host("cpu", support::host_identity(), "this"));
    Task task;
    task.problem = *compiler::parse_problem("softmax rows=512 width=64");
    task.at = {{"rows", 512}};
    const auto space = task.problem.family().space(task.problem, options_.target.target);
    default_ = space.print(space.default_schedule());
    other_ = space.print(space.points().back());
    ASSERT_NE(default_, other_);
    auto search = TaskSearch::create(task, options_, *store_);
    ASSERT_TRUE(search) << search.error().message;
    search_.emplace(std::move(*search));
  }

  /// A candidate's end, with a nanosecond time for each round.
  void timed(const std::string& schedule, std::vector<double> batches_ns,
             const std::string& check = "everything") {
    Event event;
    event.kind = "trial";
    event.state = "timed";
    event.check = check;
    event.batches_ns = std::move(batches_ns);
    ASSERT_TRUE(search_->record(schedule, event, "session", *store_));
  }

  /// The winner after a race of those recorded since the last.
  store::Winner decided() {
    EXPECT_TRUE(search_->decide(/*raced=*/2, /*final=*/false, "session", *store_));
    const auto lookup = store_->find(search_->key());
    EXPECT_TRUE(lookup && lookup->winner);
    return lookup && lookup->winner ? *lookup->winner : store::Winner{};
  }

  const tests::TemporaryFolder folder_;
  std::optional<store::Store> store_;
  SessionOptions options_;
  std::string default_, other_;
  std::optional<TaskSearch> search_;
};

TEST_F(Decisions, WhatIsFasterInEveryRoundWins) {
  timed(default_, {100, 101, 99, 100, 102, 100});
  timed(other_, {80, 81, 79, 80, 82, 80});
  const store::Winner winner = decided();
  EXPECT_EQ(winner.schedule, other_);
  EXPECT_EQ(winner.verified, "everything");
  EXPECT_NEAR(winner.speedup, 1.25, 0.01);
}

// The smaller median alone is luck: half of the rounds went the other way.
TEST_F(Decisions, WhatIsFasterByChanceDoesNotWin) {
  timed(default_, {100, 100, 100, 100, 100, 100});
  timed(other_, {80, 80, 80, 120, 120, 99});
  EXPECT_EQ(decided().schedule, default_);
}

TEST_F(Decisions, WhoseMachineCodeWasNotCheckedDoesNotWin) {
  timed(default_, {100, 101, 99, 100, 102, 100});
  timed(other_, {80, 81, 79, 80, 82, 80}, /*check=*/"");
  EXPECT_EQ(decided().schedule, default_);
}

// Bytes over nanoseconds are GB/s, and flops over nanoseconds Gflop/s.
TEST_F(Decisions, ARecordHasItsFractionOfTheRoof) {
  const compiler::Work work =
      search_->task().problem.family().work(search_->task().problem, search_->task().at);
  search_->set_roofs(1e6, 20);
  timed(default_, {1000, 1000, 1000, 1000});
  const store::Winner winner = decided();
  EXPECT_DOUBLE_EQ(winner.gflops, work.flops / 1000);
  EXPECT_DOUBLE_EQ(winner.gbytes_per_s, (work.bytes_read + work.bytes_written) / 1000);
  EXPECT_DOUBLE_EQ(winner.roofline_fraction, winner.gbytes_per_s / 20);
  EXPECT_EQ(winner.bound, "memory");
}

}  // namespace
}  // namespace lathe::tuner
