// Copies of SQLite's own VFS object with two functions replaced, and in one of them its locks.
//
// Not its VFS "unix-none": that closes files at once, and with the first of them the system takes
// back all locks that this process has on the file.
#include "store/read_only_vfs.h"

#include <sqlite3.h>

namespace lathe::store {
namespace {

/// Has locks succeed that are none; memory is not shared, either.
void take_no_locks(sqlite3_file* file) {
  static const sqlite3_io_methods unlocked = [&] {
    sqlite3_io_methods methods = *file->pMethods;
    methods.iVersion = 1;
    methods.xLock = [](sqlite3_file*, int) { return SQLITE_OK; };
    methods.xUnlock = [](sqlite3_file*, int) { return SQLITE_OK; };
    methods.xCheckReservedLock = [](sqlite3_file*, int* is_reserved) {
      *is_reserved = 0;
      return SQLITE_OK;
    };
    return methods;
  }();
  file->pMethods = &unlocked;
}

/// A copy, so that all other functions find in it what they find in the original.
template <bool kLocks>
struct ReadOnly {
  static inline sqlite3_vfs* base = nullptr;
  static inline sqlite3_vfs vfs = {};

  static int open(sqlite3_vfs* /*self*/, const char* name, sqlite3_file* file, int flags,
                  int* out_flags) {
    // Files without a name are SQLite's temporary ones.
    if (name != nullptr) {
      flags &= ~(SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_EXCLUSIVE |
                 SQLITE_OPEN_DELETEONCLOSE);
      flags |= SQLITE_OPEN_READONLY;
    }
    const int result = base->xOpen(base, name, file, flags, out_flags);
    if (!kLocks && result == SQLITE_OK && (flags & SQLITE_OPEN_MAIN_DB) != 0) take_no_locks(file);
    return result;
  }
  static int remove(sqlite3_vfs* /*self*/, const char* /*name*/, int /*sync*/) {
    return SQLITE_READONLY;
  }

  static const char* make(const char* name) {
    base = sqlite3_vfs_find(nullptr);
    if (base == nullptr) return nullptr;
    vfs = *base;
    vfs.pNext = nullptr;
    vfs.zName = name;
    vfs.xOpen = open;
    vfs.xDelete = remove;
    return sqlite3_vfs_register(&vfs, /*makeDflt=*/0) == SQLITE_OK ? name : nullptr;
  }
};

}  // namespace

const char* read_only_vfs() {
  static const char* const name = ReadOnly<true>::make("lathe-read");
  return name;
}

const char* read_only_vfs_without_locks() {
  static const char* const name = ReadOnly<false>::make("lathe-read-without-locks");
  return name;
}

}  // namespace lathe::store
