// Files: the cache folder, whole-file reads, maps, atomic writes, and which file systems are
// remote.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "support/error.h"

namespace lathe::support {

/// $XDG_CACHE_HOME/lathe, else ~/.cache/lathe; created with mode 0700 where missing. io_error names
/// the folder and what to set when it cannot be created, is not ours or cannot be written.
Result<std::filesystem::path> cache_directory();

/// The same for an explicit base folder, for callers that know better than the environment.
Result<std::filesystem::path> make_private_directory(const std::filesystem::path& path);

/// A file's bytes. not_found, or io_error (a folder, no permission, larger than `limit_bytes`).
Result<std::string> read_file(const std::filesystem::path& path,
                              std::int64_t limit_bytes = std::int64_t{4} << 30);

/// Replaces a file in one step: written beside it, synced, then renamed over it. Readers see the
/// old bytes or the new ones, never a part.
Status write_file_atomic(const std::filesystem::path& path, std::string_view bytes,
                         unsigned mode = 0644);
/// The same for bytes that lie in several places, one after the other.
Status write_file_atomic(const std::filesystem::path& path,
                         std::span<const std::string_view> pieces, unsigned mode = 0644);

/// A file's bytes as read-only memory, shared with whoever else maps it; unmapped at the end. The
/// file may be replaced (write_file_atomic) or removed meanwhile, but not cut short in place.
class MappedFile {
 public:
  MappedFile() = default;
  /// not_found, or io_error (a folder, no permission); resource_exhausted without address space.
  static Result<MappedFile> open(const std::filesystem::path& path);

  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  /// Aligned to a page. Null for an empty file.
  const std::byte* data() const { return data_; }
  std::size_t size() const { return size_; }

 private:
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

/// True where file locks and shared memory maps cannot be trusted across machines: NFS, CIFS/SMB,
/// 9p, AFS, Ceph, Lustre, GPFS, Coda, FUSE. A path that does not exist is judged by its nearest
/// existing ancestor.
bool is_network_filesystem(const std::filesystem::path& path);

/// The decision behind is_network_filesystem, by statfs(2)'s f_type.
bool is_network_magic(std::uint64_t filesystem_type);

}  // namespace lathe::support
