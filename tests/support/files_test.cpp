// Cache folder, reading.
#include "support/files.h"

#include <cstdlib>
#include <fstream>
#include <optional>

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/temporary_folder.h"

namespace lathe::support {
namespace {

/// Sets an environment variable for one test.
class Environment {
 public:
  Environment(const char* name, const std::string& value) : name_(name) {
    if (const char* before = std::getenv(name)) before_ = before;
    ::setenv(name, value.c_str(), 1);
  }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;
  ~Environment() {
    if (before_) {
      ::setenv(name_, before_->c_str(), 1);
    } else {
      ::unsetenv(name_);
    }
  }

 private:
  const char* name_;
  std::optional<std::string> before_;
};

unsigned mode_of(const std::filesystem::path& path) {
  struct stat info = {};
  return ::stat(path.c_str(), &info) == 0 ? info.st_mode & 07777 : 0;
}

TEST(Files, CacheDirectoryFollowsXdg) {
  const tests::TemporaryFolder folder;
  const Environment cache("XDG_CACHE_HOME", (folder / "some/cache").string());
  const auto path = cache_directory();
  ASSERT_TRUE(path) << path.error().message;
  EXPECT_EQ(*path, folder / "some/cache/lathe");
  EXPECT_EQ(mode_of(*path), 0700u);
  EXPECT_TRUE(cache_directory()) << "a second time, as it exists";
}

TEST(Files, CacheDirectoryInHomeWithoutXdg) {
  const tests::TemporaryFolder folder;
  const Environment home("HOME", folder.path().string());
  for (const char* ignored : {"", "relative/path"}) {
    const Environment cache("XDG_CACHE_HOME", ignored);
    const auto path = cache_directory();
    ASSERT_TRUE(path) << path.error().message;
    EXPECT_EQ(*path, folder / ".cache/lathe");
  }
}

TEST(Files, CacheDirectoryThatCannotBeMade) {
  const tests::TemporaryFolder folder;
  std::ofstream(folder / "file") << "in the way";
  const Environment cache("XDG_CACHE_HOME", (folder / "file").string());
  const auto path = cache_directory();
  ASSERT_FALSE(path);
  EXPECT_EQ(path.error().code, ErrorCode::io_error);
  EXPECT_NE(path.error().message.find((folder / "file").string()), std::string::npos);
  EXPECT_NE(path.error().message.find("XDG_CACHE_HOME"), std::string::npos);
}

TEST(Files, AFileInPlaceOfTheFolder) {
  const tests::TemporaryFolder folder;
  std::ofstream(folder / "lathe") << "in the way";
  const auto path = make_private_directory(folder / "lathe");
  ASSERT_FALSE(path);
  EXPECT_NE(path.error().message.find("is not a folder"), std::string::npos);
}

TEST(Files, AFolderThatOthersMayWriteTo) {
  const tests::TemporaryFolder folder;
  const auto path = folder / "lathe";
  ASSERT_TRUE(make_private_directory(path));
  for (const mode_t mode : {0777, 0770, 0702}) {
    ASSERT_EQ(::chmod(path.c_str(), mode), 0);
    const auto refused = make_private_directory(path);
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().message.find("chmod go-w"), std::string::npos)
        << refused.error().message;
    EXPECT_EQ(mode_of(path), mode) << "left as it is";
  }
  ASSERT_EQ(::chmod(path.c_str(), 0755), 0);
  EXPECT_TRUE(make_private_directory(path));
}

TEST(Files, ReadersMakeNoCacheDirectory) {
  const tests::TemporaryFolder folder;
  const Environment cache("XDG_CACHE_HOME", folder.path().string());
  EXPECT_EQ(find_cache_directory().error().code, ErrorCode::not_found);
  EXPECT_FALSE(std::filesystem::exists(folder / "lathe"));
  ASSERT_TRUE(cache_directory());
  const auto found = find_cache_directory();
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(*found, folder / "lathe");
}

TEST(Files, ConfigurationDirectoryFollowsXdg) {
  const tests::TemporaryFolder folder;
  const Environment home("HOME", folder.path().string());
  {
    const Environment config("XDG_CONFIG_HOME", (folder / "some").string());
    EXPECT_EQ(*config_directory_name(), folder / "some/lathe");
  }
  for (const char* ignored : {"", "relative/path"}) {
    const Environment config("XDG_CONFIG_HOME", ignored);
    EXPECT_EQ(*config_directory_name(), folder / ".config/lathe");
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path())) << "nothing is made";
}

TEST(Files, ReadsWholeFiles) {
  const tests::TemporaryFolder folder;
  const std::string bytes = std::string(100000, 'a') + std::string("\0\xff", 2);
  std::ofstream(folder / "a", std::ios::binary) << bytes;
  EXPECT_EQ(*read_file(folder / "a"), bytes);
  EXPECT_EQ(read_file(folder / "missing").error().code, ErrorCode::not_found);
  EXPECT_EQ(read_file(folder.path()).error().code, ErrorCode::io_error);
  const auto limited = read_file(folder / "a", 1000);
  ASSERT_FALSE(limited);
  EXPECT_NE(limited.error().message.find("larger than 1000 bytes"), std::string::npos);
}

TEST(Files, NetworkFileSystems) {
  for (const std::uint64_t remote :
       {0x6969u, 0xfe534d42u, 0xff534d42u, 0x01021997u, 0x65735546u, 0x5346414fu, 0x0bd00bd0u}) {
    EXPECT_TRUE(is_network_magic(remote)) << std::hex << remote;
  }
  for (const std::uint64_t local : {0xef53u, 0x58465342u, 0x9123683eu, 0x01021994u, 0x794c7630u}) {
    EXPECT_FALSE(is_network_magic(local)) << std::hex << local;
  }
  EXPECT_EQ(is_network_filesystem("/proc/no/such/file"), is_network_filesystem("/proc"));
  EXPECT_FALSE(is_network_filesystem("/proc"));
}

}  // namespace
}  // namespace lathe::support
