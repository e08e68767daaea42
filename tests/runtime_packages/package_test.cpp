// Packages from records to records.
#include "runtime/packages/package.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/runtime_packages/samples.h"
#include "tests/temporary_folder.h"

namespace lathe::runtime::packages {
namespace {

using lathe::tests::TemporaryFolder;
using tests::sample_package;
using tests::sample_recipes;

class PackageFile : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(::mkdir((folder_ / "trust").c_str(), 0755), 0);
    ASSERT_TRUE(make_key_files(folder_ / "k"));
    auto key = SecretKey::read(folder_ / "k.key");
    ASSERT_TRUE(key) << key.error().message;
    key_ = std::move(*key);
    trust_.folder = folder_ / "trust";
  }
  void trust_key() { std::filesystem::copy_file(folder_ / "k.pub", folder_ / "trust/k.pub"); }

  TemporaryFolder folder_;
  std::optional<SecretKey> key_;
  TrustOptions trust_;
};

TEST_F(PackageFile, RoundTrip) {
  trust_key();
  const Recipes recipes = sample_recipes(5);
  tests::write(folder_ / "p.lathe", sample_package(recipes, &*key_));
  const auto package = read_package(folder_ / "p.lathe", trust_);
  ASSERT_TRUE(package) << package.error().message;
  ASSERT_EQ(package->recipes.size(), 1u);
  EXPECT_EQ(*print(package->recipes[0]), *print(recipes));
  EXPECT_EQ(package->signer->known_as, "k.pub");
  EXPECT_EQ(package->signer->key, key_->public_key());
  EXPECT_EQ(package->manifest.kernels.size(), 5u);
  EXPECT_TRUE(package->unknown_members.empty());
  EXPECT_TRUE(looks_like_package(folder_ / "p.lathe"));
  EXPECT_FALSE(looks_like_package(folder_ / "k.pub"));
  EXPECT_FALSE(looks_like_package(folder_ / "none"));
  EXPECT_FALSE(looks_like_package(folder_.path()));
}

TEST_F(PackageFile, TheSameRecordsAreTheSameBytes) {
  const std::string bytes = sample_package(sample_recipes(5), &*key_);
  EXPECT_EQ(sample_package(sample_recipes(5), &*key_), bytes) << "signatures, too";
  EXPECT_NE(sample_package(sample_recipes(4), &*key_), bytes);
  EXPECT_NE(sample_package(sample_recipes(5)), bytes);
}

TEST_F(PackageFile, OnlyTrustedSignersAreTaken) {
  tests::write(folder_ / "signed.lathe", sample_package(sample_recipes(), &*key_));
  tests::write(folder_ / "unsigned.lathe", sample_package(sample_recipes()));
  const std::string fingerprint = *packages::fingerprint(key_->public_key());

  const auto unknown = read_package(folder_ / "signed.lathe", trust_);
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, ErrorCode::mismatch);
  EXPECT_NE(unknown.error().message.find(fingerprint), std::string::npos);
  const auto without = read_package(folder_ / "unsigned.lathe", trust_);
  ASSERT_FALSE(without);
  EXPECT_EQ(without.error().code, ErrorCode::mismatch);
  EXPECT_NE(without.error().message.find("--allow-unsigned"), std::string::npos);

  TrustOptions options = trust_;
  options.allow_unsigned = true;
  EXPECT_TRUE(read_package(folder_ / "unsigned.lathe", options));
  EXPECT_FALSE(read_package(folder_ / "signed.lathe", options)) << "it is signed, by a stranger";
  options = trust_;
  options.accepted_signers = {fingerprint};
  EXPECT_TRUE(read_package(folder_ / "signed.lathe", options));
  EXPECT_FALSE(read_package(folder_ / "unsigned.lathe", options));
  options.accepted_signers = {std::string(32, '0')};
  EXPECT_FALSE(read_package(folder_ / "signed.lathe", options));
  options.accepted_signers = {"all"};
  EXPECT_EQ(read_package(folder_ / "signed.lathe", options).error().code,
            ErrorCode::invalid_argument);

  const auto looked = inspect_package(folder_ / "signed.lathe", trust_);
  ASSERT_TRUE(looked) << looked.error().message;
  EXPECT_FALSE(looked->trust);
  EXPECT_EQ(looked->package.signer->known_as, "");
  trust_key();
  EXPECT_TRUE(read_package(folder_ / "signed.lathe", trust_));
  EXPECT_TRUE(inspect_package(folder_ / "signed.lathe", trust_)->trust);
}

}  // namespace
}  // namespace lathe::runtime::packages
