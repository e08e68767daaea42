// Outputs that a user names: modes, links, owners, devices, pipes, failures.
#include <array>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <thread>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "support/files.h"
#include "tests/temporary_folder.h"

namespace lathe::support {
namespace {

namespace fs = std::filesystem;

constexpr uid_t kNobody = 65534;

struct stat info_of(const fs::path& path) {
  struct stat info = {};
  EXPECT_EQ(::lstat(path.c_str(), &info), 0) << path;
  return info;
}

unsigned permissions_of(const fs::path& path) { return info_of(path).st_mode & 07777; }

class WriteFile : public testing::Test {
 protected:
  void SetUp() override { before_ = ::umask(027); }
  void TearDown() override { ::umask(before_); }

  fs::path path(const std::string& name) const { return folder_ / name; }

  void make(const fs::path& file, const std::string& text, unsigned mode = 0640) {
    std::ofstream(file) << text;
    ASSERT_EQ(::chmod(file.c_str(), mode), 0);
  }

  static void expect_written(const Status& status) {
    EXPECT_TRUE(status) << status.error().message;
  }

  static void expect_refused(const Status& status, std::string_view says) {
    ASSERT_FALSE(status) << says;
    EXPECT_EQ(status.error().code, ErrorCode::io_error);
    EXPECT_NE(status.error().message.find(says), std::string::npos) << status.error().message;
  }

  // Nothing but these is in the folder.
  void expect_files(size_t count) const {
    size_t found = 0;
    for (const auto& entry : fs::directory_iterator(folder_.path())) {
      ++found;
      EXPECT_EQ(entry.path().filename().string().find(".lathe"), std::string::npos);
    }
    EXPECT_EQ(found, count);
  }

  tests::TemporaryFolder folder_;

 private:
  mode_t before_ = 0;
};

/// Takes root's rights from the process, to which permissions mean nothing.
class Unprivileged {
 public:
  explicit Unprivileged(const fs::path& folder) {
    if (::geteuid() != 0) return;
    is_changed_ = ::chown(folder.c_str(), kNobody, kNobody) == 0 && ::seteuid(kNobody) == 0;
  }
  Unprivileged(const Unprivileged&) = delete;
  Unprivileged& operator=(const Unprivileged&) = delete;
  ~Unprivileged() {
    if (is_changed_ && ::seteuid(0) != 0) ::abort();
  }
  /// Whether it could, and still reaches the folder.
  bool holds(const fs::path& folder) const {
    return ::geteuid() != 0 && ::faccessat(AT_FDCWD, folder.c_str(), W_OK | X_OK, AT_EACCESS) == 0;
  }

 private:
  bool is_changed_ = false;
};

/// Limits the size of files for as long as it lives.
class SizeLimit {
 public:
  explicit SizeLimit(rlim_t bytes) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    struct rlimit limit = before_;
    limit.rlim_cur = bytes;
    EXPECT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  }
  SizeLimit(const SizeLimit&) = delete;
  SizeLimit& operator=(const SizeLimit&) = delete;
  ~SizeLimit() { ::setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  struct rlimit before_ = {};
};

TEST_F(WriteFile, ANewFileGetsWhatTheUmaskLeaves) {
  expect_written(write_file(path("a"), "one"));
  EXPECT_EQ(*read_file(path("a")), "one");
  EXPECT_EQ(permissions_of(path("a")), 0640U);
  ::umask(0);
  expect_written(write_file(path("b"), ""));
  EXPECT_EQ(permissions_of(path("b")), 0666U);
  EXPECT_EQ(*read_file(path("b")), "");
  expect_files(2);
}

TEST_F(WriteFile, AnExistingOneIsReplacedAndKeepsItsMode) {
  make(path("a"), "one", 0604);
  std::ifstream reader(path("a"));
  expect_written(write_file(path("a"), "two"));
  EXPECT_EQ(*read_file(path("a")), "two");
  EXPECT_EQ(permissions_of(path("a")), 0604U);
  std::string old;
  reader >> old;
  EXPECT_EQ(old, "one") << "who has it open goes on with the old one";
  expect_files(1);
}

TEST_F(WriteFile, PiecesFollowEachOther) {
  const std::string large(300000, 'x');
  const std::array<std::string_view, 3> pieces = {"a", large, "b"};
  expect_written(write_file(path("a"), pieces));
  EXPECT_EQ(*read_file(path("a")), "a" + large + "b");
}

TEST_F(WriteFile, LinksStayAndTheirTargetsAreWritten) {
  fs::create_directory(path("below"));
  make(path("below/file"), "one", 0604);
  fs::create_symlink("file", path("below/second"));
  fs::create_symlink("below/second", path("first"));
  fs::create_symlink("below/new", path("dangling"));
  fs::create_directory_symlink("below", path("folder"));
  fs::create_symlink("loop", path("loop"));
  fs::create_symlink("none/new", path("astray"));
  expect_written(write_file(path("first"), "two"));
  expect_written(write_file(path("dangling"), "three"));
  expect_written(write_file(path("folder/plain"), "four"));
  for (const char* link : {"first", "below/second", "dangling", "folder"})
    EXPECT_TRUE(fs::is_symlink(path(link))) << link;
  EXPECT_EQ(*read_file(path("below/file")), "two");
  EXPECT_EQ(permissions_of(path("below/file")), 0604U);
  EXPECT_EQ(*read_file(path("below/new")), "three");
  EXPECT_EQ(permissions_of(path("below/new")), 0640U);
  EXPECT_EQ(*read_file(path("below/plain")), "four");
  expect_refused(write_file(path("loop"), "x"), "loop");
  expect_refused(write_file(path("astray"), "x"), "is its folder there and writable?");
}

TEST_F(WriteFile, OtherNamesOfAFileSeeWhatIsWritten) {
  make(path("a"), "a long text", 0604);
  fs::create_hard_link(path("a"), path("b"));
  expect_written(write_file(path("a"), "short"));
  EXPECT_EQ(*read_file(path("b")), "short");
  EXPECT_EQ(info_of(path("a")).st_ino, info_of(path("b")).st_ino);
  EXPECT_EQ(permissions_of(path("a")), 0604U);

  expect_written(write_file(path("a"), "new", ExistingFile::replaced));
  EXPECT_EQ(*read_file(path("a")), "new");
  EXPECT_EQ(*read_file(path("b")), "short");
  expect_files(2);
}

TEST_F(WriteFile, AnotherOwnerKeepsTheFile) {
  make(path("a"), "one", 0606);
  if (::chown(path("a").c_str(), kNobody, kNobody) != 0)
    GTEST_SKIP() << "only root can give a file away";
  expect_written(write_file(path("a"), "two"));
  EXPECT_EQ(*read_file(path("a")), "two");
  EXPECT_EQ(info_of(path("a")).st_uid, kNobody);
  EXPECT_EQ(permissions_of(path("a")), 0606U);
}

TEST_F(WriteFile, AnAccessListStays) {
  make(path("a"), "one");
  // Version 2; then tag, permissions and id of: the owner, nobody, the group, the mask, others.
  const uint32_t list[] = {2,          0x60001, 0xffffffff, 0x40002, kNobody,   0x40004,
                           0xffffffff, 0x40010, 0xffffffff, 0x20,    0xffffffff};
  constexpr const char* kName = "system.posix_acl_access";
  if (::setxattr(path("a").c_str(), kName, list, sizeof list, 0) != 0)
    GTEST_SKIP() << "the temporary folder's file system has no access lists";
  expect_written(write_file(path("a"), "two"));
  EXPECT_EQ(*read_file(path("a")), "two");
  EXPECT_EQ(::getxattr(path("a").c_str(), kName, nullptr, 0), ssize_t{sizeof list});
}

TEST_F(WriteFile, PermissionsHold) {
  make(path("writable"), "a long text", 0666);
  make(path("readable"), "one", 0444);
  const Unprivileged rights(folder_.path());
  if (!rights.holds(folder_.path()))
    GTEST_SKIP() << "root, and no other user to become that reaches the folder";
  expect_refused(write_file(path("readable"), "two"), "cannot write");
  EXPECT_EQ(*read_file(path("readable")), "one") << "the folder would admit another in its place";

  ASSERT_EQ(::chmod(folder_.path().c_str(), 0500), 0);
  expect_written(write_file(path("writable"), "two"));
  EXPECT_EQ(*read_file(path("writable")), "two") << "in place, as the folder admits no other";
  expect_refused(write_file(path("new"), "x"), "is its folder there and writable?");
  expect_refused(write_file(path("writable"), "three", ExistingFile::replaced), "cannot replace");
  EXPECT_EQ(*read_file(path("writable")), "two");
  ASSERT_EQ(::chmod(folder_.path().c_str(), 0700), 0);
}

TEST_F(WriteFile, NamesAsLongAsTheyMayBe) {
  const std::string name(255, 'n');
  expect_written(write_file(path(name), "one"));
  expect_written(write_file(path(name), "two"));
  EXPECT_EQ(*read_file(path(name)), "two");
  expect_refused(write_file(path(name + "n"), "x"), "cannot write");
  expect_files(1);
}

TEST_F(WriteFile, WhatIsNoFileIsRefusedInWords) {
  expect_refused(write_file(folder_.path(), "x"), "is a folder");
  expect_refused(write_file(path("new/"), "x"), "names a folder");
  expect_refused(write_file("", "x"), "names a folder");
  expect_refused(write_file(path("missing/a"), "x"), "is its folder there and writable?");
  make(path("a"), "one");
  expect_refused(write_file(path("a/b"), "x"), "cannot write");

  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  const std::string name = path("s").string();
  ASSERT_LT(name.size(), sizeof address.sun_path);
  std::memcpy(address.sun_path, name.data(), name.size());
  const int server = ::socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_EQ(::bind(server, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  expect_refused(write_file(name, "x"), "is a socket");
  ::close(server);
}

TEST_F(WriteFile, DevicesStayDevices) {
  fs::create_symlink("/dev/null", path("link"));
  for (const fs::path& device : {fs::path("/dev/null"), path("link")}) {
    expect_written(write_file(device, "x"));
    expect_written(write_file(device, "x", ExistingFile::replaced));
  }
  EXPECT_TRUE(S_ISCHR(info_of("/dev/null").st_mode));
  EXPECT_TRUE(fs::is_symlink(path("link")));
  expect_refused(write_file("/dev/full", "x"), "No space left");
  expect_files(1);
}

TEST_F(WriteFile, ADescriptorIsWrittenWhereItStands) {
  const int file = ::open(path("a").c_str(), O_RDWR | O_CREAT, 0600);
  const std::string name = "/dev/fd/" + std::to_string(file);
  ASSERT_EQ(::write(file, "one ", 4), 4);
  expect_written(write_file(name, "two "));
  ASSERT_EQ(::write(file, "three", 5), 5);
  EXPECT_EQ(*read_file(path("a")), "one two three");
  ::close(file);

  const int reader = ::open(path("a").c_str(), O_RDONLY);
  expect_refused(write_file("/proc/self/fd/" + std::to_string(reader), "x"), "cannot write");
  ::close(reader);
  expect_files(1);
}

TEST_F(WriteFile, APipeWaitsForItsReader) {
  ASSERT_EQ(::mkfifo(path("p").c_str(), 0600), 0);
  const std::string bytes(1 << 20, 'x');  // more than a pipe holds
  for (const bool is_early : {true, false}) {
    std::string got;
    std::atomic<bool> is_opened = false;
    std::thread reader([&] {
      const int file = ::open(path("p").c_str(), O_RDONLY | (is_early ? O_NONBLOCK : 0));
      is_opened = true;
      ::fcntl(file, F_SETFL, 0);
      std::array<char, 4096> chunk;
      while (got.size() < bytes.size()) {
        const ssize_t read = ::read(file, chunk.data(), chunk.size());
        if (read > 0) got.append(chunk.data(), static_cast<size_t>(read));
      }
      ::close(file);
    });
    while (is_early && !is_opened) std::this_thread::yield();
    expect_written(write_file(path("p"), bytes));
    reader.join();
    EXPECT_EQ(got, bytes);
  }
  EXPECT_TRUE(S_ISFIFO(info_of(path("p")).st_mode));
  expect_files(1);
}

TEST_F(WriteFile, ASignalEndsTheWaitForAReader) {
  ASSERT_EQ(::mkfifo(path("p").c_str(), 0600), 0);
  struct sigaction action = {}, before = {};
  action.sa_handler = [](int) {};
  ASSERT_EQ(::sigaction(SIGUSR1, &action, &before), 0);
  std::atomic<bool> is_done = false;
  std::thread writer([&] {
    const Status status = write_file(path("p"), "x");
    is_done = true;
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, ErrorCode::interrupted) << status.error().message;
  });
  while (!is_done) {  // again, as the first may come before the wait
    ::pthread_kill(writer.native_handle(), SIGUSR1);
    std::this_thread::yield();
  }
  writer.join();
  ::sigaction(SIGUSR1, &before, nullptr);
}

TEST_F(WriteFile, AReaderThatGoesAwayIsAnError) {
  ASSERT_EQ(::mkfifo(path("p").c_str(), 0600), 0);
  const auto before = ::signal(SIGPIPE, SIG_DFL);
  std::thread reader([&] {
    const int file = ::open(path("p").c_str(), O_RDONLY);
    char byte = 0;
    EXPECT_EQ(::read(file, &byte, 1), 1);
    ::close(file);
  });
  expect_refused(write_file(path("p"), std::string(1 << 20, 'x')), "Broken pipe");
  reader.join();
  sigset_t pending;
  sigpending(&pending);
  EXPECT_EQ(sigismember(&pending, SIGPIPE), 0);
  ::signal(SIGPIPE, before);
}

TEST_F(WriteFile, AFailedWriteLeavesTheOldFileAndNothingElse) {
  make(path("a"), "one");
  make(path("b"), "one");
  fs::create_hard_link(path("b"), path("c"));
  const auto before = ::signal(SIGXFSZ, SIG_DFL);
  {
    const SizeLimit limit(1000);
    const std::string bytes(2000, 'x');
    for (const char* name : {"a", "b", "new"})
      expect_refused(write_file(path(name), bytes), "too large");
    for (const char* name : {"a", "b"}) EXPECT_EQ(*read_file(path(name)), "one");
  }
  ::signal(SIGXFSZ, before);
  expect_files(3);
}

}  // namespace
}  // namespace lathe::support
