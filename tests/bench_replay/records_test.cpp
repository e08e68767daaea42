// Records of a full search: what a store's trials become, and the text that keeps them.
#include "bench/replay/records.h"

#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "tests/temporary_folder.h"

namespace lathe::bench {
namespace {

using store::TrialState;

class RecordsTest : public testing::Test {
 protected:
  void SetUp() override {
    auto opened = store::Store::open(folder_ / "store.db");
    ASSERT_TRUE(opened) << opened.error().message;
    store_.emplace(std::move(*opened));
    key_.problem = "relu rows=8 width=64";
    key_.family = "relu";
    key_.family_revision = 1;
    key_.compiler_version = "1";
    key_.target = "avx2";
    key_.cache = "warm";
    key_.at = "rows=8";
    const auto host = store_->record_host("cpu", "here", "a machine");
    ASSERT_TRUE(host) << host.error().message;
    key_.host = *host;
  }

  void add(const std::string& schedule, TrialState state, std::vector<float> batches) {
    store::Trial trial;
    trial.schedule = schedule;
    trial.state = state;
    trial.batches_ns = std::move(batches);
    trial.median_ns = trial.batches_ns.empty() ? 0 : trial.batches_ns[trial.batches_ns.size() / 2];
    const Status added = store_->record_trial(key_, trial);
    ASSERT_TRUE(added) << added.error().message;
  }

  // Two races, the second on a machine half as fast, and a final.
  void tune() {
    add("unroll=1", TrialState::timed, {100, 100, 100});
    add("unroll=8", TrialState::abandoned, {150, 150});
    add("unroll=1", TrialState::timed, {100, 100, 100});
    add("unroll=2", TrialState::timed, {80, 80, 80});
    add("unroll=16", TrialState::rejected, {});
    add("unroll=1", TrialState::timed, {200, 200, 200});
    add("unroll=4", TrialState::timed, {140, 140, 140});
    store::Winner winner;
    winner.schedule = "unroll=4";
    const Status recorded = store_->record_winner(key_, winner);
    ASSERT_TRUE(recorded) << recorded.error().message;
  }

  tests::TemporaryFolder folder_;
  std::optional<store::Store> store_;
  store::Key key_;
};

TEST_F(RecordsTest, EveryRaceIsScaledByItsOwnDefault) {
  tune();
  const auto records = collect(*store_);
  ASSERT_TRUE(records) << records.error().message;
  ASSERT_EQ(records->size(), 1U);
  const RecordedKernel& kernel = records->begin()->second;
  EXPECT_EQ(kernel.name(), "relu rows=8 width=64 at rows=8 warm");
  EXPECT_EQ(kernel.default_schedule, "unroll=1");
  EXPECT_EQ(kernel.winner, "unroll=4");
  EXPECT_EQ(kernel.schedules.size(), 5U);
  EXPECT_DOUBLE_EQ(kernel.schedules.at("unroll=1").median, 1);
  EXPECT_DOUBLE_EQ(kernel.schedules.at("unroll=2").median, 0.8);
  EXPECT_DOUBLE_EQ(kernel.schedules.at("unroll=4").median, 0.7);
  EXPECT_DOUBLE_EQ(kernel.schedules.at("unroll=8").median, 1.5);
  EXPECT_EQ(kernel.schedules.at("unroll=8").state, TrialState::abandoned);
  EXPECT_EQ(kernel.schedules.at("unroll=16").state, TrialState::rejected);
  EXPECT_TRUE(kernel.schedules.at("unroll=16").relative.empty());
}

TEST_F(RecordsTest, TextReadsBack) {
  tune();
  const auto records = collect(*store_);
  ASSERT_TRUE(records) << records.error().message;
  const auto path = folder_ / "records.tsv";
  const Status saved = save(*records, path);
  ASSERT_TRUE(saved) << saved.error().message;
  const auto loaded = load(path);
  ASSERT_TRUE(loaded) << loaded.error().message;
  ASSERT_EQ(loaded->size(), 1U);
  const RecordedKernel& kernel = loaded->begin()->second;
  const RecordedKernel& before = records->begin()->second;
  EXPECT_EQ(loaded->begin()->first, records->begin()->first);
  EXPECT_EQ(kernel.target, "avx2");
  EXPECT_EQ(kernel.threads, 1);
  EXPECT_DOUBLE_EQ(kernel.default_ns, before.default_ns);
  EXPECT_EQ(kernel.default_schedule, before.default_schedule);
  EXPECT_EQ(kernel.winner, before.winner);
  ASSERT_EQ(kernel.schedules.size(), before.schedules.size());
  for (const auto& [schedule, recorded] : before.schedules) {
    const tuner::TriedSchedule& found = kernel.schedules.at(schedule);
    EXPECT_EQ(found.state, recorded.state) << schedule;
    EXPECT_EQ(found.relative, recorded.relative) << schedule;
  }
}

TEST_F(RecordsTest, ADamagedLineIsNamed) {
  tune();
  const auto records = collect(*store_);
  ASSERT_TRUE(records) << records.error().message;
  const auto path = folder_ / "records.tsv";
  ASSERT_TRUE(save(*records, path));
  std::ifstream file(path);
  std::stringstream whole;
  whole << file.rdbuf();
  const std::string text = whole.str();
  for (const auto& [place, says] :
       {std::pair{text.find("problem"), ":1:"}, std::pair{text.rfind('\t') + 1, ":6:"}}) {
    std::string damaged = text;
    damaged.insert(place, "x ");
    std::ofstream(path) << damaged;
    const auto loaded = load(path);
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().code, ErrorCode::parse_error);
    EXPECT_NE(loaded.error().message.find(says), std::string::npos) << loaded.error().message;
  }
  std::string without_winner = text;
  without_winner.replace(without_winner.find("\twinner\t"), 8, "\tother\t");
  std::ofstream(path) << without_winner;
  const auto loaded = load(path);
  ASSERT_FALSE(loaded);
  EXPECT_NE(loaded.error().message.find("winner"), std::string::npos) << loaded.error().message;
  EXPECT_EQ(load(folder_ / "none.tsv").error().code, ErrorCode::io_error);
}

// A space may gain knobs after a search: the record's schedules are then those without them.
TEST(RecordedKernel, KnobsThatCameLaterChangeNothing) {
  RecordedKernel kernel;
  kernel.default_schedule = "tile=4 next=on";
  kernel.schedules["tile=4 next=on"].median = 1;
  kernel.schedules["tile=6 next=off"].median = 0.9;
  ASSERT_NE(kernel.find("tile=6 next=off"), nullptr);
  EXPECT_EQ(kernel.find("tile=6 next=off")->median, 0.9);
  ASSERT_NE(kernel.find("tile=6 pack=on next=off prefetch=0"), nullptr);
  EXPECT_EQ(kernel.find("tile=6 pack=on next=off prefetch=0")->median, 0.9);
  EXPECT_EQ(kernel.find("tile=6 pack=on next=on"), nullptr);
  EXPECT_EQ(kernel.find(""), nullptr);
}

}  // namespace
}  // namespace lathe::bench
