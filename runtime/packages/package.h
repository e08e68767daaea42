// A package that was read once and checked whole: seal, signature, trust, manifest, members.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "runtime/packages/manifest.h"
#include "runtime/packages/recipes.h"
#include "runtime/packages/trust.h"
#include "support/error.h"

namespace lathe::runtime::packages {

/// A member whose kind, or the version of it, this Lathe does not know: checked, but of no use.
struct UnknownMember {
  std::string name;
  std::string why;
};

struct Package {
  std::filesystem::path path;
  std::optional<Signer> signer;  ///< whose signature holds; nullopt: it carries none
  Manifest manifest;
  std::vector<Recipes> recipes;  ///< of each member of that kind
  std::vector<UnknownMember> unknown_members;
};

/// Whether a file begins as a package does, and no store: what merge decides by. False for what
/// cannot be read.
bool looks_like_package(const std::filesystem::path& path);

/// Reads a package that is to be used. The file is opened once; nothing of it is parsed before the
/// seal holds, no manifest before its signer is trusted, no member before its digest is the
/// manifest's. Errors: GuardedFile's; corrupt or parse_error (no package, damaged, other members
/// than its manifest names), unsupported (made by a newer Lathe), mismatch (a wrong signature or
/// digest, a signer who is not trusted).
Result<Package> read_package(const std::filesystem::path& path, const TrustOptions& options);

/// The same, whoever signed it: for looking at it. `trust`: what read_package() would have said of
/// the signer.
struct Inspection {
  Package package;
  Status trust;
};
Result<Inspection> inspect_package(const std::filesystem::path& path, const TrustOptions& options);

/// The bytes behind inspect_package(), for tests: `bytes` in place of a file.
Result<Package> parse_package(std::string bytes, const std::filesystem::path& path,
                              const TrustedKeys& keys);

}  // namespace lathe::runtime::packages
