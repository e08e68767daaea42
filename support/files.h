// Files: the cache folder, whole-file reads, maps, writes, and which file systems are
// remote.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

#include "support/error.h"

namespace lathe::support {

/// $XDG_CACHE_HOME/lathe, else ~/.cache/lathe; created with mode 0700 where missing. io_error names
/// the folder and what to do when it cannot be created, is not ours alone to write (see
/// check_private_directory) or cannot be written.
Result<std::filesystem::path> cache_directory();

/// The same folder for those who only read: nothing is made, and it need not be writable. not_found
/// where there is none.
Result<std::filesystem::path> find_cache_directory();

/// Makes the folder with mode 0700 where it is missing, its parents with the user's usual mode.
std::error_code create_own_directory(const std::filesystem::path& path);

/// cache_directory() for an explicit folder, for callers that know better than the environment.
Result<std::filesystem::path> make_private_directory(const std::filesystem::path& path);

/// Whether only we and root can change what lies in an existing folder: io_error where it, or a
/// link that stands for it, belongs to somebody else, or its mode lets others write. not_found
/// where there is none. `instead`: how another folder is named, for errors.
Status check_private_directory(const std::filesystem::path& path,
                               std::string_view instead = "set XDG_CACHE_HOME to");

/// $XDG_CONFIG_HOME/lathe, else ~/.config/lathe: a name, whatever lies there. io_error for a user
/// without a home folder.
Result<std::filesystem::path> config_directory_name();

/// A file's bytes. not_found, or io_error (a folder, no permission, larger than `limit_bytes`).
Result<std::string> read_file(const std::filesystem::path& path,
                              std::int64_t limit_bytes = std::int64_t{4} << 30);

/// What becomes of a regular file that write_file finds.
enum class ExistingFile {
  kept,      ///< it stays the same one to others where a new one would not: see below
  replaced,  ///< always by a new one, so that who has it mapped keeps the old bytes
};

/// Writes an output that a user named. Links are followed and stay; a link that leads nowhere gets
/// its target.
/// - A new file gets what the umask leaves of 0666. It appears in one step, once it is whole.
/// - A regular file is replaced in one step by one of the same mode and group: readers see the old
///   bytes or the new ones, never a part. One that has other names, another owner or an access list
///   is `kept`, as is one whose folder admits no new file: it is written in place, once the space
///   for it is there. A file that may not be written is not replaced either.
/// - A device or a pipe is written as it stands. A pipe without a reader is waited for, as a
///   shell's > does, and a warning says so; a signal that is caught ends the wait (interrupted).
/// - A name of one of this process's own descriptors (/dev/stdout, /dev/fd/3) is written where that
///   descriptor stands, be it a file.
/// io_error says why it cannot be: a folder, a socket, no permission, no space, a reader that went
/// away (without SIGPIPE). A new file and one in place of another then leave nothing behind, and
/// the old one as it was. Thread-safe.
Status write_file(const std::filesystem::path& path, std::string_view bytes,
                  ExistingFile existing = ExistingFile::kept);
/// The same for bytes that lie in several places, one after the other.
Status write_file(const std::filesystem::path& path, std::span<const std::string_view> pieces,
                  ExistingFile existing = ExistingFile::kept);

/// A file's bytes as read-only memory, shared with whoever else maps it; unmapped at the end. The
/// file may be replaced (ExistingFile::replaced) or removed meanwhile, but not cut short in place.
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
