// SQLite's access to files, without the means to change any.
#pragma once

namespace lathe::store {

/// The name of a VFS of SQLite's that opens named files for reading only, makes none and deletes
/// none, whatever SQLite asks for; otherwise as the default one. (SQLite itself makes a write-ahead
/// log and its index where it finds none, for readers too.) nullptr where it cannot be registered.
const char* read_only_vfs();

/// The same without locks: nothing holds a writer off.
const char* read_only_vfs_without_locks();

}  // namespace lathe::store
