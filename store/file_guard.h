// What must hold of the store's file before SQLite sees it: one repairer at a time, ours, private.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include <sys/types.h>

#include "support/error.h"

namespace lathe::store {

/// An advisory lock on `<path>.lock`, held while a store is created, migrated, checked or set
/// aside, so that two processes never both move a file away. Released on destruction and by death.
class RepairLock {
 public:
  /// io_error when the lock file cannot be made, or is held for longer than `timeout_ms`. Where the
  /// file system has no locks, goes on without one (SQLite's own would fail there too).
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

/// Checks an existing store's owner and takes away other users' write permission; makes an empty
/// file with mode 0600 (and its folder with 0700) where there is none and `create` is set.
/// Errors: io_error naming the folder or file and what to do; not_found without `create`.
Status secure_file(const std::filesystem::path& path, bool create);

/// Renames the file and its -wal, -shm and -journal to `<name>.damaged-<UTC time>…`; returns the
/// new name. Call with the repair lock held.
Result<std::filesystem::path> set_aside(const std::filesystem::path& path);

}  // namespace lathe::store
