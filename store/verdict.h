// What a file turns out to be before anything in it is believed: a store, something else, or
// damaged.
#pragma once

#include <array>
#include <filesystem>
#include <memory>
#include <string>

#include <SQLiteCpp/SQLiteCpp.h>

#include "store/file_guard.h"
#include "support/error.h"

namespace lathe::store {

/// The longest row, text or blob that is read or written, in bytes: hundreds of times what a record
/// takes, and little enough that a file made to harm us cannot fill memory.
inline constexpr int kLongestRecord = 1 << 20;

/// The first bytes of a database file; all zeros where it is shorter.
struct Header {
  std::array<unsigned char, 100> bytes = {};

  bool is_sqlite() const;
  bool is_wal() const { return bytes[18] == 2; }  ///< readers need the write-ahead log
  bool is_ours() const;                           ///< by application id
};

/// A connection that believes nothing that stands in the file: no functions, triggers or views in
/// its schema, no long values, checked cells. Nothing has been read yet. Throws SQLite::Exception.
std::unique_ptr<SQLite::Database> open_guarded(const std::string& name, int flags,
                                               int busy_timeout_ms, const char* vfs = "");

/// Of an open connection's file, past SQLite's cache. Reading it ourselves would not do: to close a
/// file gives up all locks that this process has on it.
Header header_of(SQLite::Database& database);

struct Verdict {
  enum class Kind { empty, sound, older, damaged, refused };
  Kind kind = Kind::sound;
  int schema = 0;           ///< the file's, for sound and older ones
  std::string reason = {};  ///< for damaged ones
  Error error = {};         ///< for refused ones
};

/// Looks at the header, compares the schema's text with that of a store of its version, and when
/// `thorough` checks every page. Complaints of SQLite about damage are a verdict; throws its other
/// exceptions.
Verdict judge(SQLite::Database& database, const std::filesystem::path& path, Place place,
              bool thorough);

/// The errors for a file that nobody may put another in the place of.
Error damaged_error(const std::filesystem::path& path, const std::string& reason);
Error no_store_error(const std::filesystem::path& path);

}  // namespace lathe::store
