// Records to recipes, recipes to a manifest and a container.
#include "tuner/packages/make_package.h"

#include <algorithm>
#include <vector>

#include "compiler/family.h"
#include "compiler/shared_operand.h"
#include "compiler/version.h"
#include "runtime/packages/container.h"
#include "runtime/packages/digest.h"
#include "runtime/packages/manifest.h"
#include "store/fields.h"
#include "support/text.h"

namespace lathe::tuner {
namespace {

namespace packages = runtime::packages;

constexpr const char* kRecipesName = "recipes.json";

bool is_wanted(const store::Key& key, const Selection& selection) {
  return (selection.host.empty() || key.host == selection.host) &&
         (selection.target.empty() || key.target == selection.target) &&
         (selection.threads == 0 || key.threads == selection.threads) &&
         (selection.families.empty() || selection.families.contains(key.family)) &&
         (!selection.problems || selection.problems->contains(key.problem));
}

bool is_current(const store::Key& key) {
  const Result<int> revision = compiler::current_revision(key.family);
  return revision && *revision == key.family_revision && key.compiler_version == compiler::kVersion;
}

bool is_sound(const store::KeyedWinner& record) {
  if (record.winner.verified.empty()) return false;
  const auto text = packages::print(packages::Recipes{{}, {record}});  // fails unless UTF-8
  if (!text) return false;
  bool printable = true;
  const auto look = [&](const char*, const auto& value) {
    if constexpr (std::is_same_v<std::decay_t<decltype(value)>, std::string>)
      printable = printable && support::is_printable(value);
  };
  store::for_each_field(record.key, look);
  store::for_each_field(record.winner, look);
  return printable;
}

}  // namespace

Result<SelectedRecipes> select_recipes(store::Store& store, const Selection& selection) {
  LATHE_TRY(std::vector<store::KeyedWinner> winners, store.winners(selection.host));
  LATHE_TRY(const std::vector<store::Host> hosts, store.hosts());
  SelectedRecipes selected;
  auto& taken = selected.recipes.winners;
  for (store::KeyedWinner& record : winners) {
    if (!is_wanted(record.key, selection)) continue;
    if (!is_current(record.key)) {
      ++selected.outdated;
    } else if (!is_sound(record)) {
      ++selected.unchecked;
    } else {
      taken.push_back(std::move(record));
    }
  }
  std::sort(taken.begin(), taken.end(),
            [](const store::KeyedWinner& a, const store::KeyedWinner& b) { return a.key < b.key; });
  for (const store::Host& host : hosts) {
    if (std::any_of(taken.begin(), taken.end(),
                    [&](const store::KeyedWinner& record) { return record.key.host == host.id; }))
      selected.recipes.hosts.push_back(host);
  }
  return selected;
}

Result<std::string> make_package(const packages::Recipes& recipes, const std::string& lathe_version,
                                 const packages::SecretKey* key) {
  LATHE_TRY(const std::string content, packages::print(recipes));
  LATHE_TRY(std::string digest, packages::blake2b(content));
  packages::Manifest manifest;
  manifest.lathe_version = lathe_version;
  manifest.compiler_version = compiler::kVersion;
  manifest.members = {{kRecipesName, std::string(packages::kRecipesKind), packages::kRecipesVersion,
                       content.size(), std::move(digest)}};
  manifest.hosts = recipes.hosts;
  for (const store::KeyedWinner& record : recipes.winners)
    manifest.kernels.push_back(packages::kernel_of(record, kRecipesName));
  const std::string text = packages::print(manifest);
  if (text.size() > packages::kMostManifestBytes || content.size() > packages::kMostMemberBytes) {
    return fail(ErrorCode::invalid_argument,
                "a package of these {} records would have a manifest of {} bytes, expected at most "
                "{}: choose fewer, by --model, --target or --threads",
                recipes.winners.size(), text.size(), packages::kMostManifestBytes);
  }
  const std::string signature = key == nullptr ? std::string() : key->sign(text);
  std::vector<packages::Entry> entries = {{packages::kManifestName, text}};
  if (key != nullptr) entries.push_back({packages::kSignatureName, signature});
  entries.push_back({kRecipesName, content});
  return packages::write_container(entries);
}

}  // namespace lathe::tuner
