// The order of checks is the point of this file: nothing is parsed that has not been vouched for.
#include "runtime/packages/package.h"

#include <functional>

#include <fcntl.h>
#include <unistd.h>

#include "runtime/packages/container.h"
#include "runtime/packages/digest.h"
#include "runtime/packages/guarded_file.h"
#include "support/descriptor.h"
#include "support/text.h"

namespace lathe::runtime::packages {
namespace {

constexpr std::size_t kMostSignatureBytes = 1024;
constexpr std::string_view kArchiveMark = "PK\x03\x04";

/// Called once the signature holds, with who made it (nullopt: there is none), before the manifest
/// is parsed.
using JudgeSigner = std::function<Status(const std::optional<Signer>&)>;

/// The archive's entries are the manifest, its signature, and the members in the manifest's order.
Status check_names(const Container& container, std::size_t first, const Manifest& manifest,
                   const std::string& origin) {
  for (std::size_t i = first; i < container.size(); ++i) {
    const std::size_t member = i - first;
    if (member >= manifest.members.size()) {
      return fail(ErrorCode::corrupt, "{} has a member that its manifest does not name", origin);
    }
    if (container.name(i) != manifest.members[member].name) {
      return fail(ErrorCode::corrupt,
                  "{} has another member where its manifest names '{}': expected the manifest's, "
                  "in its order",
                  origin, manifest.members[member].name);
    }
  }
  if (container.size() - first != manifest.members.size()) {
    return fail(ErrorCode::corrupt, "{} lacks the member '{}' that its manifest names", origin,
                manifest.members[container.size() - first].name);
  }
  return {};
}

Result<std::string> read_member(const Container& container, std::size_t index, const Member& member,
                                const std::string& origin) {
  if (container.claimed_bytes(index) != member.bytes) {
    return fail(ErrorCode::mismatch,
                "{}: its member {} has not the {} bytes that its manifest says", origin,
                member.name, member.bytes);
  }
  LATHE_TRY(std::string bytes, container.read(index, member.bytes));
  LATHE_TRY(const std::string digest, blake2b(bytes));
  if (digest != member.blake2b) {
    return fail(ErrorCode::mismatch,
                "{}: its member {} has not the checksum that its manifest says: it was changed, or "
                "is another package's",
                origin, member.name);
  }
  return bytes;
}

Status take_member(const Member& member, const std::string& bytes, const std::string& origin,
                   Package& package) {
  if (member.kind != kRecipesKind) {
    package.unknown_members.push_back(
        {member.name,
         fmt::format("this Lathe does not know its kind '{}'", support::printable(member.kind))});
    return {};
  }
  if (member.version != kRecipesVersion) {
    package.unknown_members.push_back(
        {member.name,
         fmt::format("its kind '{}' is of version {}, this Lathe reads {}",
                     support::printable(member.kind), member.version, kRecipesVersion)});
    return {};
  }
  LATHE_TRY(Recipes recipes, parse_recipes(bytes, origin + ": " + member.name));
  LATHE_CHECK(check_listed(recipes, package.manifest, member.name, origin));
  package.recipes.push_back(std::move(recipes));
  return {};
}

Result<Package> parse(std::string bytes, const std::filesystem::path& path, const TrustedKeys& keys,
                      const JudgeSigner& judge) {
  const std::string origin = path.string();
  Package package;
  package.path = path;
  LATHE_TRY(const Container container, Container::open(std::move(bytes), origin));
  if (container.size() == 0 || container.name(0) != kManifestName) {
    return fail(ErrorCode::corrupt, "{} has no {} as its first member: it is no package", origin,
                kManifestName);
  }
  LATHE_TRY(const std::string manifest, container.read(0, kMostManifestBytes));
  std::size_t first = 1;
  if (container.size() > 1 && container.name(1) == kSignatureName) {
    first = 2;
    LATHE_TRY(const std::string signature, container.read(1, kMostSignatureBytes));
    LATHE_TRY(const PublicKey key, verify(manifest, signature, origin));
    LATHE_TRY(package.signer, keys.signer(key));
  }
  LATHE_CHECK(judge(package.signer));
  LATHE_TRY(package.manifest,
            parse_manifest(manifest, fmt::format("{}: {}", origin, kManifestName)));
  LATHE_CHECK(check_names(container, first, package.manifest, origin));
  for (std::size_t i = 0; i < package.manifest.members.size(); ++i) {
    const Member& member = package.manifest.members[i];
    LATHE_TRY(const std::string content, read_member(container, first + i, member, origin));
    LATHE_CHECK(take_member(member, content, origin, package));
  }
  return package;
}

Result<std::string> read_file(const std::filesystem::path& path) {
  LATHE_TRY(const GuardedFile file, GuardedFile::open(path, "package", kMostPackageBytes));
  return file.read();
}

}  // namespace

bool looks_like_package(const std::filesystem::path& path) {
  // A pipe without a writer would be waited for.
  const support::Descriptor file(
      ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  char begin[kArchiveMark.size()];
  return file.get() >= 0 && ::pread(file.get(), begin, sizeof begin, 0) == sizeof begin &&
         std::string_view(begin, sizeof begin) == kArchiveMark;
}

Result<Package> read_package(const std::filesystem::path& path, const TrustOptions& options) {
  LATHE_TRY(const TrustedKeys keys, TrustedKeys::load(options));
  LATHE_TRY(std::string bytes, read_file(path));
  return parse(std::move(bytes), path, keys, [&](const std::optional<Signer>& signer) {
    return check_trust(signer, options, keys.folder(), path.string());
  });
}

Result<Inspection> inspect_package(const std::filesystem::path& path, const TrustOptions& options) {
  LATHE_TRY(const TrustedKeys keys, TrustedKeys::load(options));
  LATHE_TRY(std::string bytes, read_file(path));
  LATHE_TRY(Package package, parse_package(std::move(bytes), path, keys));
  Status trust = check_trust(package.signer, options, keys.folder(), path.string());
  return Inspection{std::move(package), std::move(trust)};
}

Result<Package> parse_package(std::string bytes, const std::filesystem::path& path,
                              const TrustedKeys& keys) {
  return parse(std::move(bytes), path, keys, [](const std::optional<Signer>&) { return Status{}; });
}

}  // namespace lathe::runtime::packages
