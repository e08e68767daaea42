// File systems without locks, and without memory that processes share: a seccomp filter makes one.
#include <cerrno>
#include <cstddef>
#include <functional>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "store/store.h"
#include "support/log.h"
#include "tests/store/places.h"
#include "tests/store/sample.h"
#include "tests/temporary_folder.h"

namespace lathe::store {
namespace {

using tests::in_child;
using tests::kReading;
using tests::sample_host;
using tests::sample_key;
using tests::sample_winner;

enum : int { kHolds = 0, kFails = 1, kNoFilter = 2 };

template <std::size_t N>
bool install(sock_filter (&filter)[N]) {
  const sock_fprog program = {N, filter};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

#define LATHE_LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, field))
#define LATHE_ARGUMENT(index) \
  BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args) + (index) * sizeof(__u64))
#define LATHE_EQUAL(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, yes, no)

/// From now on flock and the locks of fcntl fail with `error`, as on a network file system without
/// a lock server (ENOLCK), or one that never heard of locks.
bool forbid_locks(unsigned error) {
  sock_filter filter[] = {
      LATHE_LOAD(nr),
      LATHE_EQUAL(SYS_flock, 7, 0),
      LATHE_EQUAL(SYS_fcntl, 0, 5),
      LATHE_ARGUMENT(1),
      LATHE_EQUAL(F_SETLK, 4, 0),
      LATHE_EQUAL(F_SETLKW, 3, 0),
      LATHE_EQUAL(F_GETLK, 2, 0),
      LATHE_EQUAL(F_OFD_SETLK, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
  };
  return install(filter);
}

/// From now on no file can be mapped so that processes share it, as on many FUSE file systems.
bool forbid_shared_maps() {
  sock_filter filter[] = {
      LATHE_LOAD(nr),
      LATHE_EQUAL(SYS_mmap, 0, 2),
      LATHE_ARGUMENT(3),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, MAP_SHARED, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENODEV),
  };
  return install(filter);
}

class FileSystems : public testing::Test {
 protected:
  std::filesystem::path path() const { return folder_ / "lathe.db"; }
  void write(Journal journal, bool killed) {
    ASSERT_EQ(in_child([&] {
                auto store = Store::open(path(), {.journal = journal});
                if (!store) return 1;
                const std::string host = sample_host(*store);
                if (!store->record_winner(sample_key(host), sample_winner())) return 2;
                if (killed) ::_exit(0);
                return 0;
              }),
              0);
  }
  /// A check in a child that lives on such a file system.
  static void expect(const std::function<bool()>& filter,
                     const std::function<std::string()>& check) {
    const int result = in_child([&] {
      if (!filter()) return int{kNoFilter};
      const std::string wrong = check();
      if (wrong.empty()) return int{kHolds};
      support::log_error("{}", wrong);
      return int{kFails};
    });
    if (result == kNoFilter) GTEST_SKIP() << "this system lets us install no seccomp filter";
    EXPECT_EQ(result, kHolds);
  }
  std::string read_one() const {
    auto store = Store::open(path(), kReading);
    if (!store) return store.error().message;
    const auto winners = store->winners();
    if (!winners) return winners.error().message;
    return winners->size() == 1 ? "" : "other winners than written";
  }

  lathe::tests::TemporaryFolder folder_;
};

TEST_F(FileSystems, WithoutLocksWritersAreRefused) {
  write(Journal::wal, /*killed=*/false);
  for (const unsigned error : {ENOLCK, ENOSYS, EOPNOTSUPP}) {
    expect([&] { return forbid_locks(error); },
           [&]() -> std::string {
             for (const char* name : {"lathe.db", "new.db"}) {
               const auto store = Store::open(folder_ / name, {.busy_timeout_ms = 50});
               if (store) return "opened";
               const std::string& message = store.error().message;
               if (message.find("has no file locks") == std::string::npos ||
                   message.find("--db") == std::string::npos ||
                   message.find("another process") != std::string::npos)
                 return message;
             }
             return "";
           });
  }
}

TEST_F(FileSystems, WithoutLocksStoresCanBeRead) {
  for (const Journal journal : {Journal::wal, Journal::rollback}) {
    for (const bool killed : {false, true}) {
      write(journal, killed);
      for (const unsigned error : {ENOLCK, EOPNOTSUPP})
        expect([&] { return forbid_locks(error); }, [&] { return read_one(); });
      // As of a copy.
      std::filesystem::remove(path().string() + ".lock");
      expect([] { return forbid_locks(ENOLCK); }, [&] { return read_one(); });
    }
  }
}

TEST_F(FileSystems, WithoutSharedMapsThereIsTheRollbackJournal) {
  for (const bool exists : {false, true}) {
    if (exists) {
      std::filesystem::remove(path());
      write(Journal::wal, /*killed=*/true);
    }
    expect(forbid_shared_maps, [&]() -> std::string {
      auto store = Store::open(path(), {.journal = Journal::wal});
      if (!store) return store.error().message;
      const std::string host = sample_host(*store);
      const Status status = store->record_winner(sample_key(host), sample_winner());
      if (!status) return status.error().message;
      if (store->winners()->size() != 1) return "other winners than written";
      if (const auto note = store->recovery_note()) return *note;
      const std::string mode = store->summary()->journal_mode;
      return mode == "delete" ? "" : "journal " + mode;
    });
    auto store = Store::open(path(), kReading);
    ASSERT_TRUE(store) << store.error().message;
    EXPECT_EQ(store->winners()->size(), 1u);
  }
}

TEST_F(FileSystems, WithoutSharedMapsALogCanBeRead) {
  write(Journal::wal, /*killed=*/true);
  expect(forbid_shared_maps, [&] { return read_one(); });
}

}  // namespace
}  // namespace lathe::store
