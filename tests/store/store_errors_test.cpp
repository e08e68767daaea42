// What a user may do wrong with a store: each mistake has its own message, and nothing is altered.
#include <functional>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/store.h"
#include "support/files.h"
#include "tests/store/places.h"
#include "tests/store/sample.h"
#include "tests/temporary_folder.h"

namespace lathe::store {
namespace {

using lathe::tests::TemporaryFolder;
using tests::as_nobody;
using tests::sample_host;
using tests::sample_key;
using tests::sample_winner;

class StoreErrors : public testing::Test {
 protected:
  /// A sound store with one winner, closed again.
  std::filesystem::path make_store(const std::string& name = "lathe.db") {
    auto store = Store::open(folder_ / name);
    EXPECT_TRUE(store) << store.error().message;
    EXPECT_TRUE(store->record_winner(sample_key(sample_host(*store)), sample_winner()));
    return folder_ / name;
  }
  /// Opening must fail so, and leave the file's bytes as they are.
  void expect_refused(const std::filesystem::path& path, ErrorCode code, const std::string& part) {
    const std::string before = *support::read_file(path);
    for (const OpenMode mode : {OpenMode::read_write, OpenMode::read_only}) {
      const auto store = Store::open(path, {.mode = mode});
      ASSERT_FALSE(store);
      EXPECT_EQ(store.error().code, code) << store.error().message;
      EXPECT_NE(store.error().message.find(part), std::string::npos) << store.error().message;
      EXPECT_NE(store.error().message.find("--db"), std::string::npos) << store.error().message;
    }
    EXPECT_EQ(*support::read_file(path), before);
  }
  /// Big-endian numbers of SQLite's file header.
  void patch_header(const std::filesystem::path& path, std::size_t offset, std::uint32_t value) {
    std::string bytes = *support::read_file(path);
    for (std::size_t i = 0; i < 4; ++i)
      bytes[offset + i] = static_cast<char>(value >> (24 - 8 * i));
    ASSERT_TRUE(support::write_file(path, bytes));
  }
  static constexpr std::size_t kUserVersion = 60;
  static constexpr std::size_t kApplicationIdOffset = 68;

  TemporaryFolder folder_;
};

TEST_F(StoreErrors, ReadingWhatIsNotThere) {
  const auto store = Store::open(folder_ / "missing.db", {.mode = OpenMode::read_only});
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, ErrorCode::not_found);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "missing.db"));
  ASSERT_TRUE(support::write_file(folder_ / "empty.db", ""));
  EXPECT_EQ(Store::open(folder_ / "empty.db", {.mode = OpenMode::read_only}).error().code,
            ErrorCode::not_found);
}

TEST_F(StoreErrors, AnEmptyFileBecomesAStore) {
  ASSERT_TRUE(support::write_file(folder_ / "empty.db", ""));  // as mktemp makes one
  const auto store = Store::open(folder_ / "empty.db");
  ASSERT_TRUE(store) << store.error().message;
  EXPECT_EQ(store->recovery_note(), std::nullopt);
}

TEST_F(StoreErrors, PathsThatCannotBe) {
  EXPECT_EQ(Store::open("").error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(Store::open(folder_.path()).error().code, ErrorCode::io_error);
  ASSERT_TRUE(support::write_file(folder_ / "file", "x"));
  const auto store = Store::open(folder_ / "file/lathe.db");
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, ErrorCode::io_error);
  EXPECT_NE(store.error().message.find((folder_ / "file").string()), std::string::npos);
}

TEST_F(StoreErrors, NewerSchemaIsLeftAlone) {
  const auto path = make_store();
  patch_header(path, kUserVersion, static_cast<std::uint32_t>(schema_version() + 1));
  expect_refused(path, ErrorCode::unsupported, "newer Lathe");
}

TEST_F(StoreErrors, AnotherProgramsDatabaseIsLeftAlone) {
  const auto path = make_store();
  std::string bytes = *support::read_file(path);
  // The same database with other tables: "winners" and its kin exist no more.
  for (const auto& [from, to] :
       {std::pair<std::string, std::string>{"winners", "bankers"}, {"trials", "crimes"}}) {
    for (std::size_t at = 0; (at = bytes.find(from, at)) != std::string::npos;) {
      bytes.replace(at, from.size(), to);
    }
  }
  ASSERT_TRUE(support::write_file(path, bytes));
  patch_header(path, kApplicationIdOffset, 0x12345678);
  expect_refused(path, ErrorCode::invalid_argument, "another program");
}

TEST_F(StoreErrors, WritingToAStoreOpenedForReading) {
  const auto path = make_store();
  auto store = Store::open(path, {.mode = OpenMode::read_only});
  ASSERT_TRUE(store);
  const auto host = store->hosts()->at(0).id;
  EXPECT_EQ(store->record_winner(sample_key(host), sample_winner()).error().code,
            ErrorCode::invalid_argument);
  EXPECT_EQ(store->record_host("cpu", "x", "y").error().code, ErrorCode::invalid_argument);
  EXPECT_TRUE(store->find(sample_key(host))->winner);
}

TEST_F(StoreErrors, RepairLockHeldByAnother) {
  const auto path = make_store();
  const int lock = ::open((path.string() + ".lock").c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_GE(lock, 0);
  ASSERT_EQ(::flock(lock, LOCK_EX), 0);
  const auto store = Store::open(path, {.busy_timeout_ms = 20});
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, ErrorCode::io_error);
  EXPECT_NE(store.error().message.find("another process"), std::string::npos);
  EXPECT_TRUE(Store::open(path, {.mode = OpenMode::read_only})) << "readers do not wait for it";
  ::close(lock);
  EXPECT_TRUE(Store::open(path, {.busy_timeout_ms = 20}));
}

TEST_F(StoreErrors, WritePermissionOfOthersIsTakenAway) {
  const auto path = make_store();
  ASSERT_EQ(::chmod(path.c_str(), 0666), 0);
  const auto before = tests::look_of(folder_.path());
  ASSERT_TRUE(Store::open(path, {.mode = OpenMode::read_only}));
  EXPECT_EQ(tests::look_of(folder_.path()), before) << "readers change nothing";
  ASSERT_TRUE(Store::open(path));
  struct stat info = {};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0644u);
}

TEST_F(StoreErrors, SomebodyElsesStore) {
  const auto path = make_store();
  if (::chown(path.c_str(), 12345, static_cast<gid_t>(-1)) != 0) {
    GTEST_SKIP() << "only root may give files away";
  }
  expect_refused(path, ErrorCode::io_error, "belongs to user 12345");
}

TEST_F(StoreErrors, ReadOnlyFolderCanBeReadButNotWritten) {
  const auto path = make_store();
  ASSERT_EQ(::chmod(folder_.path().c_str(), 0755), 0);
  ASSERT_EQ(::chmod(path.c_str(), 0644), 0);
  const auto outcome = as_nobody([&] {
    auto reader = Store::open(path, {.mode = OpenMode::read_only});
    const bool reads = reader && reader->winners() && reader->winners()->size() == 1;
    const auto writer = Store::open(path);
    const bool refused = !writer && writer.error().code == ErrorCode::io_error &&
                         writer.error().message.find("--db") != std::string::npos;
    return reads && refused;
  });
  if (!outcome) GTEST_SKIP() << "only root may become another user";
  EXPECT_EQ(*outcome, 0);
}

TEST_F(StoreErrors, FolderThatCannotBeWritten) {
  ASSERT_EQ(::chmod(folder_.path().c_str(), 0755), 0);
  const auto outcome = as_nobody([&] {
    const auto store = Store::open(folder_ / "lathe.db");
    const auto nested = Store::open(folder_ / "new/folder/lathe.db");
    return !store && store.error().code == ErrorCode::io_error && !nested &&
           nested.error().code == ErrorCode::io_error &&
           nested.error().message.find("cannot create the folder") != std::string::npos;
  });
  if (!outcome) GTEST_SKIP() << "only root may become another user";
  EXPECT_EQ(*outcome, 0);
}

TEST_F(StoreErrors, NamesThatTheJournalHasNoRoomFor) {
  const std::string longest(247, 'n');  // and "-journal" make 255, the most of common file systems
  const auto too_long = Store::open(folder_ / (longest + "n"));
  ASSERT_FALSE(too_long);
  EXPECT_EQ(too_long.error().code, ErrorCode::invalid_argument) << too_long.error().message;
  for (const char* part : {"nnn", "248 bytes", "at most 247", "-journal"})
    EXPECT_NE(too_long.error().message.find(part), std::string::npos) << too_long.error().message;
  const auto fits = Store::open(folder_ / longest);
  EXPECT_TRUE(fits) << fits.error().message;

  auto deep = folder_.path();
  while (deep.string().size() < 600) deep /= std::string(100, 'd');
  const auto too_deep = Store::open(deep / "lathe.db");
  ASSERT_FALSE(too_deep);
  EXPECT_EQ(too_deep.error().code, ErrorCode::invalid_argument) << too_deep.error().message;
  EXPECT_NE(too_deep.error().message.find("bytes, SQLite takes at most"), std::string::npos);
}

TEST_F(StoreErrors, ARecordThatIsTooLong) {
  const auto path = make_store();
  auto store = Store::open(path);
  ASSERT_TRUE(store);
  const auto host = store->record_host("cpu", "x", std::string(2 << 20, 'd'));
  ASSERT_FALSE(host);
  EXPECT_NE(host.error().message.find("1024 KiB"), std::string::npos) << host.error().message;
  EXPECT_EQ(store->winners()->size(), 1u) << "the store is as it was";
}

}  // namespace
}  // namespace lathe::store
