// libsodium's Ed25519 and BLAKE2b. No secret lies in memory that is not wiped.
#include "runtime/packages/keys.h"

#include <cerrno>
#include <cstring>
#include <optional>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sodium.h>
#include <unistd.h>

#include "runtime/packages/digest.h"
#include "runtime/packages/guarded_file.h"
#include "support/descriptor.h"
#include "support/files.h"

namespace lathe::runtime::packages {
namespace {

static_assert(std::tuple_size_v<decltype(PublicKey::bytes)> == crypto_sign_PUBLICKEYBYTES);

constexpr std::string_view kPublicTitle = "lathe public key, ed25519\n";
constexpr std::string_view kSecretTitle = "lathe secret key, ed25519\n";
constexpr std::string_view kSignatureTitle = "lathe signature, ed25519\n";
constexpr std::size_t kSeedDigits = 2 * crypto_sign_SEEDBYTES;
constexpr std::size_t kKeyDigits = 2 * crypto_sign_PUBLICKEYBYTES;
constexpr std::size_t kSignatureDigits = 2 * crypto_sign_BYTES;
constexpr std::size_t kMostKeyFileBytes = 256;
constexpr std::size_t kSecretFileBytes = kSecretTitle.size() + kSeedDigits + 1;

Status start_sodium() {
  static const bool started = ::sodium_init() >= 0;
  if (started) return {};
  return fail(ErrorCode::internal, "libsodium cannot start: the system gives no random numbers");
}

std::string hex_of(const unsigned char* bytes, std::size_t count) {
  std::string digits(2 * count + 1, '\0');
  ::sodium_bin2hex(digits.data(), digits.size(), bytes, count);
  digits.pop_back();
  return digits;
}

/// Exactly `count` bytes in lower-case hexadecimal digits. What is parsed may be secret.
bool parse_hex(std::string_view digits, unsigned char* bytes, std::size_t count) {
  if (digits.size() != 2 * count) return false;
  for (const char c : digits)
    if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return false;
  std::size_t parsed = 0;
  return ::sodium_hex2bin(bytes, count, digits.data(), digits.size(), nullptr, &parsed, nullptr) ==
             0 &&
         parsed == count;
}

/// What stands below a text's title, without the end of its last line; empty for other text.
std::string_view digits_below(std::string_view title, std::string_view text) {
  if (text.size() <= title.size() || !text.starts_with(title) || text.back() != '\n') return {};
  text.remove_prefix(title.size());
  text.remove_suffix(1);
  return text;
}

Status cannot_write(const std::filesystem::path& path, int error) {
  return fail(ErrorCode::io_error, "cannot write {}: {}", path.string(),
              std::generic_category().message(error));
}

/// A file that was not there before: nothing is overwritten, no link followed.
Status write_new_file(const std::filesystem::path& path, std::string_view bytes, mode_t mode) {
  support::Descriptor file(
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode));
  if (file.get() < 0) {
    if (errno == EEXIST) {
      return fail(ErrorCode::io_error,
                  "{} is there already, and a key is not overwritten; choose another name, or "
                  "remove it",
                  path.string());
    }
    return cannot_write(path, errno);
  }
  int error = 0;
  while (!bytes.empty() && error == 0) {
    const ssize_t wrote = ::write(file.get(), bytes.data(), bytes.size());
    if (wrote >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(wrote));
    } else if (errno != EINTR) {
      error = errno;
    }
  }
  if (error == 0 && ::fsync(file.get()) != 0 && errno != EINVAL) error = errno;
  if (file.close() != 0 && error == 0) error = errno;
  if (error == 0) return {};
  ::unlink(path.c_str());
  return cannot_write(path, error);
}

std::filesystem::path with_ending(const std::filesystem::path& name, const char* ending) {
  std::filesystem::path path = name;
  path += ending;
  return path;
}

/// Memory for a text that is secret; wiped at the end.
class SecretText {
 public:
  SecretText() = default;
  SecretText(const SecretText&) = delete;
  SecretText& operator=(const SecretText&) = delete;
  ~SecretText() { ::sodium_memzero(bytes.data(), bytes.size()); }
  // One more than a key's file has, to see whether it is longer; and the end that libsodium writes.
  std::array<char, kSecretFileBytes + 1> bytes = {};
};

}  // namespace

Result<std::string> blake2b(std::string_view bytes) {
  LATHE_CHECK(start_sodium());
  unsigned char digest[crypto_generichash_BYTES];
  ::crypto_generichash(digest, sizeof digest, reinterpret_cast<const unsigned char*>(bytes.data()),
                       bytes.size(), nullptr, 0);
  return hex_of(digest, sizeof digest);
}

Result<std::string> fingerprint(const PublicKey& key) {
  LATHE_TRY(std::string digest,
            blake2b({reinterpret_cast<const char*>(key.bytes.data()), key.bytes.size()}));
  digest.resize(digest.size() / 2);
  return digest;
}

std::string print(const PublicKey& key) {
  return fmt::format("{}{}\n", kPublicTitle, hex_of(key.bytes.data(), key.bytes.size()));
}

Result<PublicKey> parse_public_key(std::string_view text, const std::string& origin) {
  PublicKey key;
  if (!parse_hex(digits_below(kPublicTitle, text), key.bytes.data(), key.bytes.size())) {
    return fail(ErrorCode::parse_error,
                "{} is no public key: expected the line '{}' and one of {} hexadecimal digits, as "
                "qwen3vl-tune keygen writes them to NAME.pub",
                origin, kPublicTitle.substr(0, kPublicTitle.size() - 1), kKeyDigits);
  }
  return key;
}

Result<PublicKey> read_public_key(const std::filesystem::path& path) {
  LATHE_TRY(const GuardedFile file, GuardedFile::open(path, "public key", kMostKeyFileBytes));
  LATHE_TRY(const std::string text, file.read());
  return parse_public_key(text, path.string());
}

void SecretKey::Wipe::operator()(unsigned char* memory) const noexcept { ::sodium_free(memory); }

Result<SecretKey> SecretKey::from_seed(const unsigned char* seed) {
  LATHE_CHECK(start_sodium());
  SecretKey key(Memory(static_cast<unsigned char*>(::sodium_malloc(crypto_sign_SECRETKEYBYTES))));
  if (!key.memory_) return fail(ErrorCode::resource_exhausted, "no memory for a secret key");
  if (seed == nullptr) {
    ::crypto_sign_keypair(key.public_key_.bytes.data(), key.memory_.get());
  } else {
    ::crypto_sign_seed_keypair(key.public_key_.bytes.data(), key.memory_.get(), seed);
  }
  return key;
}

Result<SecretKey> SecretKey::generate() { return from_seed(nullptr); }

Result<SecretKey> SecretKey::read(const std::filesystem::path& path) {
  LATHE_TRY(const GuardedFile file, GuardedFile::open(path, "secret key", kMostKeyFileBytes));
  if (file.is_readable_by_others()) {
    return fail(ErrorCode::io_error,
                "other users may read the secret key {}; take that permission away: chmod 600",
                path.string());
  }
  SecretText text;
  LATHE_TRY(const std::size_t got, file.read_into(text.bytes));
  SecretText seed;  // longer than one
  if (!parse_hex(digits_below(kSecretTitle, {text.bytes.data(), got}),
                 reinterpret_cast<unsigned char*>(seed.bytes.data()), crypto_sign_SEEDBYTES)) {
    return fail(ErrorCode::parse_error,
                "{} is no secret key: expected the line '{}' and one of {} hexadecimal digits, as "
                "qwen3vl-tune keygen writes them to NAME.key",
                path.string(), kSecretTitle.substr(0, kSecretTitle.size() - 1), kSeedDigits);
  }
  return from_seed(reinterpret_cast<const unsigned char*>(seed.bytes.data()));
}

std::string SecretKey::sign(std::string_view bytes) const {
  unsigned char signature[crypto_sign_BYTES];
  ::crypto_sign_detached(signature, nullptr, reinterpret_cast<const unsigned char*>(bytes.data()),
                         bytes.size(), memory_.get());
  return fmt::format("{}{}\n{}\n", kSignatureTitle,
                     hex_of(public_key_.bytes.data(), public_key_.bytes.size()),
                     hex_of(signature, sizeof signature));
}

Status SecretKey::write_new(const std::filesystem::path& path) const {
  SecretText text;
  std::memcpy(text.bytes.data(), kSecretTitle.data(), kSecretTitle.size());
  char* const digits = text.bytes.data() + kSecretTitle.size();
  ::sodium_bin2hex(digits, kSeedDigits + 1, memory_.get(), crypto_sign_SEEDBYTES);
  digits[kSeedDigits] = '\n';
  return write_new_file(path, {text.bytes.data(), kSecretFileBytes}, 0600);
}

Result<PublicKey> verify(std::string_view bytes, std::string_view signature,
                         const std::string& origin) {
  LATHE_CHECK(start_sodium());
  PublicKey key;
  unsigned char detached[crypto_sign_BYTES];
  // "KEY\nSIGNATURE"
  const std::string_view lines = digits_below(kSignatureTitle, signature);
  if (lines.size() != kKeyDigits + 1 + kSignatureDigits || lines[kKeyDigits] != '\n' ||
      !parse_hex(lines.substr(0, kKeyDigits), key.bytes.data(), key.bytes.size()) ||
      !parse_hex(lines.substr(kKeyDigits + 1), detached, sizeof detached)) {
    return fail(ErrorCode::parse_error,
                "{}: its signature is no text of three lines: '{}', the public key and the "
                "signature in hexadecimal digits",
                origin, kSignatureTitle.substr(0, kSignatureTitle.size() - 1));
  }
  if (::crypto_sign_verify_detached(detached, reinterpret_cast<const unsigned char*>(bytes.data()),
                                    bytes.size(), key.bytes.data()) != 0) {
    return fail(ErrorCode::mismatch,
                "{}: its signature does not match its manifest: one of them was changed", origin);
  }
  return key;
}

Result<PublicKey> make_key_files(const std::filesystem::path& name) {
  LATHE_TRY(const SecretKey key, SecretKey::generate());
  const std::filesystem::path secret = with_ending(name, ".key");
  LATHE_CHECK(key.write_new(secret));
  if (Status status = write_new_file(with_ending(name, ".pub"), print(key.public_key()), 0644);
      !status) {
    ::unlink(secret.c_str());
    return tl::unexpected(std::move(status).error());
  }
  return key.public_key();
}

}  // namespace lathe::runtime::packages
