// Which of a store's records a fetch takes.
#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <lathe/backends.h>

#include "compiler/sizes.h"
#include "runtime/library/choose_schedule.h"
#include "support/hardware.h"
#include "tests/temporary_folder.h"

namespace lathe::runtime {
namespace {

// Records of softmax problems, each under a schedule of its own, and what a fetch takes of them.
class ChooseFromRecords : public testing::Test {
 protected:
  void SetUp() override {
    auto opened = store::Store::open(folder_ / "store.db");
    ASSERT_TRUE(opened) << opened.error().message;
    store_.emplace(std::move(*opened));
    ASSERT_TRUE(store_->record_host("cpu", support::host_identity(), "this"));
    auto selected = select_library_target(default_backends(), "sse");
    ASSERT_TRUE(selected) << selected.error().message;
    selected_ = std::move(*selected);
    const compiler::SearchSpace space = problem().family().space(problem(), selected_.target);
    for (const compiler::Schedule& schedule : space.points()) {
      schedules_.push_back(space.print(schedule));
      if (schedules_.size() == 4) break;
    }
    ASSERT_EQ(schedules_.size(), 4u);
  }

  static compiler::Problem problem(int64_t width = 64) {
    return *compiler::parse_problem(fmt::format("softmax rows=8 width={}", width));
  }

  store::Key key(const compiler::Problem& problem) const {
    return record_key(problem, *compiler::complete_sizes(problem), selected_.target, {});
  }

  /// Later records are newer.
  void record(const store::Key& key, int schedule) {
    store::Winner winner;
    winner.schedule = schedules_[static_cast<std::size_t>(schedule)];
    winner.verified = "everything";
    winner.recorded_us = ++clock_;
    ASSERT_TRUE(store_->record_winner(key, winner));
  }

  /// The number of the schedule that is taken; -1: none of the recorded ones.
  int chosen(const compiler::Problem& wanted, Match match) {
    const ScheduleChoice choice = *choose_schedule(wanted, selected_.target, {}, *store_);
    EXPECT_EQ(choice.match, match) << choice.reason;
    const auto space = wanted.family().space(wanted, selected_.target);
    const auto found =
        std::find(schedules_.begin(), schedules_.end(), space.print(choice.schedule));
    return found == schedules_.end() ? -1 : static_cast<int>(found - schedules_.begin());
  }

  const tests::TemporaryFolder folder_;
  std::optional<store::Store> store_;
  SelectedTarget selected_;
  std::vector<std::string> schedules_;
  std::int64_t clock_ = 0;
};

TEST_F(ChooseFromRecords, ARecordOfWarmOperandsIsTheBucketsOwnBeforeNewerOnesOfOtherThreads) {
  store::Key warm = key(problem());
  warm.cache = "warm";
  store::Key threads = key(problem());
  threads.threads = 7;
  record(warm, 1);
  record(threads, 2);
  record(key(problem(72)), 3);
  EXPECT_EQ(chosen(problem(), Match::exact), 1);
  record(key(problem()), 0);
  EXPECT_EQ(chosen(problem(), Match::exact), 0);
}

TEST_F(ChooseFromRecords, OtherThreadsComeBeforeOtherProblems) {
  store::Key threads = key(problem());
  threads.threads = 7;
  record(threads, 2);
  record(key(problem(72)), 3);
  EXPECT_EQ(chosen(problem(), Match::near), 2);
}

TEST_F(ChooseFromRecords, TheNearestProblemIsTakenAndOfEquallyNearOnesThatOfTheSameThreads) {
  record(key(problem(128)), 1);
  store::Key threads = key(problem(128));
  threads.threads = 7;
  record(threads, 2);
  record(key(problem(4096)), 3);
  EXPECT_EQ(chosen(problem(), Match::near), 1);
}

// A cache in another layout is read by the same kernel: better than the default, behind its own.
TEST_F(ChooseFromRecords, AnotherLayoutOfACacheIsNear) {
  const auto attention = [](const std::string& rest) {
    return *compiler::parse_problem("attention_decode context=600 heads=4 kv_heads=2 dim=16" +
                                    rest);
  };
  const compiler::Problem wanted = attention(" kv_layout=hnd");
  const compiler::SearchSpace space = wanted.family().space(wanted, selected_.target);
  const auto points = space.points();
  ASSERT_GT(points.size(), 4U);
  for (size_t i = 0; i < 4; ++i) schedules_[i] = space.print(points[points.size() - 1 - i]);
  record(key(attention(" kv_layout=hnd type=bf16")), 3);
  record(key(attention(" kv_layout=hnd causal=end")), 0);
  EXPECT_EQ(chosen(wanted, Match::default_), -1) << "other types and texts are no neighbours";
  record(key(attention("")), 1);
  EXPECT_EQ(chosen(wanted, Match::near), 1);
  record(key(wanted), 2);
  EXPECT_EQ(chosen(wanted, Match::exact), 2);
}

TEST_F(ChooseFromRecords, AnUnusableRecordGivesWayToTheNextNearest) {
  record(key(problem(128)), 1);
  record(key(problem(4096)), 3);
  store::Winner unchecked;
  unchecked.schedule = schedules_[2];
  ASSERT_TRUE(store_->record_winner(key(problem(72)), unchecked));
  EXPECT_EQ(chosen(problem(), Match::near), 1);
}

TEST_F(ChooseFromRecords, WithoutRecordsTheDefaultAndWhy) {
  const ScheduleChoice choice = *choose_schedule(problem(), selected_.target, {}, *store_);
  EXPECT_EQ(choice.match, Match::default_);
  EXPECT_EQ(choice.reason, "nothing is recorded for this problem");
}

}  // namespace
}  // namespace lathe::runtime
