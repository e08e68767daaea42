// The trust folder: whose it is, what lies in it.
#include "runtime/packages/trust.h"

#include <cstdlib>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/runtime_packages/samples.h"
#include "tests/temporary_folder.h"

namespace lathe::runtime::packages {
namespace {

class TrustFolder : public testing::Test {
 protected:
  void SetUp() override {
    if (const char* before = std::getenv("XDG_CONFIG_HOME")) before_ = before;
    ::setenv("XDG_CONFIG_HOME", home_.path().c_str(), 1);
  }
  void TearDown() override {
    before_ ? ::setenv("XDG_CONFIG_HOME", before_->c_str(), 1) : ::unsetenv("XDG_CONFIG_HOME");
  }
  std::filesystem::path folder() const { return home_ / "lathe/trust"; }
  void make_folder() const {
    std::filesystem::create_directories(folder());
    ASSERT_EQ(::chmod(folder().c_str(), 0755), 0);
  }
  static void expect_refused(const TrustOptions& options, ErrorCode code, std::string_view says) {
    const auto keys = TrustedKeys::load(options);
    ASSERT_FALSE(keys) << says;
    EXPECT_EQ(keys.error().code, code);
    EXPECT_NE(keys.error().message.find(says), std::string::npos) << keys.error().message;
  }

  lathe::tests::TemporaryFolder home_;
  std::optional<std::string> before_;
};

TEST_F(TrustFolder, IsTheUsersOwnUnlessNamed) {
  EXPECT_EQ(*trust_folder(), folder());
  const auto none = TrustedKeys::load({});
  ASSERT_TRUE(none) << none.error().message;
  EXPECT_FALSE(std::filesystem::exists(home_ / "lathe")) << "nothing is made";
  const auto made = make_key_files(home_ / "k");
  EXPECT_EQ(none->signer(*made)->known_as, "");
  make_folder();
  std::filesystem::copy_file(home_ / "k.pub", folder() / "alice.pub");
  EXPECT_EQ(TrustedKeys::load({})->signer(*made)->known_as, "alice.pub");
  TrustOptions named;
  named.folder = home_ / "other";
  expect_refused(named, ErrorCode::not_found, "other");
  ASSERT_EQ(::mkdir(named.folder.c_str(), 0755), 0);
  EXPECT_EQ(TrustedKeys::load(named)->signer(*made)->known_as, "") << "in place of the user's own";
}

TEST_F(TrustFolder, OthersMayNotWriteThere) {
  make_folder();
  ASSERT_EQ(::chmod(folder().c_str(), 0777), 0);
  expect_refused({}, ErrorCode::io_error, "XDG_CONFIG_HOME");
  TrustOptions named;
  named.folder = folder();
  expect_refused(named, ErrorCode::io_error, "--trust");
}

TEST_F(TrustFolder, NoKeyIsPassedOverInSilence) {
  make_folder();
  ASSERT_TRUE(make_key_files(folder() / "k"));
  EXPECT_TRUE(TrustedKeys::load({})) << "only *.pub is read";
  tests::write(folder() / "README", "anything");
  EXPECT_TRUE(TrustedKeys::load({}));
  tests::write(folder() / "bad.pub", "anything");
  expect_refused({}, ErrorCode::parse_error, "bad.pub");
  std::filesystem::remove(folder() / "bad.pub");
  ASSERT_EQ(::chmod((folder() / "k.pub").c_str(), 0666), 0);
  expect_refused({}, ErrorCode::io_error, "chmod go-w");
  ASSERT_EQ(::chmod((folder() / "k.pub").c_str(), 0644), 0);
  if (::chown((folder() / "k.pub").c_str(), 12345, static_cast<gid_t>(-1)) != 0)
    GTEST_SKIP() << "only root may give files away";
  expect_refused({}, ErrorCode::io_error, "belongs to user 12345");
}

}  // namespace
}  // namespace lathe::runtime::packages
