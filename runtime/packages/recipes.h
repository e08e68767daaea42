// Members of the kind "recipes": winners of the store, with the machines they were timed on.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "runtime/packages/manifest.h"
#include "store/records.h"
#include "support/error.h"
#include "support/isa.h"

namespace lathe::runtime::packages {

struct Recipes {
  std::vector<store::Host> hosts;
  std::vector<store::KeyedWinner> winners;
};

/// One JSON document, {"hosts": […], "winners": [{"key": …, …}]}, with the fields of an export.
/// invalid_argument for a record whose text is not UTF-8.
Result<std::string> print(const Recipes& recipes);

/// Reads what print() wrote, and passes over fields that it does not know. parse_error, naming
/// `origin`, for text that is no JSON, a field that is missing or of another type, and a record of
/// a host that is not among the hosts. Whether the store takes the records is its own business.
Result<Recipes> parse_recipes(std::string_view text, const std::string& origin);

/// What the manifest says of a winner that is in the member `member`.
Kernel kernel_of(const store::KeyedWinner& record, const std::string& member);

/// mismatch, naming `origin`, unless the manifest lists exactly these hosts and these winners, in
/// their order, for the member: what a person read there is what is installed.
Status check_listed(const Recipes& recipes, const Manifest& manifest, const std::string& member,
                    const std::string& origin);

/// Extensions that code for a record's target ("avx2", "llvm:skylake") may use; empty where the
/// target does not say, or is not known.
support::IsaMask needs_of(std::string_view target);

}  // namespace lathe::runtime::packages
