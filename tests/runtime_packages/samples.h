// Made-up packages for the tests: a few records, their signers, and forgeries whose seal holds.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "runtime/packages/container.h"
#include "runtime/packages/digest.h"
#include "runtime/packages/keys.h"
#include "runtime/packages/package.h"
#include "support/files.h"
#include "tests/store/sample.h"
#include "tuner/packages/make_package.h"

namespace lathe::runtime::packages::tests {

inline constexpr std::size_t kSealDigits = 64;

inline store::Host sample_host(std::string_view identity = "x86_64 isa=fff l2=1") {
  return {store::host_id("cpu", identity), "cpu", std::string(identity), "Example CPU"};
}

/// `count` records of one host, the same in every run.
inline Recipes sample_recipes(int count = 2) {
  Recipes recipes{{sample_host()}, {}};
  for (int i = 0; i < count; ++i) {
    store::Winner winner = store::tests::sample_winner();
    winner.recorded_us = 1'700'000'000'000'000 + i;
    recipes.winners.push_back(
        {store::tests::sample_key(recipes.hosts[0].id, 1000 + i), std::move(winner)});
  }
  return recipes;
}

inline std::string sample_package(const Recipes& recipes, const SecretKey* key = nullptr) {
  auto bytes = tuner::make_package(recipes, "0.1.0", key);
  EXPECT_TRUE(bytes) << bytes.error().message;
  return bytes.value_or("");
}

/// The entries of a package's archive.
inline std::vector<std::pair<std::string, std::string>> entries_of(const std::string& package) {
  std::vector<std::pair<std::string, std::string>> entries;
  const auto container = Container::open(package, "package");
  EXPECT_TRUE(container) << container.error().message;
  for (std::size_t i = 0; container && i < container->size(); ++i)
    entries.emplace_back(container->name(i), container->read(i, kMostPackageBytes).value_or(""));
  return entries;
}

inline std::string container_of(const std::vector<std::pair<std::string, std::string>>& entries) {
  std::vector<Entry> views;
  for (const auto& [name, bytes] : entries) views.push_back({name, bytes});
  auto bytes = write_container(views);
  EXPECT_TRUE(bytes) << bytes.error().message;
  return bytes.value_or("");
}

/// With a seal that fits the bytes: what somebody makes who changes a package on purpose.
inline std::string sealed_again(std::string bytes) {
  bytes.resize(bytes.size() - kSealDigits);
  return bytes + blake2b(bytes).value_or("");
}

/// What anybody's keys say of the bytes.
inline Result<Package> parse_trusting_nobody(std::string bytes) {
  return parse_package(std::move(bytes), "p.lathe", TrustedKeys());
}

inline void write(const std::filesystem::path& path, std::string_view bytes) {
  const Status status = support::write_file(path, bytes, support::ExistingFile::replaced);
  EXPECT_TRUE(status) << status.error().message;
  // Whatever the umask of who runs the tests.
  std::filesystem::permissions(path, std::filesystem::perms(0644));
}

}  // namespace lathe::runtime::packages::tests
