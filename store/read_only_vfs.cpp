// Copies of SQLite's own VFS objects with two functions replaced.
#include "store/read_only_vfs.h"

#include <sqlite3.h>

namespace lathe::store {
namespace {

/// A copy, so that all other functions find in it what they find in the original.
template <const char* const& kBase>
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
    return base->xOpen(base, name, file, flags, out_flags);
  }
  static int remove(sqlite3_vfs* /*self*/, const char* /*name*/, int /*sync*/) {
    return SQLITE_READONLY;
  }

  static const char* make(const char* name) {
    base = sqlite3_vfs_find(kBase);
    if (base == nullptr) return nullptr;
    vfs = *base;
    vfs.pNext = nullptr;
    vfs.zName = name;
    vfs.xOpen = open;
    vfs.xDelete = remove;
    return sqlite3_vfs_register(&vfs, /*makeDflt=*/0) == SQLITE_OK ? name : nullptr;
  }
};

constexpr const char* kDefault = nullptr;
constexpr const char* kWithoutLocks = "unix-none";

}  // namespace

const char* read_only_vfs() {
  static const char* const name = ReadOnly<kDefault>::make("lathe-read");
  return name;
}

const char* read_only_vfs_without_locks() {
  static const char* const name = ReadOnly<kWithoutLocks>::make("lathe-read-without-locks");
  return name;
}

}  // namespace lathe::store
