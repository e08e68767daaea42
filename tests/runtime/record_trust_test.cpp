// Which records are used: for each reason not to, one that gives no other.
#include "runtime/library/record_trust.h"

#include <gtest/gtest.h>

#include "compiler/family.h"
#include "compiler/problem.h"
#include "compiler/sizes.h"
#include "ir/target.h"
#include "runtime/library/choose_schedule.h"
#include "support/hardware.h"
#include "tests/temporary_folder.h"

namespace lathe::runtime {
namespace {

class RecordTrust : public testing::Test {
 protected:
  void SetUp() override {
    problem_ = *compiler::parse_problem("silu rows=512 width=64");
    target_ = *ir::parse_target("sse");
    space_.emplace(problem_.family().space(problem_, target_));
    winner_.schedule = space_->print(space_->default_schedule());
    winner_.tuned_ns = 1;
    winner_.verified = "everything";
  }

  std::string why_unused() const {
    const auto schedule = usable_schedule(winner_, *space_);
    return schedule ? "" : schedule.error().message;
  }

  compiler::Problem problem_;
  ir::Target target_;
  std::optional<compiler::SearchSpace> space_;
  store::Winner winner_;
};

TEST_F(RecordTrust, ASoundRecordIsUsed) { EXPECT_EQ(why_unused(), ""); }

TEST_F(RecordTrust, WhatWasNeverCheckedIsNot) {
  winner_.verified = "";
  EXPECT_NE(why_unused().find("never checked"), std::string::npos);
}

TEST_F(RecordTrust, TextOfNoWriterIsShownEscapedAndNotUsed) {
  for (std::string store::Winner::* field :
       {&store::Winner::why, &store::Winner::verified, &store::Winner::session,
        &store::Winner::runner_up, &store::Winner::bound}) {
    store::Winner record = winner_;
    record.*field = "fast\x1b[2J";
    const auto schedule = usable_schedule(record, *space_);
    ASSERT_FALSE(schedule);
    EXPECT_NE(schedule.error().message.find("fast\\x1b[2J"), std::string::npos)
        << schedule.error().message;
  }
}

TEST_F(RecordTrust, ASchedulesOutsideTodaysSpaceIsNamed) {
  winner_.schedule = "unroll=4711";
  EXPECT_NE(why_unused().find("'unroll=4711' is not in today's search space"), std::string::npos);
}

TEST_F(RecordTrust, AFetchDecidesAlike) {
  const tests::TemporaryFolder folder;
  auto store = store::Store::open(folder / "store.db");
  ASSERT_TRUE(store);
  ASSERT_TRUE(store->record_host("cpu", support::host_identity(), "this"));
  const RecordContext context;
  const store::Key key =
      record_key(problem_, *compiler::complete_sizes(problem_), target_, context);
  ASSERT_TRUE(store->record_winner(key, winner_));
  EXPECT_EQ(choose_schedule(problem_, target_, context, *store)->match, Match::exact);
  winner_.verified = "";
  ASSERT_TRUE(store->record_winner(key, winner_));
  const ScheduleChoice choice = *choose_schedule(problem_, target_, context, *store);
  EXPECT_EQ(choice.match, Match::default_);
  EXPECT_NE(choice.reason.find("never checked"), std::string::npos) << choice.reason;
}

}  // namespace
}  // namespace lathe::runtime
