// The cache folder: what belongs to others, can be written by them or leads elsewhere is not used.
#include <fstream>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/store.h"
#include "support/files.h"
#include "tests/store/places.h"
#include "tests/store/sample.h"

namespace lathe::store {
namespace {

using tests::as_nobody;
using tests::look_of;
using tests::sample_host;
using tests::sample_key;
using tests::sample_winner;

class CacheFolderErrors : public testing::Test {
 protected:
  void make_store() {
    auto store = Store::open_default();
    ASSERT_TRUE(store) << store.error().message;
    ASSERT_TRUE(store->record_winner(sample_key(sample_host(*store)), sample_winner()));
  }
  void expect_refused(const std::string& part) {
    for (const OpenMode mode : {OpenMode::read_only, OpenMode::read_write}) {
      const auto store = Store::open_default({.mode = mode});
      ASSERT_FALSE(store) << part;
      EXPECT_EQ(store.error().code, ErrorCode::io_error) << store.error().message;
      EXPECT_NE(store.error().message.find(part), std::string::npos) << store.error().message;
    }
  }
  tests::CacheFolder cache_;
};

TEST_F(CacheFolderErrors, ReadersMakeNoFolder) {
  ASSERT_EQ(::rmdir(cache_.folder().c_str()), 0);
  EXPECT_EQ(Store::open_default({.mode = OpenMode::read_only}).error().code, ErrorCode::not_found);
  EXPECT_TRUE(std::filesystem::is_empty(cache_.home()));
  make_store();
  struct stat info = {};
  ASSERT_EQ(::stat(cache_.folder().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0700u);
}

TEST_F(CacheFolderErrors, OthersMayWrite) {
  make_store();
  for (const mode_t mode : {0777, 0775, 0722}) {
    ASSERT_EQ(::chmod(cache_.folder().c_str(), mode), 0);
    const auto before = look_of(cache_.folder());
    expect_refused("chmod go-w");
    EXPECT_EQ(look_of(cache_.folder()), before);
  }
  ASSERT_EQ(::chmod(cache_.folder().c_str(), 0755), 0);
  EXPECT_TRUE(Store::open_default());
}

TEST_F(CacheFolderErrors, LinksAreNotFollowed) {
  const auto target = cache_.home() / "mine";
  for (const char* name :
       {"lathe.db", "lathe.db-wal", "lathe.db-shm", "lathe.db-journal", "lathe.db.lock"}) {
    for (const bool dangling : {false, true}) {
      make_store();
      if (!dangling) {
        ASSERT_TRUE(support::write_file(target, ""));
        ASSERT_EQ(::chmod(target.c_str(), 0666), 0);
      }
      std::filesystem::remove(cache_.folder() / name);
      std::filesystem::create_symlink(target, cache_.folder() / name);
      const auto before = look_of(cache_.folder());
      const auto home = look_of(cache_.home());
      expect_refused(std::string(name) + " is a link");
      EXPECT_EQ(look_of(cache_.folder()), before);
      EXPECT_EQ(look_of(cache_.home()), home) << "where it leads to";
      std::filesystem::remove(cache_.folder() / name);
      std::filesystem::remove(target);
    }
  }
}

// As somebody does who keeps caches on another disk.
TEST_F(CacheFolderErrors, TheFolderItselfMayBeALinkOfOnesOwn) {
  std::filesystem::rename(cache_.folder(), cache_.home() / "elsewhere");
  std::filesystem::create_directory_symlink(cache_.home() / "elsewhere", cache_.folder());
  make_store();
  EXPECT_TRUE(Store::open_default({.mode = OpenMode::read_only}));
  if (::lchown(cache_.folder().c_str(), 12345, static_cast<gid_t>(-1)) != 0)
    GTEST_SKIP() << "only root may give links away";
  expect_refused("belongs to user 12345");
}

TEST_F(CacheFolderErrors, SomebodyElsesFolder) {
  make_store();
  if (::chown(cache_.folder().c_str(), 12345, static_cast<gid_t>(-1)) != 0)
    GTEST_SKIP() << "only root may give folders away";
  expect_refused("belongs to user 12345");
}

TEST_F(CacheFolderErrors, RootsFolderCanBeRead) {
  make_store();
  for (const auto& path : {cache_.home(), cache_.folder()})
    ASSERT_EQ(::chmod(path.c_str(), 0755), 0);
  ASSERT_EQ(::chmod(cache_.store().c_str(), 0644), 0);
  const auto before = look_of(cache_.folder());
  const auto outcome = as_nobody([&] {
    auto reader = Store::open_default({.mode = OpenMode::read_only});
    if (!reader || reader->winners().value_or(std::vector<KeyedWinner>()).size() != 1) return false;
    const auto writer = Store::open_default();
    return !writer && writer.error().code == ErrorCode::io_error &&
           writer.error().message.find("cannot write to the folder") != std::string::npos;
  });
  if (!outcome) GTEST_SKIP() << "only root may become another user";
  EXPECT_EQ(*outcome, 0);
  EXPECT_EQ(look_of(cache_.folder()), before);
}

}  // namespace
}  // namespace lathe::store
