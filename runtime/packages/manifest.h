// What a package says of itself: manifest.json, which a person can read and a signature is made of.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "store/records.h"
#include "support/error.h"

namespace lathe::runtime::packages {

inline constexpr std::string_view kManifestName = "manifest.json";
inline constexpr std::string_view kSignatureName = "manifest.sig";
inline constexpr std::size_t kMostManifestBytes = std::size_t{16} << 20;
/// Of all members together, unpacked.
inline constexpr std::uint64_t kMostMemberBytes = std::uint64_t{512} << 20;

/// Raised when a reader of before would misunderstand a package. Fields are added without it.
inline constexpr std::int64_t kManifestVersion = 1;

/// A kind of member and its version are an open list: a reader checks members of kinds that it does
/// not know, too, and leaves them where they are.
inline constexpr std::string_view kRecipesKind = "recipes";
inline constexpr std::int64_t kRecipesVersion = 1;

struct Member {
  std::string name;
  std::string kind;
  std::int64_t version = 0;  ///< of the kind
  std::uint64_t bytes = 0;
  std::string blake2b;  ///< of the bytes; see digest.h
  friend bool operator==(const Member&, const Member&) = default;
};

/// A kernel that the package has: of a recipe the record's key, and what it gives.
struct Kernel {
  std::string member;  ///< the member that it is in
  store::Key key;
  std::string needs;  ///< ISA extensions that its target runs code of: "sse4_1+avx+avx2"
  std::string schedule;
  double tuned_ns = 0;
  double default_ns = 0;
  double confidence = 0;
  std::string verified;  ///< what was checked
  friend bool operator==(const Kernel&, const Kernel&) = default;
};

struct Manifest {
  std::string lathe_version;  ///< of the Lathe that made it
  std::string compiler_version;
  std::vector<Member> members;
  std::vector<store::Host> hosts;  ///< the machines that the kernels were timed on
  std::vector<Kernel> kernels;
};

/// One JSON document with a final newline, the same for the same manifest.
std::string print(const Manifest& manifest);

/// Reads what print() wrote, and passes over fields that it does not know. Errors, naming `origin`:
/// parse_error (no JSON, too large, a field that is missing or of another type, a name that is not
/// plain or stands there twice, a kernel of no member); unsupported (a newer version).
Result<Manifest> parse_manifest(std::string_view text, const std::string& origin);

}  // namespace lathe::runtime::packages
