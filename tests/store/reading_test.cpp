// Reading leaves no trace and needs no permission to write, whatever state a writer left the files
// in.
#include <atomic>
#include <chrono>
#include <filesystem>
#include <thread>
#include <utility>
#include <vector>

#include <SQLiteCpp/SQLiteCpp.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/read_only_vfs.h"
#include "store/schema.h"
#include "store/store.h"
#include "support/files.h"
#include "tests/store/places.h"
#include "tests/store/sample.h"
#include "tests/temporary_folder.h"

namespace lathe::store {
namespace {

using tests::in_child;
using tests::kReading;
using tests::look_of;
using tests::sample_host;
using tests::sample_key;
using tests::sample_trial;
using tests::sample_winner;

/// How many winners a reader finds, or why it finds none.
std::string count(const std::filesystem::path& path) {
  auto store = Store::open(path, kReading);
  if (!store) return store.error().message;
  const auto winners = store->winners();
  if (!winners) return winners.error().message;
  if (!store->summary() || !store->export_json() || !store->hosts()) return "not all can be read";
  return std::to_string(winners->size());
}

class Reading : public testing::Test {
 protected:
  std::filesystem::path path() const { return folder_ / "lathe.db"; }

  /// A writer that records `winners` winners, and dies at once where `killed`.
  void write(int winners, Journal journal, bool killed) {
    const int result = in_child([&] {
      auto store = Store::open(path(), {.journal = journal});
      if (!store) return 1;
      const std::string host = sample_host(*store);
      for (int i = 0; i < winners; ++i)
        if (!store->record_winner(sample_key(host, i), sample_winner())) return 2;
      if (killed) ::_exit(0);
      return 0;
    });
    ASSERT_EQ(result, 0);
  }
  void expect_read_without_a_trace(int winners) {
    const auto before = look_of(folder_.path());
    EXPECT_EQ(count(path()), std::to_string(winners));
    EXPECT_EQ(look_of(folder_.path()), before);
  }
  bool exists(const char* suffix) const {
    return std::filesystem::exists(path().string() + suffix);
  }

  lathe::tests::TemporaryFolder folder_;
};

TEST_F(Reading, AClosedStore) {
  for (const Journal journal : {Journal::wal, Journal::rollback}) {
    write(3, journal, /*killed=*/false);
    ASSERT_FALSE(exists("-wal"));
    expect_read_without_a_trace(3);
  }
}

TEST_F(Reading, WhatADeadWriterLeft) {
  write(3, Journal::wal, /*killed=*/true);
  ASSERT_TRUE(exists("-wal"));
  expect_read_without_a_trace(3);
  // As a copy of the store and its log has it.
  std::filesystem::remove(path().string() + "-shm");
  expect_read_without_a_trace(3);
  std::filesystem::remove(folder_ / "lathe.db.lock");
  expect_read_without_a_trace(3);
}

TEST_F(Reading, ALogWithoutAFrameAddsNothing) {
  write(3, Journal::wal, /*killed=*/false);
  const std::string store = *support::read_file(path());
  write(1, Journal::wal, /*killed=*/true);
  const std::string header = support::read_file(folder_ / "lathe.db-wal")->substr(0, 32);
  const std::string index = *support::read_file(folder_ / "lathe.db-shm");
  // A writer that is killed between the log's header and its first frame.
  for (const std::string& shared : {std::string(index.size(), '\0'), index, std::string()}) {
    ASSERT_TRUE(support::write_file(path(), store));
    ASSERT_TRUE(support::write_file(folder_ / "lathe.db-wal", header));
    if (shared.empty()) {
      std::filesystem::remove(folder_ / "lathe.db-shm");
    } else {
      ASSERT_TRUE(support::write_file(folder_ / "lathe.db-shm", shared));
    }
    const auto before = look_of(folder_.path());
    EXPECT_EQ(count(path()), "3") << shared.size();
    EXPECT_EQ(look_of(folder_.path()), before);
    EXPECT_EQ(Store::open(path())->winners()->size(), 3u) << "and a writer goes on";
  }
}

TEST_F(Reading, BesideAWriterOfThisProcess) {
  auto writer = Store::open(path(), {.journal = Journal::wal});
  ASSERT_TRUE(writer);
  const std::string host = sample_host(*writer);
  std::optional<Store> reader;
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(writer->record_winner(sample_key(host, i), sample_winner()));
    if (!reader) reader.emplace(*Store::open(path(), kReading));
    ASSERT_EQ(reader->winners()->size(), static_cast<std::size_t>(i + 1));
    ASSERT_EQ(count(path()), std::to_string(i + 1));
  }
}

/// Starts a process for each round that records one more winner and dies, or closes the store. They
/// come from one that was there before any reader: what SQLite knows of open files must not be
/// inherited.
class Writers {
 public:
  Writers(const std::filesystem::path& path, Journal journal) {
    EXPECT_EQ(::pipe2(orders_, O_CLOEXEC), 0);
    EXPECT_EQ(::pipe2(answers_, O_CLOEXEC), 0);
    if (::fork() != 0) return;
    ::close(orders_[1]);
    for (int order = 0; ::read(orders_[0], &order, sizeof order) == sizeof order;) {
      const int result = in_child([&] {
        auto store = Store::open(path, {.journal = journal});
        if (!store) return 1;
        const Key key = sample_key(sample_host(*store), order);
        if (!store->record_winner(key, sample_winner())) return 2;
        if (order % 2 == 0) ::_exit(0);
        return 0;
      });
      if (::write(answers_[1], &result, sizeof result) != sizeof result) break;
    }
    ::_exit(0);
  }
  ~Writers() {
    ::close(orders_[1]);
    int status = 0;
    ::wait(&status);
    for (const int end : {orders_[0], answers_[0], answers_[1]}) ::close(end);
  }
  int write(int winner) {
    int result = -1;
    if (::write(orders_[1], &winner, sizeof winner) != sizeof winner) return -1;
    return ::read(answers_[0], &result, sizeof result) == sizeof result ? result : -1;
  }

 private:
  int orders_[2] = {}, answers_[2] = {};
};

// A library opens the store once, and a tuner comes and goes meanwhile.
TEST_F(Reading, FollowsWritersThatComeAndGo) {
  for (const Journal journal : {Journal::wal, Journal::rollback}) {
    const lathe::tests::TemporaryFolder folder;
    const auto path = folder / "lathe.db";
    Writers writers(path, journal);
    ASSERT_EQ(writers.write(1), 0);
    auto reader = Store::open(path, kReading);
    ASSERT_TRUE(reader) << reader.error().message;
    for (int winners = 2; winners < 10; ++winners) {
      ASSERT_EQ(writers.write(winners), 0);
      const auto found = reader->winners();
      ASSERT_TRUE(found) << found.error().message;
      EXPECT_EQ(found->size(), static_cast<std::size_t>(winners));
    }
  }
}

// Writers that close and check-point all the time: what a reader sees is whole, and never less than
// before.
TEST_F(Reading, BesideWritersThatComeAndGo) {
  write(1, Journal::wal, /*killed=*/false);
  const pid_t writer = ::fork();
  if (writer == 0) {
    for (int i = 0; i < 60; ++i) {
      auto store = Store::open(path(), {.journal = Journal::wal});
      if (!store) ::_exit(1);
      const std::string host = sample_host(*store);
      for (int j = 0; j < 3; ++j)
        if (!store->record_winner(sample_key(host, 3 * i + j), sample_winner())) ::_exit(2);
    }
    ::_exit(0);
  }
  std::size_t most = 0;
  int status = 0;
  while (::waitpid(writer, &status, WNOHANG) == 0) {
    auto reader = Store::open(path(), kReading);
    ASSERT_TRUE(reader) << reader.error().message;
    for (int i = 0; i < 5; ++i) {
      const auto winners = reader->winners();
      ASSERT_TRUE(winners) << winners.error().message;
      ASSERT_GE(winners->size(), most);
      most = winners->size();
    }
  }
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  EXPECT_EQ(count(path()), "180");
}

// Killed in the middle of a commit that a rollback journal covers, of which part is in the store
// already: no reader may undo it, and none may read it.
TEST_F(Reading, WhatOnlyAWriterCanBringBack) {
  write(3, Journal::rollback, /*killed=*/false);
  const auto bytes = std::filesystem::file_size(path());
  const pid_t writer = ::fork();
  if (writer == 0) {
    std::vector<Migration> steps(migrations().begin(), migrations().end());
    steps.push_back({schema_version() + 1,
                     "INSERT INTO hosts WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 "
                     "FROM n) SELECT i, hex(zeroblob(500)), '', '' FROM n"});
    ::_exit(migrate_file(path(), steps) ? 0 : 1);  // has no end
  }
  int status = 0;
  while (std::filesystem::file_size(path()) <= bytes && ::waitpid(writer, &status, WNOHANG) == 0)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  ASSERT_EQ(::kill(writer, SIGKILL), 0);
  ASSERT_EQ(::waitpid(writer, &status, 0), writer);
  ASSERT_TRUE(exists("-journal"));

  const auto before = look_of(folder_.path());
  EXPECT_NE(count(path()).find("only a writer can bring it back"), std::string::npos)
      << count(path());
  EXPECT_EQ(look_of(folder_.path()), before);
  ASSERT_TRUE(Store::open(path(), {.journal = Journal::rollback}));
  expect_read_without_a_trace(3);
}

/// Gives a file another time of modification all the time, as a writer at work does.
class Touching {
 public:
  explicit Touching(std::filesystem::path path) : path_(std::move(path)) {
    thread_ = std::thread([this] {
      for (long count = 1; !done_; ++count) {
        const timespec times[2] = {{1'000'000'000 + count, 0}, {1'000'000'000 + count, 0}};
        ::utimensat(AT_FDCWD, path_.c_str(), times, 0);
      }
    });
  }
  ~Touching() {
    done_ = true;
    thread_.join();
  }

 private:
  const std::filesystem::path path_;
  std::atomic<bool> done_ = false;
  std::thread thread_;
};

// A file that never comes to rest is read all the same where what it says is sound; where it is
// not, the reason is given, and no reader waits for ever.
TEST_F(Reading, AStoreWrittenToAgainAndAgain) {
  write(3, Journal::wal, /*killed=*/false);
  ASSERT_FALSE(exists("-wal"));
  const StoreOptions options{.mode = OpenMode::read_only, .busy_timeout_ms = 50};
  {
    const Touching touching(path());
    auto store = Store::open(path(), options);
    ASSERT_TRUE(store) << store.error().message;
    const auto winners = store->winners();
    if (winners) {
      EXPECT_EQ(winners->size(), 3u);
    } else {
      EXPECT_NE(winners.error().message.find("again and again"), std::string::npos)
          << winners.error().message;
    }
  }
  std::filesystem::resize_file(path(), std::filesystem::file_size(path()) / 2);
  const Touching touching(path());
  const auto store = Store::open(path(), options);
  ASSERT_FALSE(store);
  EXPECT_NE(store.error().message.find("damaged"), std::string::npos) << store.error().message;
}

// Readers that take no locks must leave those of this process's writer alone, which the system
// takes back once the process closes any descriptor of the file.
TEST_F(Reading, WithoutLocksOfItsOwnKeepsThoseOfItsProcess) {
  write(3, Journal::rollback, /*killed=*/false);
  ASSERT_NE(read_only_vfs_without_locks(), nullptr);
  SQLite::Database writer(path().string(), SQLite::OPEN_READWRITE);
  const SQLite::Transaction transaction(writer, SQLite::TransactionBehavior::EXCLUSIVE);
  const auto is_locked_for_others = [&] {
    return in_child([&] {
      // By the system's word: what SQLite knows of open files is inherited here.
      flock lock = {};
      lock.l_type = F_WRLCK;
      lock.l_whence = SEEK_SET;
      lock.l_start = 0x40000000;  // where SQLite's locks lie
      lock.l_len = 512;
      const int file = ::open(path().c_str(), O_RDWR | O_CLOEXEC);
      if (file < 0 || ::fcntl(file, F_GETLK, &lock) != 0) return 2;
      return lock.l_type == F_UNLCK ? 0 : 1;
    });
  };
  ASSERT_EQ(is_locked_for_others(), 1);
  {
    SQLite::Database reader(path().string(), SQLite::OPEN_READONLY, 0,
                            read_only_vfs_without_locks());
    EXPECT_EQ(reader.execAndGet("SELECT count(*) FROM winners").getInt(), 3);
  }
  EXPECT_EQ(is_locked_for_others(), 1);
}

// A link leads to the store; its log lies beside the store, not beside the link.
TEST_F(Reading, ThroughALink) {
  write(3, Journal::wal, /*killed=*/true);
  std::filesystem::create_directory(folder_ / "links");
  std::filesystem::create_symlink(path(), folder_ / "links/link.db");
  const auto before = look_of(folder_.path());
  EXPECT_EQ(count(folder_ / "links/link.db"), "3");
  EXPECT_EQ(look_of(folder_.path()), before);
}

TEST_F(Reading, ThoughNothingMayBeWritten) {
  write(3, Journal::wal, /*killed=*/true);
  ASSERT_EQ(::chmod(folder_.path().c_str(), 0555), 0);
  for (const auto& entry : std::filesystem::directory_iterator(folder_.path()))
    ASSERT_EQ(::chmod(entry.path().c_str(), 0444), 0);
  const auto before = look_of(folder_.path());
  const auto outcome = tests::as_nobody([&] { return count(path()) == "3"; });
  EXPECT_EQ(outcome.value_or(0), 0);
  EXPECT_EQ(count(path()), "3") << "as whoever we are";
  EXPECT_EQ(look_of(folder_.path()), before);
  ASSERT_EQ(::chmod(folder_.path().c_str(), 0700), 0);
}

}  // namespace
}  // namespace lathe::store
