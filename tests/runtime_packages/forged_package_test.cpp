// Packages that were changed, by accident or on purpose: all refused, with the reason.
#include <random>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>

#include "runtime/packages/package.h"
#include "tests/runtime_packages/samples.h"
#include "tests/temporary_folder.h"

namespace lathe::runtime::packages {
namespace {

using tests::container_of;
using tests::entries_of;
using tests::parse_trusting_nobody;
using tests::sample_package;
using tests::sample_recipes;

using Json = nlohmann::json;
using Entries = std::vector<std::pair<std::string, std::string>>;

class ForgedPackage : public testing::Test {
 protected:
  void SetUp() override {
    auto key = SecretKey::generate();
    ASSERT_TRUE(key) << key.error().message;
    key_ = std::move(*key);
    signed_ = entries_of(sample_package(sample_recipes(), &*key_));
    ASSERT_EQ(signed_.size(), 3u);
    unsigned_ = {signed_[0], signed_[2]};
  }
  static void expect_refused(const Entries& entries, ErrorCode code, std::string_view says) {
    const auto package = parse_trusting_nobody(container_of(entries));
    ASSERT_FALSE(package) << says;
    EXPECT_EQ(package.error().code, code) << package.error().message;
    EXPECT_NE(package.error().message.find(says), std::string::npos) << package.error().message;
  }
  /// The unsigned package with the manifest changed: whoever takes unsigned ones meets such.
  template <typename Change>
  Entries with_manifest(Change&& change) const {
    Json manifest = Json::parse(unsigned_[0].second);
    change(manifest);
    Entries entries = unsigned_;
    entries[0].second = manifest.dump();
    return entries;
  }

  std::optional<SecretKey> key_;
  Entries signed_;    ///< manifest, signature, recipes
  Entries unsigned_;  ///< manifest, recipes
};

TEST_F(ForgedPackage, TheSamplesAreGood) {
  EXPECT_TRUE(parse_trusting_nobody(container_of(signed_)));
  EXPECT_TRUE(parse_trusting_nobody(container_of(unsigned_)));
}

TEST_F(ForgedPackage, NoByteOfASignedManifestCanBeChanged) {
  for (std::size_t at = 0; at < signed_[0].second.size(); ++at) {
    Entries entries = signed_;
    entries[0].second[at] = static_cast<char>(entries[0].second[at] ^ 1);
    const auto package = parse_trusting_nobody(container_of(entries));
    ASSERT_FALSE(package) << "byte " << at;
    EXPECT_EQ(package.error().code, ErrorCode::mismatch) << package.error().message;
  }
}

TEST_F(ForgedPackage, NoByteOfTheFileCanBeChanged) {
  const std::string bytes = container_of(signed_);
  const std::size_t end_of_manifest = bytes.find("PK\x03\x04", 4);
  ASSERT_NE(end_of_manifest, std::string::npos);
  std::mt19937 random(1);
  const auto refused = [&](std::size_t at) {
    std::string changed = bytes;
    changed[at] = static_cast<char>(changed[at] ^ (1 << random() % 8));
    return !parse_trusting_nobody(changed);
  };
  for (std::size_t at = 0; at < end_of_manifest; ++at) ASSERT_TRUE(refused(at)) << at;
  for (int i = 0; i < 2000; ++i) {
    const std::size_t at = end_of_manifest + random() % (bytes.size() - end_of_manifest);
    ASSERT_TRUE(refused(at)) << at;
  }
}

TEST_F(ForgedPackage, AnothersMembersUnderASignedManifest) {
  Recipes other = sample_recipes();
  other.winners[0].winner.schedule = "accumulators=8";  // as many bytes
  Entries entries = signed_;
  entries[2].second = *print(other);
  ASSERT_EQ(entries[2].second.size(), signed_[2].second.size());
  expect_refused(entries, ErrorCode::mismatch, "checksum");
  entries[2].second = *print(sample_recipes(3));
  expect_refused(entries, ErrorCode::mismatch, "bytes that its manifest says");
  entries = signed_;
  const Entries others = entries_of(sample_package(sample_recipes(3), &*key_));
  entries[1] = others[1];
  expect_refused(entries, ErrorCode::mismatch, "signature");
}

TEST_F(ForgedPackage, AStrangersSignatureIsTheStrangers) {
  const auto stranger = SecretKey::generate();
  Entries entries = signed_;
  entries[1].second = stranger->sign(entries[0].second);
  const auto package = parse_trusting_nobody(container_of(entries));
  ASSERT_TRUE(package);
  EXPECT_EQ(package->signer->key, stranger->public_key());
  EXPECT_FALSE(check_trust(package->signer, {}, "folder", "x"));
}

TEST_F(ForgedPackage, MembersAreThoseOfTheManifest) {
  Entries more = signed_;
  more.push_back({"extra", "x"});
  expect_refused(more, ErrorCode::corrupt, "does not name");
  Entries twice = signed_;
  twice.push_back(signed_[2]);
  twice.back().first = "recipes.json2";
  expect_refused(twice, ErrorCode::corrupt, "does not name");
  expect_refused({signed_[0], signed_[1]}, ErrorCode::corrupt, "lacks the member 'recipes.json'");
  expect_refused({signed_[2], signed_[0]}, ErrorCode::corrupt, "first member");
  Entries late = {signed_[0], signed_[2], signed_[1]};
  expect_refused(late, ErrorCode::corrupt, "does not name");
  Entries renamed = signed_;
  renamed[2].first = "Recipes.json";
  expect_refused(renamed, ErrorCode::corrupt, "another member");
  expect_refused({{"x", "y"}}, ErrorCode::corrupt, "first member");
}

TEST_F(ForgedPackage, NamesThatLeadElsewhere) {
  const std::string bytes = container_of(unsigned_);
  for (const std::string name :
       {"../ipes.json", "/ecipes.json", "re\\ipes.json", "manifest.json", "manifest.sig"}) {
    // In the archive alone, where no writer of ours would put it.
    const std::string true_name = "recipes.json";
    std::string changed = bytes;
    for (std::size_t at = changed.find(true_name); at != std::string::npos;
         at = changed.find(true_name, at + 1))
      if (name.size() == true_name.size()) changed.replace(at, name.size(), name);
    if (changed != bytes) {
      EXPECT_FALSE(parse_trusting_nobody(tests::sealed_again(changed))) << name;
    }
    // In the manifest, too.
    expect_refused(with_manifest([&](Json& manifest) {
                     manifest["members"][0]["name"] = name;
                     for (Json& kernel : manifest["kernels"]) kernel["member"] = name;
                   }),
                   ErrorCode::parse_error, "no member of a package may be");
  }
}

TEST_F(ForgedPackage, TheManifestListsWhatIsInstalled) {
  const auto refused = [&](auto change) {
    expect_refused(with_manifest(change), ErrorCode::mismatch, "lists other kernels or hosts");
  };
  refused([](Json& manifest) { manifest["kernels"][0]["schedule"] = "accumulators=8"; });
  refused([](Json& manifest) { manifest["kernels"][0]["tuned_ns"] = 1; });
  refused([](Json& manifest) { manifest["kernels"][0]["threads"] = 1; });
  refused([](Json& manifest) { manifest["kernels"][0]["needs"] = "none"; });
  refused([](Json& manifest) { manifest["kernels"].erase(1); });
  refused([](Json& manifest) { manifest["kernels"].push_back(manifest["kernels"][0]); });
  refused([](Json& manifest) { manifest["hosts"][0]["description"] = "another"; });
  refused([](Json& manifest) { manifest["hosts"].push_back(manifest["hosts"][0]); });
}

TEST_F(ForgedPackage, ClaimsOfSize) {
  expect_refused(with_manifest([](Json& manifest) { manifest["members"][0]["bytes"] = 1 << 28; }),
                 ErrorCode::mismatch, "bytes that its manifest says");
  Entries large = unsigned_;
  large[0].second.append(kMostManifestBytes, ' ');
  expect_refused(large, ErrorCode::corrupt, "at most 16777216");
  Entries signature = signed_;
  signature[1].second.append(2000, ' ');
  expect_refused(signature, ErrorCode::corrupt, "at most 1024");
}

TEST_F(ForgedPackage, KindsOfANewerLatheAreCheckedAndLeftOut) {
  const std::vector<std::pair<std::string, Json>> others = {{"kind", "artifact"}, {"version", 2}};
  for (const auto& [field, value] : others) {
    const Entries entries = with_manifest([&, field = field, value = value](Json& manifest) {
      manifest["members"][0][field] = value;
    });
    const auto package = parse_trusting_nobody(container_of(entries));
    ASSERT_TRUE(package) << package.error().message;
    EXPECT_TRUE(package->recipes.empty());
    ASSERT_EQ(package->unknown_members.size(), 1u);
    EXPECT_EQ(package->unknown_members[0].name, "recipes.json");
    Entries changed = entries;
    changed[1].second[10] ^= 1;
    expect_refused(changed, ErrorCode::mismatch, "checksum");
  }
}

TEST_F(ForgedPackage, RecipesThatAreNone) {
  for (const std::string text : {"", "x", "[]", "{}", R"({"hosts": [], "winners": [1]})"}) {
    Entries entries = with_manifest([&](Json& manifest) {
      manifest["members"][0]["bytes"] = text.size();
      manifest["members"][0]["blake2b"] = *blake2b(text);
    });
    entries[1].second = text;
    const auto package = parse_trusting_nobody(container_of(entries));
    ASSERT_FALSE(package) << text;
    EXPECT_EQ(package.error().code, ErrorCode::parse_error);
  }
}

}  // namespace
}  // namespace lathe::runtime::packages
