// Keys, their files, signatures.
#include "runtime/packages/keys.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/runtime_packages/samples.h"
#include "tests/temporary_folder.h"

namespace lathe::runtime::packages {
namespace {

using lathe::tests::TemporaryFolder;

mode_t mode_of(const std::filesystem::path& path) {
  struct stat info = {};
  return ::stat(path.c_str(), &info) == 0 ? info.st_mode & 07777 : 0;
}

TEST(Keys, FilesGiveBackTheKey) {
  const TemporaryFolder folder;
  const auto made = make_key_files(folder / "k");
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(mode_of(folder / "k.key"), 0600u);
  const auto secret = SecretKey::read(folder / "k.key");
  ASSERT_TRUE(secret) << secret.error().message;
  const auto shown = read_public_key(folder / "k.pub");
  ASSERT_TRUE(shown) << shown.error().message;
  EXPECT_EQ(secret->public_key(), *made);
  EXPECT_EQ(*shown, *made);
  EXPECT_EQ(fingerprint(*made)->size(), 32u);
  const std::string signature = secret->sign("text");
  EXPECT_EQ(*verify("text", signature, "x"), *made);
}

TEST(Keys, NothingIsOverwritten) {
  const TemporaryFolder folder;
  ASSERT_TRUE(make_key_files(folder / "k"));
  const std::string before = *support::read_file(folder / "k.key");
  const auto again = make_key_files(folder / "k");
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ErrorCode::io_error);
  EXPECT_NE(again.error().message.find("is there already"), std::string::npos);
  EXPECT_EQ(*support::read_file(folder / "k.key"), before);
  tests::write(folder / "j.pub", "in the way");
  EXPECT_FALSE(make_key_files(folder / "j"));
  EXPECT_FALSE(std::filesystem::exists(folder / "j.key")) << "no half of a pair is left";
  EXPECT_FALSE(make_key_files(folder / "missing/k"));
}

TEST(Keys, ASecretThatOthersMayReadIsRefused) {
  const TemporaryFolder folder;
  ASSERT_TRUE(make_key_files(folder / "k"));
  for (const mode_t mode : {0640u, 0604u, 0620u, 0602u}) {
    ASSERT_EQ(::chmod((folder / "k.key").c_str(), mode), 0);
    const auto key = SecretKey::read(folder / "k.key");
    ASSERT_FALSE(key) << mode;
    EXPECT_EQ(key.error().code, ErrorCode::io_error);
    EXPECT_NE(key.error().message.find("chmod"), std::string::npos);
  }
}

TEST(Keys, OtherTextIsNoKey) {
  const TemporaryFolder folder;
  ASSERT_TRUE(make_key_files(folder / "k"));
  const std::string secret = *support::read_file(folder / "k.key");
  const std::string shown = *support::read_file(folder / "k.pub");
  EXPECT_TRUE(parse_public_key(shown, "x"));
  std::vector<std::string> others = {"", "\n", secret, shown + "\n", shown.substr(1)};
  for (std::size_t at = 0; at < shown.size(); ++at) {
    others.push_back(shown);
    others.back()[at] = 'G';
    others.push_back(shown.substr(0, at));
  }
  for (const std::string& text : others) {
    const auto key = parse_public_key(text, "x");
    ASSERT_FALSE(key) << text;
    EXPECT_EQ(key.error().code, ErrorCode::parse_error);
  }
  for (const std::string& text :
       {std::string(), shown, secret + "0", secret.substr(0, 60), std::string(250, 'a')}) {
    tests::write(folder / "other.key", text);
    ASSERT_EQ(::chmod((folder / "other.key").c_str(), 0600), 0);
    const auto key = SecretKey::read(folder / "other.key");
    ASSERT_FALSE(key) << text;
    EXPECT_EQ(key.error().code, ErrorCode::parse_error) << key.error().message;
    EXPECT_EQ(key.error().message.find(secret.substr(30, 20)), std::string::npos)
        << "no message tells a secret";
  }
}

TEST(Keys, EveryChangeOfASignatureIsFound) {
  const auto key = SecretKey::generate();
  ASSERT_TRUE(key);
  const auto other = SecretKey::generate();
  const std::string text = "what is signed";
  const std::string signature = key->sign(text);
  ASSERT_TRUE(verify(text, signature, "x"));
  for (std::size_t at = 0; at < signature.size(); ++at) {
    std::string changed = signature;
    changed[at] = changed[at] == '1' ? '2' : '1';
    EXPECT_FALSE(verify(text, changed, "x")) << "character " << at;
    EXPECT_FALSE(verify(text, signature.substr(0, at), "x")) << at << " characters";
  }
  EXPECT_EQ(verify(text + " ", signature, "x").error().code, ErrorCode::mismatch);
  EXPECT_EQ(verify("", signature, "x").error().code, ErrorCode::mismatch);
  EXPECT_EQ(verify(text, "", "x").error().code, ErrorCode::parse_error);
  EXPECT_NE(*verify(text, other->sign(text), "x"), key->public_key());
}

}  // namespace
}  // namespace lathe::runtime::packages
