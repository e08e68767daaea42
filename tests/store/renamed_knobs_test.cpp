// Records of before a knob was renamed: read, looked up, merged and checked under its new name.
#include "store/renamed_knobs.h"

#include <gtest/gtest.h>

#include "tests/store/sample.h"
#include "tests/temporary_folder.h"

namespace lathe::store {
namespace {

TEST(RenamedKnobs, EachUnderTodaysNameOfItsFamily) {
  EXPECT_EQ(with_current_names("linear", "tile=4 vectors=3 depth=512 rows=96 columns=128 next=on"),
            "mr=4 nr=3 kc=512 mc=96 nc=128 next=on");
  EXPECT_EQ(with_current_names("batched_matmul", "tile=4,vectors=3,depth=0,rows=96,columns=512"),
            "mr=4,nr=3,kc=0,mc=96,nc=512");
}

TEST(RenamedKnobs, OtherTextStaysAsItIs) {
  for (const char* text :
       {"", " ", "mr=4 nr=3", "prefetch=2048", "retile=4", "tile", "=tile", "tile4=1", "next=tile"})
    EXPECT_EQ(with_current_names("linear", text), text);
  EXPECT_EQ(with_current_names("transpose", "tile=4 rows=8"), "tile=4 rows=8");
  EXPECT_EQ(with_current_names("weight", "panel=32"), "panel=32");
}

TEST(RenamedKnobs, RecordsAreReadByThem) {
  const lathe::tests::TemporaryFolder folder;
  auto old = Store::open(folder / "old.db");
  ASSERT_TRUE(old) << old.error().message;
  Key key = tests::sample_key(tests::sample_host(*old));
  key.family = "linear";
  key.problem = "linear rows=16 n=64 k=64";
  Trial trial = tests::sample_trial();
  trial.schedule = "tile=4 vectors=3";
  Winner winner = tests::sample_winner();
  winner.schedule = "tile=4 vectors=3";
  winner.runner_up = "tile=6 vectors=2";
  ASSERT_TRUE(old->record_trial(key, trial));
  ASSERT_TRUE(old->record_winner(key, winner));

  auto merged = Store::open(folder / "merged.db");
  ASSERT_TRUE(merged) << merged.error().message;
  const auto counts = merged->merge(folder / "old.db");
  ASSERT_TRUE(counts) << counts.error().message;
  EXPECT_EQ(counts->damaged, 0);
  for (Store* store : {&*old, &*merged}) {
    const auto found = store->find(key);
    ASSERT_TRUE(found) << found.error().message;
    ASSERT_TRUE(found->winner);
    EXPECT_EQ(found->winner->schedule, "mr=4 nr=3");
    EXPECT_EQ(found->winner->runner_up, "mr=6 nr=2");
    const auto trials = store->trials(key);
    ASSERT_TRUE(trials) << trials.error().message;
    ASSERT_EQ(trials->size(), 1U);
    EXPECT_EQ(trials->front().schedule, "mr=4 nr=3");
    const auto neighbours = store->of_problem(key);
    ASSERT_TRUE(neighbours) << neighbours.error().message;
    ASSERT_EQ(neighbours->size(), 1U);
    EXPECT_EQ(neighbours->front().winner.schedule, "mr=4 nr=3");
  }
}

}  // namespace
}  // namespace lathe::store
