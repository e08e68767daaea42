// Writing packages: which records go into one, and its bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>

#include "runtime/packages/keys.h"
#include "runtime/packages/recipes.h"
#include "store/store.h"
#include "support/error.h"

namespace lathe::tuner {

/// Which winners of a store are wanted.
struct Selection {
  std::string host{};                               ///< store::Host::id; empty: every host's
  std::string target{};                             ///< "avx2"; empty: every target's
  int threads = 0;                                  ///< 0: of any number
  std::set<std::string> families{};                 ///< empty: all
  std::optional<std::set<std::string>> problems{};  ///< lines; nullopt: all
};

struct SelectedRecipes {
  runtime::packages::Recipes recipes;  ///< in the order of their keys, hosts of their ids
  std::int64_t outdated = 0;           ///< left out: of another code generator, or another revision
  std::int64_t unchecked =
      0;  ///< left out: never checked, or with text that no writer of ours makes
};

/// The winners that are wanted and of use to somebody with this Lathe. Errors: the store's.
Result<SelectedRecipes> select_recipes(store::Store& store, const Selection& selection);

/// A package's bytes: a manifest, its signature where there is a key, one member of recipes. The
/// same arguments give the same bytes, with the same version of zlib. `lathe_version`: "0.1.0".
/// Errors: invalid_argument (a manifest that would be too large, text that is not UTF-8),
/// resource_exhausted.
Result<std::string> make_package(const runtime::packages::Recipes& recipes,
                                 const std::string& lathe_version,
                                 const runtime::packages::SecretKey* key);

}  // namespace lathe::tuner
