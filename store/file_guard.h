// What must hold of the store's file before SQLite sees it: nameable, ours, private, one repairer
// at a time.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include <sys/types.h>

#include "support/error.h"

namespace lathe::store {

/// Where a store lies, and with it what may be done there.
enum class Place {
  named,         ///< where the user said: whatever lies there and is no store stays as it is
  cache_folder,  ///< in the folder that we make: nothing of others', and no links, belong there
  other,         ///< a store whose records are taken over, whoever owns it
};

/// An advisory lock on `<path>.lock`, held while a store is created, migrated, checked or set
/// aside, so that two processes never both move a file away. Released on destruction and by death.
class RepairLock {
 public:
  /// io_error when the lock file cannot be made, is held for longer than `timeout_ms`, or its file
  /// system has no locks.
  static Result<RepairLock> acquire(const std::filesystem::path& store, int timeout_ms);

  RepairLock(RepairLock&& other) noexcept;
  RepairLock& operator=(RepairLock&&) = delete;
  ~RepairLock();

 private:
  explicit RepairLock(int file) : file_(file) {}
  int file_ = -1;
};

std::filesystem::path lock_path(const std::filesystem::path& store);

/// A file's identity, by which a store that was moved or removed behind our back is noticed.
struct FileId {
  dev_t device = 0;
  ino_t inode = 0;
  friend bool operator==(const FileId&, const FileId&) = default;
};
/// nullopt when there is no file.
std::optional<FileId> file_id(const std::filesystem::path& path);

/// Whether reads and writes of different processes can be kept apart where the store lies, as far
/// as its lock file, which may be missing, shows.
bool has_locks(const std::filesystem::path& store);
/// The error where they cannot.
Error no_locks(const std::filesystem::path& store, const std::string& why);

/// invalid_argument where SQLite could not name the store's journal: too long a name or path.
Status check_name(const std::filesystem::path& path);

/// Checks what lies at a store's path and beside it, and alters nothing: files (in the cache folder
/// no links), the store ours or root's, the cache folder closed to others. not_found where there is
/// no store.
Status check_files(const std::filesystem::path& path, Place place);

/// For writers: makes an empty file with mode 0600 (and its folder with 0700) where there is none,
/// otherwise does as check_files() and takes away other users' write permission. Errors: io_error
/// naming the folder or file and what to do.
Status secure_file(const std::filesystem::path& path, Place place);

/// Renames the file and its -wal, -shm and -journal to `<name>.damaged-<UTC time>…`; returns the
/// new name. Call with the repair lock held.
Result<std::filesystem::path> set_aside(const std::filesystem::path& path);

}  // namespace lathe::store
