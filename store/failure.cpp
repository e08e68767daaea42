// Result codes of SQLite in words.
#include "store/failure.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include "store/file_guard.h"
#include "store/verdict.h"

namespace lathe::store {

Failure classify(const SQLite::Exception& exception) {
  switch (exception.getExtendedErrorCode()) {
    case SQLITE_READONLY_DBMOVED: return Failure::moved;
    case SQLITE_IOERR_SHMMAP:
    case SQLITE_IOERR_SHMOPEN: return Failure::no_shared_maps;
    default: break;
  }
  switch (exception.getErrorCode() & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL: return Failure::busy;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
    case SQLITE_ERROR:  // our SQL is right: a missing table or column means a damaged schema
      return Failure::damaged;
    default: return Failure::other;
  }
}

Error error_of(ErrorCode code, const std::filesystem::path& path, const std::string& text) {
  return Error{code, fmt::format("the store {}: {}", path.string(), text)};
}

Error describe(const std::filesystem::path& path, const SQLite::Exception& exception,
               const std::string& waited) {
  const char* const what = exception.what();
  switch (exception.getExtendedErrorCode()) {
    case SQLITE_READONLY_ROLLBACK:
    case SQLITE_READONLY_RECOVERY:
      return error_of(ErrorCode::io_error, path,
                      "a process died in the middle of writing to it, and only a writer can bring "
                      "it back: let qwen3vl-tune, tuning or doing merge, open it once");
    case SQLITE_IOERR_LOCK:
    case SQLITE_IOERR_RDLOCK:
    case SQLITE_IOERR_UNLOCK:
    case SQLITE_IOERR_CHECKRESERVEDLOCK:
    case SQLITE_IOERR_SHMLOCK: return no_locks(path, what);
    case SQLITE_IOERR_SHMMAP:
    case SQLITE_IOERR_SHMOPEN:
    case SQLITE_IOERR_SHMSIZE:
      return error_of(ErrorCode::io_error, path,
                      fmt::format("its file system cannot share memory between processes, which "
                                  "the write-ahead log needs ({}); name a store on a local disk "
                                  "with --db, or another cache folder with XDG_CACHE_HOME",
                                  what));
    default: break;
  }
  switch (exception.getErrorCode() & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      if (!has_locks(path)) return no_locks(path, what);
      return error_of(ErrorCode::io_error, path,
                      fmt::format("locked by another process for {} ({}); end it, or name another "
                                  "store with --db",
                                  waited, what));
    case SQLITE_PROTOCOL:
      return error_of(
          ErrorCode::io_error, path,
          fmt::format("its locks do not hold what they promise ({}), as on some network "
                      "file systems; name a store on a local disk with --db",
                      what));
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_CANTOPEN:
      return error_of(ErrorCode::io_error, path,
                      fmt::format("{}; make the file and its folder writable, or name another file "
                                  "with --db",
                                  what));
    case SQLITE_FULL:
      return error_of(ErrorCode::io_error, path,
                      "the disk is full; free space, or name a file on another disk with --db");
    case SQLITE_TOOBIG:
      return error_of(ErrorCode::corrupt, path,
                      fmt::format("a record is longer than {} KiB, which none of a store's is",
                                  kLongestRecord / 1024));
    case SQLITE_NOMEM: return error_of(ErrorCode::resource_exhausted, path, "out of memory");
    default: return error_of(ErrorCode::io_error, path, what);
  }
}

}  // namespace lathe::store
