// Two writers, kill -9, cut files, noise: nothing acknowledged is lost, nothing damaged is fatal.
#include <algorithm>
#include <chrono>
#include <functional>
#include <random>
#include <set>
#include <thread>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/fields.h"
#include "store/store.h"
#include "support/files.h"
#include "support/log.h"
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

class StoreFaults : public testing::Test {
 protected:
  StoreFaults() { support::set_log_level(support::LogLevel::error); }  // setting aside is expected
  std::filesystem::path path() const { return cache_.store(); }

  /// Files that were set aside, without their journals.
  int count_set_aside() const {
    int count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(cache_.folder())) {
      const std::string name = entry.path().filename().string();
      const bool journal =
          name.ends_with("-wal") || name.ends_with("-shm") || name.ends_with("-journal");
      if (name.starts_with("lathe.db.damaged-") && !journal) ++count;
    }
    return count;
  }

  tests::CacheFolder cache_;
};

/// Starts a child process that runs a function and exits with its result.
pid_t start(const std::function<int()>& child) {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(child());
  return pid;
}

int exit_status(pid_t pid) {
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST_F(StoreFaults, TwoProcessesLoseNothing) {
  for (const Journal journal : {Journal::wal, Journal::rollback}) {
    const auto file = cache_.home() / (journal == Journal::wal ? "wal.db" : "rollback.db");
    const int trials = journal == Journal::wal ? 150 : 30;  // the latter syncs every commit
    std::vector<pid_t> children;
    for (int process = 0; process < 2; ++process) {
      children.push_back(start([&] {
        auto store = Store::open(file, {.journal = journal});
        if (!store) return 1;
        const std::string host = sample_host(*store);
        for (int i = 0; i < trials; ++i) {
          if (!store->record_trial(sample_key(host, process), sample_trial(i))) return 2;
          if (i % 10 == 0 && !store->record_winner(sample_key(host), sample_winner())) return 3;
          if (!store->find(sample_key(host))) return 4;
        }
        return 0;
      }));
    }
    for (const pid_t child : children) EXPECT_EQ(exit_status(child), 0);
    auto store = Store::open(file, {.journal = journal});
    ASSERT_TRUE(store);
    EXPECT_EQ(store->recovery_note(), std::nullopt);
    const std::string host = sample_host(*store);
    for (int process = 0; process < 2; ++process) {
      std::set<std::string> schedules;
      const auto trials_found = store->trials(sample_key(host, process));
      ASSERT_TRUE(trials_found);
      for (const Trial& trial : *trials_found) {
        schedules.insert(trial.schedule);
      }
      EXPECT_EQ(schedules.size(), static_cast<std::size_t>(trials));
    }
    EXPECT_EQ(*store->check(), "ok");
  }
}

/// Records trials first, first + 1, … for ever and writes each number to a pipe once it is
/// recorded.
[[noreturn]] void record_until_killed(const std::filesystem::path& path, Journal journal, int first,
                                      int pipe) {
  auto store = Store::open(path, {.journal = journal});
  if (!store) ::_exit(1);
  const std::string host = sample_host(*store);
  for (int number = first;; ++number) {
    if (!store->record_trial(sample_key(host), sample_trial(number))) ::_exit(2);
    if (::write(pipe, &number, sizeof number) != sizeof number) ::_exit(3);
  }
}

TEST_F(StoreFaults, KilledTwentyTimesLosesNothingAcknowledged) {
  std::mt19937 random(20);
  std::set<int> acknowledged;
  for (int kill = 0; kill < 20; ++kill) {
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    const Journal journal = kill % 4 == 3 ? Journal::rollback : Journal::wal;
    const pid_t child = ::fork();
    if (child == 0) record_until_killed(path(), journal, kill * 1000000, ends[1]);
    ::close(ends[1]);
    // From before the file is opened until well into the writing.
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 60000));
    ASSERT_EQ(::kill(child, SIGKILL), 0);
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status)) << "the child ended by itself: " << status;
    int number = 0;
    while (::read(ends[0], &number, sizeof number) == sizeof number) acknowledged.insert(number);
    ::close(ends[0]);

    auto store = Store::open(path());
    ASSERT_TRUE(store) << store.error().message;
    ASSERT_EQ(*store->check(), "ok");
    std::set<std::string> recorded;
    const auto trials_found = store->trials(sample_key(sample_host(*store)));
    ASSERT_TRUE(trials_found);
    for (const Trial& trial : *trials_found) {
      EXPECT_TRUE(recorded.insert(trial.schedule).second) << "recorded twice";
    }
    for (const int each : acknowledged) {
      ASSERT_TRUE(recorded.contains(sample_trial(each).schedule)) << each << " after kill " << kill;
    }
    EXPECT_LE(recorded.size(), acknowledged.size() + static_cast<std::size_t>(kill) + 1)
        << "at most the trial under way was recorded without word of it";
  }
  EXPECT_EQ(count_set_aside(), 0);
  EXPECT_GT(acknowledged.size(), 20u);
}

/// The bytes of a store with some records.
std::string sound_bytes() {
  const TemporaryFolder folder;
  {
    auto store = *Store::open(folder / "a.db");
    const std::string host = sample_host(store);
    for (int i = 0; i < 40; ++i) {
      EXPECT_TRUE(store.record_trial(sample_key(host, i % 5), sample_trial(i)));
      EXPECT_TRUE(store.record_winner(sample_key(host, i), sample_winner()));
    }
  }
  return *support::read_file(folder / "a.db");
}

/// Opens the cache folder's store, whose file was damaged, and makes sure that it can be used. Its
/// recovery note.
std::optional<std::string> open_and_use() {
  auto store = Store::open_default();
  EXPECT_TRUE(store) << store.error().message;
  if (!store) return std::nullopt;
  const std::string host = sample_host(*store);
  EXPECT_TRUE(store->record_winner(sample_key(host, 12345), sample_winner()));
  EXPECT_TRUE(store->find(sample_key(host, 12345))->winner);
  return store->recovery_note();
}

TEST_F(StoreFaults, CutShortAtManyLengths) {
  const std::string bytes = sound_bytes();
  std::vector<std::size_t> lengths = {
      2, 15, 16, 50, 99, 100, 101, 512, bytes.size() - 1, bytes.size() - 4096};
  for (std::size_t length = 4000; length < bytes.size(); length += bytes.size() / 12) {
    lengths.push_back(length);
  }
  int set_aside = 0;
  for (const std::size_t length : lengths) {
    ASSERT_TRUE(support::write_file(path(), bytes.substr(0, length)));
    const auto note = open_and_use();
    ASSERT_TRUE(note) << "cut to " << length << " of " << bytes.size();
    EXPECT_NE(note->find("set aside as " + path().string() + ".damaged-"), std::string::npos);
    EXPECT_EQ(count_set_aside(), ++set_aside);
  }
}

TEST_F(StoreFaults, CutToNothingIsReported) {
  ASSERT_EQ(open_and_use(), std::nullopt);
  for (const char* rest : {"", "S"}) {  // SQLite takes a single byte for an empty file
    ASSERT_TRUE(support::write_file(path(), rest));
    const auto note = open_and_use();
    ASSERT_TRUE(note);
    EXPECT_NE(note->find(*rest == '\0' ? "emptied" : "set aside"), std::string::npos) << *note;
  }
}

TEST_F(StoreFaults, FilledWithNoise) {
  std::mt19937 random(7);
  std::string noise(20000, '\0');
  for (char& byte : noise) byte = static_cast<char>(random());
  ASSERT_TRUE(support::write_file(path(), noise));
  ASSERT_TRUE(open_and_use());
  EXPECT_EQ(count_set_aside(), 1);
  for (const auto& entry : std::filesystem::directory_iterator(cache_.folder())) {
    if (entry.path().filename().string().find("damaged") == std::string::npos) continue;
    EXPECT_EQ(*support::read_file(entry.path()), noise) << "kept for whoever wants to look";
  }
}

TEST_F(StoreFaults, NoiseInAnyPlaceNeverGivesAWrongRecord) {
  const std::string bytes = sound_bytes();
  std::mt19937 random(11);
  int reported = 0;
  for (int round = 0; round < 80; ++round) {
    std::string hit = bytes;
    const std::size_t length = std::size_t{1} << random() % 12;
    const std::size_t at = random() % hit.size();
    for (std::size_t i = at; i < std::min(hit.size(), at + length); ++i) {
      hit[i] = static_cast<char>(random());
    }
    const tests::CacheFolder folder;
    ASSERT_TRUE(support::write_file(folder.store(), hit));
    auto store = Store::open_default();
    if (!store) {  // the version field may name a Lathe of the near future
      EXPECT_EQ(store.error().code, ErrorCode::unsupported) << store.error().message;
      continue;
    }
    if (store->recovery_note()) ++reported;
    const std::string host = host_id("cpu", "x86_64 isa=fff l2=1");
    for (int i = 0; i < 40; ++i) {
      const auto lookup = store->find(sample_key(host, i));
      ASSERT_TRUE(lookup) << round << ": " << lookup.error().message;
      if (!lookup->winner) continue;
      Winner expected = sample_winner();
      expected.recorded_us = lookup->winner->recorded_us;
      EXPECT_EQ(checksum(sample_key(host, i), *lookup->winner),
                checksum(sample_key(host, i), expected));
    }
    EXPECT_TRUE(store->export_json());
    EXPECT_TRUE(store->summary());
    sample_host(*store);
    EXPECT_TRUE(store->record_winner(sample_key(host, 1), sample_winner())) << round;
    EXPECT_TRUE(store->find(sample_key(host, 1))->winner) << round;
  }
  EXPECT_GT(reported, 20);
}

TEST_F(StoreFaults, ReadersRepairNothing) {
  ASSERT_TRUE(support::write_file(path(), std::string(9000, 'z')));
  const auto before = tests::look_of(cache_.folder());
  const auto store = Store::open_default({.mode = OpenMode::read_only});
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, ErrorCode::corrupt) << store.error().message;
  EXPECT_EQ(tests::look_of(cache_.folder()), before);
}

TEST_F(StoreFaults, ManyOpenersSetADamagedFileAsideOnce) {
  for (int round = 0; round < 5; ++round) {
    ASSERT_TRUE(support::write_file(path(), std::string(9000, 'z')));
    std::vector<pid_t> children;
    for (int process = 0; process < 6; ++process) {
      children.push_back(start([&, process] {
        auto store = Store::open_default();
        if (!store) return 1;
        const std::string host = sample_host(*store);
        return store->record_trial(sample_key(host, round), sample_trial(process)) ? 0 : 2;
      }));
    }
    for (const pid_t child : children) EXPECT_EQ(exit_status(child), 0);
    EXPECT_EQ(count_set_aside(), round + 1);
    auto store = Store::open_default();
    ASSERT_TRUE(store);
    EXPECT_EQ(store->recovery_note(), std::nullopt);
    EXPECT_EQ(store->trials(sample_key(sample_host(*store), round))->size(), 6u);
  }
}

TEST_F(StoreFaults, OpenStoreFollowsToTheNewFile) {
  auto writer = Store::open_default();
  ASSERT_TRUE(writer);
  const std::string host = sample_host(*writer);
  ASSERT_TRUE(writer->record_trial(sample_key(host), sample_trial(1)));
  // Noise over every page but in the same file, as a broken disk would have it.
  const auto bytes = std::filesystem::file_size(path());
  const int file = ::open(path().c_str(), O_WRONLY | O_CLOEXEC);
  const std::string noise(bytes, 'z');
  ASSERT_EQ(::pwrite(file, noise.data(), noise.size(), 0), static_cast<ssize_t>(noise.size()));
  ::close(file);
  std::filesystem::remove(path().string() + "-wal");
  std::filesystem::remove(path().string() + "-shm");
  auto other = Store::open_default();
  ASSERT_TRUE(other) << other.error().message;
  ASSERT_TRUE(other->recovery_note());
  // The first one knows nothing of this; its next record must be found by everybody.
  const Status status = writer->record_trial(sample_key(host), sample_trial(2));
  ASSERT_TRUE(status) << status.error().message;
  ASSERT_EQ(other->trials(sample_key(host))->size(), 1u);
  EXPECT_EQ(other->trials(sample_key(host))->at(0).schedule, sample_trial(2).schedule);
}

TEST_F(StoreFaults, RemovedStoreIsMadeAnew) {
  auto store = Store::open(path());
  ASSERT_TRUE(store);
  const std::string host = sample_host(*store);
  std::filesystem::remove_all(cache_.home());
  const Status status = store->record_trial(sample_key(host), sample_trial());
  ASSERT_TRUE(status) << status.error().message;
  EXPECT_EQ(store->trials(sample_key(host))->size(), 1u);
}

}  // namespace
}  // namespace lathe::store
