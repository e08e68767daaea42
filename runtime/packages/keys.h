// Who signs packages: Ed25519 keys, their files, signatures.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "support/error.h"

namespace lathe::runtime::packages {

/// An Ed25519 public key.
struct PublicKey {
  std::array<unsigned char, 32> bytes = {};
  friend auto operator<=>(const PublicKey&, const PublicKey&) = default;
};

/// 32 hexadecimal digits that stand for the key: the first half of its BLAKE2b digest.
Result<std::string> fingerprint(const PublicKey& key);

/// A public key's file: a line that says what it is, and 64 hexadecimal digits. parse_error, naming
/// `origin`, for other text.
std::string print(const PublicKey& key);
Result<PublicKey> parse_public_key(std::string_view text, const std::string& origin);
/// Of a file that passes GuardedFile.
Result<PublicKey> read_public_key(const std::filesystem::path& path);

/// An Ed25519 secret key in memory of its own, which is not swapped out where the system allows,
/// and is wiped at the end.
class SecretKey {
 public:
  static Result<SecretKey> generate();
  /// Of a file that passes GuardedFile and that nobody else may read. Errors: not_found, io_error,
  /// parse_error.
  static Result<SecretKey> read(const std::filesystem::path& path);

  const PublicKey& public_key() const { return public_key_; }

  /// The signature of the bytes, as the text of a package's manifest.sig: what it is, the public
  /// key and the detached Ed25519 signature.
  std::string sign(std::string_view bytes) const;

  /// Writes a new file of mode 0600. io_error where there is one, or it cannot be written.
  Status write_new(const std::filesystem::path& path) const;

 private:
  struct Wipe {
    void operator()(unsigned char* memory) const noexcept;
  };
  using Memory = std::unique_ptr<unsigned char[], Wipe>;

  explicit SecretKey(Memory memory) : memory_(std::move(memory)) {}
  static Result<SecretKey> from_seed(const unsigned char* seed);

  Memory memory_;  ///< the seed, then the public key, as libsodium has them
  PublicKey public_key_;
};

/// Who signed the bytes. `signature`: the text that sign() made. parse_error for other text,
/// mismatch where it is not a signature of these bytes; both name `origin`.
Result<PublicKey> verify(std::string_view bytes, std::string_view signature,
                         const std::string& origin);

/// Makes a key pair: NAME.key (mode 0600) and NAME.pub, of which neither may be there. io_error;
/// neither is left where one cannot be written.
Result<PublicKey> make_key_files(const std::filesystem::path& name);

}  // namespace lathe::runtime::packages
