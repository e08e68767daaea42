// The trust folder, read as a whole before anything is decided.
#include "runtime/packages/trust.h"

#include <algorithm>
#include <system_error>

#include "support/files.h"

namespace lathe::runtime::packages {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kFingerprintDigits = 32;

}  // namespace

Result<fs::path> trust_folder() {
  LATHE_TRY(const fs::path folder, support::config_directory_name());
  return folder / "trust";
}

Result<TrustedKeys> TrustedKeys::load(const TrustOptions& options) {
  TrustedKeys trusted;
  trusted.folder_ = options.folder;
  const bool is_named = !options.folder.empty();
  if (!is_named) {
    LATHE_TRY(trusted.folder_, trust_folder());
  }
  const Status folder = support::check_private_directory(
      trusted.folder_, is_named ? "name by --trust" : "set XDG_CONFIG_HOME to");
  if (!folder && folder.error().code == ErrorCode::not_found && !is_named) return trusted;
  LATHE_CHECK(folder);
  std::error_code error;
  fs::directory_iterator entry(trusted.folder_, error);
  std::vector<fs::path> paths;
  for (; !error && entry != fs::directory_iterator(); entry.increment(error))
    if (entry->path().extension() == ".pub") paths.push_back(entry->path());
  if (error) {
    return fail(ErrorCode::io_error, "cannot read the folder {}: {}", trusted.folder_.string(),
                error.message());
  }
  std::sort(paths.begin(), paths.end());
  for (const fs::path& path : paths) {
    LATHE_TRY(const PublicKey key, read_public_key(path));
    trusted.keys_.push_back({key, path.filename().string()});
  }
  return trusted;
}

Result<Signer> TrustedKeys::signer(const PublicKey& key) const {
  Signer signer{key, {}, {}};
  LATHE_TRY(signer.fingerprint, fingerprint(key));
  const auto known = std::find_if(keys_.begin(), keys_.end(),
                                  [&](const Named& named) { return named.key == key; });
  if (known != keys_.end()) signer.known_as = known->name;
  return signer;
}

Status check_trust(const std::optional<Signer>& signer, const TrustOptions& options,
                   const fs::path& folder, const std::string& origin) {
  for (const std::string& accepted : options.accepted_signers) {
    if (accepted.size() == kFingerprintDigits &&
        accepted.find_first_not_of("0123456789abcdef") == std::string::npos)
      continue;
    return fail(ErrorCode::invalid_argument,
                "'{}' is no fingerprint: expected {} hexadecimal digits, as inspect shows them",
                accepted, kFingerprintDigits);
  }
  if (!signer) {
    if (options.allow_unsigned) return {};
    return fail(ErrorCode::mismatch,
                "{} carries no signature, so anybody may have made it; ask for a signed one, or "
                "take it with --allow-unsigned",
                origin);
  }
  const auto& accepted = options.accepted_signers;
  if (!signer->known_as.empty() ||
      std::find(accepted.begin(), accepted.end(), signer->fingerprint) != accepted.end())
    return {};
  return fail(ErrorCode::mismatch,
              "{} is signed by {}, whose key is not in {}; where you know that this is the right "
              "one, put its public key (NAME.pub) there, or take this package with "
              "--accept-signer {}",
              origin, signer->fingerprint, folder.string(), signer->fingerprint);
}

}  // namespace lathe::runtime::packages
