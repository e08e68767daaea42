// Files of others, files that change, and what is no file.
#include "runtime/packages/guarded_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/runtime_packages/samples.h"
#include "tests/temporary_folder.h"

namespace lathe::runtime::packages {
namespace {

class Guarded : public testing::Test {
 protected:
  void SetUp() override { tests::write(path(), "content"); }
  std::filesystem::path path() const { return folder_ / "f"; }
  void expect_refused(ErrorCode code, std::string_view says) const {
    const auto file = GuardedFile::open(path(), "package", 100);
    ASSERT_FALSE(file) << says;
    EXPECT_EQ(file.error().code, code);
    EXPECT_NE(file.error().message.find(says), std::string::npos) << file.error().message;
    EXPECT_NE(file.error().message.find(path().string()), std::string::npos);
  }
  lathe::tests::TemporaryFolder folder_;
};

TEST_F(Guarded, ReadsWholeFiles) {
  const auto file = GuardedFile::open(path(), "package", 7);
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ(*file->read(), "content");
  EXPECT_EQ(*file->read(), "content");
  std::array<char, 4> begin;
  EXPECT_EQ(*file->read_into(begin), 4u);
  EXPECT_EQ(std::string(begin.data(), 4), "cont");
  tests::write(path(), "");
  EXPECT_EQ(*GuardedFile::open(path(), "package", 0)->read(), "");
}

TEST_F(Guarded, WhatWasOpenedIsWhatIsRead) {
  const auto file = GuardedFile::open(path(), "package", 100);
  ASSERT_TRUE(file);
  tests::write(folder_ / "other", "another's");
  std::filesystem::rename(folder_ / "other", path());
  EXPECT_EQ(*file->read(), "content") << "the path is not looked at again";
}

TEST_F(Guarded, AFileThatGrowsIsNotRead) {
  const auto file = GuardedFile::open(path(), "package", 100);
  ASSERT_TRUE(file);
  const int more = ::open(path().c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  ASSERT_EQ(::write(more, "more", 4), 4);
  ::close(more);
  EXPECT_EQ(file->read().error().code, ErrorCode::io_error);
}

TEST_F(Guarded, OthersMayNotWriteToIt) {
  for (const mode_t mode : {0664u, 0646u, 0666u, 0602u}) {
    ASSERT_EQ(::chmod(path().c_str(), mode), 0);
    expect_refused(ErrorCode::io_error, "chmod go-w");
  }
  for (const mode_t mode : {0644u, 0600u, 0755u, 0444u}) {
    ASSERT_EQ(::chmod(path().c_str(), mode), 0);
    EXPECT_TRUE(GuardedFile::open(path(), "package", 100)) << mode;
  }
}

TEST_F(Guarded, ItBelongsToNobodyElse) {
  if (::chown(path().c_str(), 12345, static_cast<gid_t>(-1)) != 0)
    GTEST_SKIP() << "only root may give files away";
  expect_refused(ErrorCode::io_error, "belongs to user 12345");
}

TEST_F(Guarded, WhatIsNoFile) {
  EXPECT_EQ(GuardedFile::open(folder_ / "none", "package", 9).error().code, ErrorCode::not_found);
  EXPECT_EQ(GuardedFile::open(folder_.path(), "package", 9).error().code, ErrorCode::io_error);
  EXPECT_EQ(GuardedFile::open("/dev/null", "package", 9).error().code, ErrorCode::io_error);
  ASSERT_EQ(::mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  EXPECT_EQ(GuardedFile::open(folder_ / "pipe", "package", 9).error().code, ErrorCode::io_error)
      << "nobody is waited for";
}

TEST_F(Guarded, LargeFilesAreRefused) {
  tests::write(path(), std::string(101, 'a'));
  expect_refused(ErrorCode::io_error, "has at most 100");
}

}  // namespace
}  // namespace lathe::runtime::packages
