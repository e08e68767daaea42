// Which records of a store go into a package.
#include "tuner/packages/make_package.h"

#include <gtest/gtest.h>

#include "compiler/family.h"
#include "compiler/version.h"
#include "tests/runtime_packages/samples.h"
#include "tests/temporary_folder.h"

namespace lathe::tuner {
namespace {

using runtime::packages::tests::sample_package;

class SelectRecipes : public testing::Test {
 protected:
  void SetUp() override {
    here_ = *store_.record_host("cpu", "here", "Here");
    there_ = *store_.record_host("cpu", "there", "There");
  }
  store::Key key(const std::string& line, const std::string& host) const {
    const auto problem = compiler::parse_problem(line);
    EXPECT_TRUE(problem) << problem.error().message;
    store::Key key = store::tests::sample_key(host);
    key.problem = problem->line();
    key.family = problem->family().name;
    key.family_revision = problem->family().revision;
    key.compiler_version = compiler::kVersion;
    return key;
  }
  void record(const store::Key& key, store::Winner winner = store::tests::sample_winner()) {
    winner.recorded_us = 1;
    const Status status = store_.record_winner(key, winner);
    EXPECT_TRUE(status) << status.error().message;
  }
  std::vector<store::Key> selected(const Selection& selection) {
    const auto found = select_recipes(store_, selection);
    EXPECT_TRUE(found) << found.error().message;
    std::vector<store::Key> keys;
    for (const store::KeyedWinner& winner : found->recipes.winners) keys.push_back(winner.key);
    return keys;
  }

  lathe::tests::TemporaryFolder folder_;
  store::Store store_ = std::move(*store::Store::open(folder_ / "s.db"));
  std::string here_, there_;
};

TEST_F(SelectRecipes, ByHostTargetThreadsFamilyAndProblem) {
  const store::Key norm = key("rms_norm rows=4 width=64", here_);
  store::Key norm_sse = norm;
  norm_sse.target = "sse";
  store::Key norm_alone = norm;
  norm_alone.threads = 1;
  const store::Key softmax = key("softmax rows=4 width=64", here_);
  const store::Key elsewhere = key("rms_norm rows=4 width=64", there_);
  for (const store::Key& one : {norm, norm_sse, norm_alone, softmax, elsewhere}) record(one);
  using Keys = std::vector<store::Key>;
  EXPECT_EQ(selected({}).size(), 5u);
  EXPECT_EQ(selected({.host = there_}), (Keys{elsewhere}));
  EXPECT_EQ(selected({.host = here_, .target = "sse"}), (Keys{norm_sse}));
  EXPECT_EQ(selected({.host = here_, .threads = 1}), (Keys{norm_alone}));
  EXPECT_EQ(selected({.families = {"softmax"}}), (Keys{softmax}));
  EXPECT_EQ(selected({.problems = std::set<std::string>{softmax.problem}}), (Keys{softmax}));
  EXPECT_TRUE(selected({.problems = std::set<std::string>()}).empty());
  const auto one = select_recipes(store_, {.host = there_});
  ASSERT_EQ(one->recipes.hosts.size(), 1u) << "hosts without records are not packed";
  EXPECT_EQ(one->recipes.hosts[0].id, there_);
}

TEST_F(SelectRecipes, LeavesOutWhatNobodyCouldUse) {
  const store::Key good = key("rms_norm rows=4 width=64", here_);
  record(good);
  store::Key old = good;
  old.compiler_version = "0";
  record(old);
  old = good;
  old.family_revision += 1;
  record(old);
  old = good;
  old.family = "no_such_family";
  record(old);
  store::Key other = good;
  other.threads = 9;
  store::Winner winner = store::tests::sample_winner();
  winner.verified = "";
  record(other, winner);
  other.threads = 10;
  winner = store::tests::sample_winner();
  winner.why = "\x1b[2J";
  record(other, winner);
  other.threads = 11;
  winner.why = "\xff";
  record(other, winner);
  const auto found = select_recipes(store_, {});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->recipes.winners.size(), 1u);
  EXPECT_EQ(found->outdated, 3);
  EXPECT_EQ(found->unchecked, 3);
}

TEST_F(SelectRecipes, TheOrderOfRecordingDoesNotShow) {
  auto other = *store::Store::open(folder_ / "t.db");
  (void)*other.record_host("cpu", "there", "There");
  (void)*other.record_host("cpu", "here", "Here");
  std::vector<store::Key> keys;
  for (int width = 1; width < 9; ++width) {
    for (const std::string& host : {here_, there_})
      keys.push_back(key("rms_norm rows=4 width=" + std::to_string(8 * width), host));
  }
  store::Winner winner = store::tests::sample_winner();
  winner.recorded_us = 1;
  for (const store::Key& one : keys) record(one);
  for (auto one = keys.rbegin(); one != keys.rend(); ++one)
    ASSERT_TRUE(other.record_winner(*one, winner));
  EXPECT_EQ(sample_package(select_recipes(store_, {})->recipes),
            sample_package(select_recipes(other, {})->recipes));
}

}  // namespace
}  // namespace lathe::tuner
