// The file around a package: a zip archive of plain names, with a seal over all of its bytes.
//
// The archive's comment, which is the last thing in the file, is the seal: "lathe seal blake2b "
// and the digest of every byte before these 64 digits. Zip has fields that nobody reads (times,
// versions, attributes, what lies between members); with the seal a change of any byte is found
// before anything is parsed. Who changes a file on purpose makes a new seal: against that stand the
// members' digests in the manifest, and its signature.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "support/error.h"

namespace lathe::runtime::packages {

inline constexpr std::size_t kMostPackageBytes = std::size_t{256} << 20;
inline constexpr std::size_t kMostEntries = 10000;

struct Entry {
  std::string_view name;
  std::string_view bytes;
};

/// Whether a name may stand in a package: 1 to 200 of the characters A-Z a-z 0-9 . _ - in parts
/// between single slashes, none of which is "." or "..". Such a name leads out of no folder.
bool is_plain_name(std::string_view name);

/// The file's bytes: entries in their order, deflated, under fixed times and attributes, so that
/// the same entries give the same bytes. Errors: invalid_argument (a name that is not plain, too
/// many entries), resource_exhausted.
Result<std::string> write_container(std::span<const Entry> entries);

/// An archive whose seal holds. Not thread-safe.
class Container {
 public:
  /// Takes the file's bytes. `origin`: its name, for errors. Errors: corrupt, for a file that is no
  /// sealed archive (unpacked by nothing, encrypted, of several parts), or was changed.
  static Result<Container> open(std::string bytes, const std::string& origin);

  Container(Container&&) noexcept;
  Container& operator=(Container&&) = delete;
  ~Container();

  std::size_t size() const { return size_; }
  /// As they stand in the archive, whatever they are.
  std::string_view name(std::size_t index) const;
  /// What the archive claims that the entry's bytes are.
  std::size_t claimed_bytes(std::size_t index) const;

  /// An entry's bytes. corrupt where these are not exactly as many as claimed, are claimed to be
  /// more than `most_bytes` or than their packed form can hold, or do not have their checksum.
  Result<std::string> read(std::size_t index, std::size_t most_bytes) const;

 private:
  struct Archive;
  Container(std::unique_ptr<Archive> archive, std::size_t size, std::string origin);

  std::unique_ptr<Archive> archive_;
  std::size_t size_;
  std::string origin_;
};

}  // namespace lathe::runtime::packages
