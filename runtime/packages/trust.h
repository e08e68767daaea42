// Whose packages are taken: the public keys of a folder, and what a user accepts by name.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "runtime/packages/keys.h"
#include "support/error.h"

namespace lathe::runtime::packages {

struct TrustOptions {
  std::filesystem::path folder;               ///< of public keys (*.pub); empty: the user's own
  bool allow_unsigned = false;                ///< packages that carry no signature
  std::vector<std::string> accepted_signers;  ///< fingerprints
};

/// $XDG_CONFIG_HOME/lathe/trust, else ~/.config/lathe/trust. It need not be there.
Result<std::filesystem::path> trust_folder();

/// Who signed a package.
struct Signer {
  PublicKey key;
  std::string fingerprint;
  std::string
      known_as;  ///< the name of the key's file in the trust folder; empty where it has none
};

/// The keys of a folder. None where the user's own folder is missing. Errors: not_found for one
/// that was named; io_error for a folder or a key's file that others could have changed (see
/// check_private_directory() and GuardedFile), parse_error for a *.pub file that is no public key:
/// no key is passed over in silence.
class TrustedKeys {
 public:
  static Result<TrustedKeys> load(const TrustOptions& options);

  Result<Signer> signer(const PublicKey& key) const;
  const std::filesystem::path& folder() const { return folder_; }

 private:
  struct Named {
    PublicKey key;
    std::string name;
  };
  std::filesystem::path folder_;
  std::vector<Named> keys_;  ///< by name
};

/// mismatch, with what to do, unless a package with this signer (none: unsigned) is to be taken.
/// invalid_argument for an accepted fingerprint that is none.
Status check_trust(const std::optional<Signer>& signer, const TrustOptions& options,
                   const std::filesystem::path& folder, const std::string& origin);

}  // namespace lathe::runtime::packages
