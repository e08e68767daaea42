// Recording and looking up.
#include "store/store.h"

#include <cstdlib>
#include <limits>
#include <thread>

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "store/fields.h"
#include "tests/store/places.h"
#include "tests/store/sample.h"
#include "tests/temporary_folder.h"

namespace lathe::store {
namespace {

using lathe::tests::TemporaryFolder;
using tests::sample_host;
using tests::sample_key;
using tests::sample_trial;
using tests::sample_winner;

class StoreTest : public testing::Test {
 protected:
  void SetUp() override {
    auto opened = Store::open(path());
    ASSERT_TRUE(opened) << opened.error().message;
    store_.emplace(std::move(*opened));
    host_ = sample_host(*store_);
    ASSERT_FALSE(host_.empty());
  }
  std::filesystem::path path() const { return folder_ / "cache/lathe.db"; }

  TemporaryFolder folder_;
  std::optional<Store> store_;
  std::string host_;
};

unsigned mode_of(const std::filesystem::path& path) {
  struct stat info = {};
  return ::stat(path.c_str(), &info) == 0 ? info.st_mode & 07777 : 0;
}

TEST_F(StoreTest, FileAndFolderArePrivate) {
  EXPECT_EQ(mode_of(path()), 0600u);
  EXPECT_EQ(mode_of(path().parent_path()), 0700u);
  EXPECT_EQ(mode_of(path().string() + "-wal"), 0600u);
  EXPECT_EQ(store_->recovery_note(), std::nullopt);
}

TEST_F(StoreTest, WinnerComesBackAsRecorded) {
  const Key key = sample_key(host_);
  Winner winner = sample_winner();
  winner.recorded_us = 1234567;
  ASSERT_TRUE(store_->record_winner(key, winner));
  const auto lookup = store_->find(key);
  ASSERT_TRUE(lookup) << lookup.error().message;
  ASSERT_TRUE(lookup->winner) << lookup->miss.reason;
  EXPECT_EQ(checksum(key, *lookup->winner), checksum(key, winner));
  EXPECT_EQ(lookup->winner->runner_up, "accumulators=8");
  EXPECT_EQ(lookup->winner->roofline_fraction, 0.81);
}

TEST_F(StoreTest, ASecondWinnerReplacesTheFirst) {
  const Key key = sample_key(host_);
  Winner winner = sample_winner();
  ASSERT_TRUE(store_->record_winner(key, winner));
  winner.schedule = "accumulators=2";
  ASSERT_TRUE(store_->record_winner(key, winner));
  EXPECT_EQ(store_->find(key)->winner->schedule, "accumulators=2");
  EXPECT_EQ(store_->winners()->size(), 1u);
}

TEST_F(StoreTest, TrialsComeBackInOrder) {
  const Key key = sample_key(host_);
  for (int i = 0; i < 5; ++i) {
    Trial trial = sample_trial(i);
    trial.recorded_us = 100 + i;
    trial.state = static_cast<TrialState>(i);
    if (i == 2) trial.batches_ns.clear();
    ASSERT_TRUE(store_->record_trial(key, trial));
  }
  const auto trials = store_->trials(key);
  ASSERT_TRUE(trials);
  ASSERT_EQ(trials->size(), 5u);
  for (int i = 0; i < 5; ++i) {
    const Trial& trial = (*trials)[static_cast<std::size_t>(i)];
    EXPECT_EQ(trial.schedule, sample_trial(i).schedule);
    EXPECT_EQ(trial.state, static_cast<TrialState>(i));
    EXPECT_EQ(trial.batches_ns, i == 2 ? std::vector<float>{} : sample_trial().batches_ns);
    EXPECT_EQ(trial.check, "oracle on 17 rows: ok");
  }
  EXPECT_TRUE(store_->trials(sample_key(host_, 72))->empty());
}

TEST_F(StoreTest, TimeIsSetWhereMissing) {
  ASSERT_TRUE(store_->record_trial(sample_key(host_), sample_trial()));
  EXPECT_GT(store_->trials(sample_key(host_))->at(0).recorded_us, 1600000000000000);
}

TEST_F(StoreTest, AwkwardTextSurvives) {
  Key key = sample_key(host_);
  key.problem = "quote ' \" ; -- \n tab\t null" + std::string(1, '\0') + " ünïcode";
  ASSERT_TRUE(store_->record_winner(key, sample_winner()));
  const auto lookup = store_->find(key);
  ASSERT_TRUE(lookup && lookup->winner);
  EXPECT_EQ(store_->winners()->at(0).key, key);
}

TEST_F(StoreTest, MissOfAnUnknownProblem) {
  const auto lookup = store_->find(sample_key(host_));
  ASSERT_TRUE(lookup);
  EXPECT_FALSE(lookup->winner);
  EXPECT_EQ(lookup->miss.reason, "nothing is recorded for this problem");
  EXPECT_FALSE(lookup->miss.closest);
}

TEST_F(StoreTest, MissSaysWhatDiffers) {
  Key recorded = sample_key(host_);
  ASSERT_TRUE(store_->record_winner(recorded, sample_winner()));
  Key far = recorded;
  far.threads = 1;
  far.cache = "warm";
  ASSERT_TRUE(store_->record_winner(far, sample_winner()));
  Key wanted = recorded;
  wanted.family_revision = 2;
  wanted.compiler_version = "0.2.0";
  const auto lookup = store_->find(wanted);
  ASSERT_TRUE(lookup && !lookup->winner);
  EXPECT_EQ(lookup->miss.closest, recorded) << "not the one that differs more";
  EXPECT_EQ(lookup->miss.reason, "family revision 1 ≠ 2, compiler version 0.1.0 ≠ 0.2.0");
}

TEST_F(StoreTest, MissOfAnotherHostNamesTheHardware) {
  ASSERT_TRUE(store_->record_winner(sample_key(host_), sample_winner()));
  const std::string other = sample_host(*store_, "x86_64 isa=1fff l2=1");
  Key wanted = sample_key(other);
  EXPECT_EQ(store_->find(wanted)->miss.reason, "another host (isa=fff ≠ isa=1fff)");
  wanted.threads = 2;
  EXPECT_EQ(store_->find(wanted)->miss.reason, "another host (isa=fff ≠ isa=1fff), threads 4 ≠ 2");
}

TEST_F(StoreTest, RecordsOfAProblemThisHostsFirst) {
  const std::string other = sample_host(*store_, "x86_64 isa=1 l2=2");
  const Key wanted = sample_key(host_);
  std::vector<Key> own(3, wanted);
  own[0].at = "rows=1";
  own[1].cache = "warm";
  own[2].threads = 2;
  Key old = wanted;
  old.family_revision = 0;
  Winner winner = sample_winner();
  for (const Key& key : {own[0], own[1], own[2], sample_key(other), old, sample_key(host_, 72)}) {
    winner.recorded_us += 1;
    ASSERT_TRUE(store_->record_winner(key, winner));
  }
  const auto found = store_->of_problem(wanted);
  ASSERT_TRUE(found);
  ASSERT_EQ(found->size(), 4u);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ((*found)[i].key, own[2 - i]) << "newest first";
  EXPECT_EQ((*found)[3].key, sample_key(other)) << "newer, but of another host";
}

TEST_F(StoreTest, NeighboursAreKeysOfOtherProblemsOnThisHost) {
  const std::string other = sample_host(*store_, "x86_64 isa=1 l2=2");
  const Key wanted = sample_key(host_);
  std::vector<Key> near = {sample_key(host_, 72), sample_key(host_, 4096)};
  Key old = sample_key(host_, 80);
  old.family_revision = 0;
  Key elsewhere = sample_key(host_, 80);
  elsewhere.target = "sse";
  for (const Key& key : {near[0], near[1], old, elsewhere, wanted, sample_key(other, 72)}) {
    ASSERT_TRUE(store_->record_winner(key, sample_winner()));
  }
  // A key without a winner is no neighbour.
  ASSERT_TRUE(store_->record_trial(sample_key(host_, 81), sample_trial()));
  const auto found = store_->neighbours(wanted);
  ASSERT_TRUE(found);
  ASSERT_EQ(found->size(), 2u);
  EXPECT_EQ((*found)[0], near[1]);
  EXPECT_EQ((*found)[1], near[0]);
}

TEST_F(StoreTest, ALookUpReadsABoundedNumberOfRecords) {
  Key key = sample_key(host_);
  for (int i = 0; i < kMostOfProblem + 10; ++i) {
    key.at = "rows=" + std::to_string(i);
    ASSERT_TRUE(store_->record_winner(key, sample_winner()));
  }
  EXPECT_EQ(store_->of_problem(key)->size(), static_cast<std::size_t>(kMostOfProblem));
  for (int i = 0; i < kMostNeighbours + 10; ++i)
    ASSERT_TRUE(store_->record_winner(sample_key(host_, 100000 + i), sample_winner()));
  const auto found = store_->neighbours(key);
  ASSERT_EQ(found->size(), static_cast<std::size_t>(kMostNeighbours));
  EXPECT_EQ(found->front(), sample_key(host_, 100000 + kMostNeighbours + 9)) << "newest first";
}

TEST_F(StoreTest, RecordsOutliveTheProcess) {
  ASSERT_TRUE(store_->record_winner(sample_key(host_), sample_winner()));
  store_.reset();
  auto again = Store::open(path());
  ASSERT_TRUE(again);
  EXPECT_TRUE(again->find(sample_key(host_))->winner);
  EXPECT_EQ(again->hosts()->at(0).description, "Example CPU");
  EXPECT_EQ(*again->check(), "ok");
}

TEST_F(StoreTest, ReaderSeesWhatWasCommitted) {
  auto reader = Store::open(path(), {.mode = OpenMode::read_only});
  ASSERT_TRUE(reader) << reader.error().message;
  EXPECT_FALSE(reader->find(sample_key(host_))->winner);
  ASSERT_TRUE(store_->record_winner(sample_key(host_), sample_winner()));
  EXPECT_TRUE(reader->find(sample_key(host_))->winner);
}

TEST_F(StoreTest, ManyThreadsOfOneProcess) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 25; ++i) {
        EXPECT_TRUE(store_->record_trial(sample_key(host_, t), sample_trial(i)));
        EXPECT_TRUE(store_->find(sample_key(host_, t)));
      }
    });
  }
  for (auto& thread : threads) thread.join();
  for (int t = 0; t < 4; ++t) EXPECT_EQ(store_->trials(sample_key(host_, t))->size(), 25u);
}

TEST_F(StoreTest, RollbackJournal) {
  const auto file = folder_ / "rollback.db";
  {
    auto store = Store::open(file, {.journal = Journal::rollback});
    ASSERT_TRUE(store);
    EXPECT_EQ(store->summary()->journal_mode, "delete");
    const std::string host = sample_host(*store);
    ASSERT_TRUE(store->record_winner(sample_key(host), sample_winner()));
  }
  EXPECT_FALSE(std::filesystem::exists(file.string() + "-wal"));
  // The same file under the other journal, and back.
  EXPECT_EQ(Store::open(file, {.journal = Journal::wal})->summary()->journal_mode, "wal");
  auto back = Store::open(file, {.journal = Journal::rollback});
  EXPECT_EQ(back->summary()->journal_mode, "delete");
  EXPECT_EQ(back->winners()->size(), 1u);
}

TEST_F(StoreTest, TheDefaultIsInTheCacheFolder) {
  const tests::CacheFolder cache;
  const auto store = Store::open_default();
  ASSERT_TRUE(store) << store.error().message;
  EXPECT_EQ(store->path(), cache.home() / "lathe/lathe.db");
}

TEST_F(StoreTest, ImpossibleRecords) {
  Key key = sample_key(host_);
  key.host = "0123456789abcdef";
  EXPECT_EQ(store_->record_trial(key, sample_trial()).error().code, ErrorCode::not_found);
  EXPECT_EQ(store_->record_winner(key, sample_winner()).error().code, ErrorCode::not_found);
  key = sample_key(host_);
  key.problem.clear();
  EXPECT_EQ(store_->record_trial(key, sample_trial()).error().code, ErrorCode::invalid_argument);
  key = sample_key(host_);
  key.threads = 0;
  EXPECT_EQ(store_->record_winner(key, sample_winner()).error().code, ErrorCode::invalid_argument);
  Winner winner = sample_winner();
  winner.tuned_ns = std::numeric_limits<double>::quiet_NaN();
  const auto status = store_->record_winner(sample_key(host_), winner);
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().message.find("tuned_ns"), std::string::npos);
  Trial trial = sample_trial();
  trial.batches_ns[1] = std::numeric_limits<float>::infinity();
  EXPECT_EQ(store_->record_trial(sample_key(host_), trial).error().code,
            ErrorCode::invalid_argument);
  EXPECT_TRUE(store_->trials(sample_key(host_))->empty());
}

}  // namespace
}  // namespace lathe::store
