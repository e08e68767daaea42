// Opening a store that is only read: nothing in its folder is made, changed or renamed.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>

#include <SQLiteCpp/SQLiteCpp.h>
#include <sys/stat.h>

#include "store/file_guard.h"
#include "support/error.h"

namespace lathe::store {

/// What a store's files look like from outside; a write to any of them makes it another. (The time
/// of the last change of their state says nothing: to open a log, SQLite sets its owner where root
/// does.)
struct FileStamp {
  struct Part {
    FileId id;
    std::int64_t bytes = 0;
    std::int64_t modified_ns = 0;
    friend bool operator==(const Part&, const Part&) = default;
  };
  std::optional<Part> store, log, journal;
  friend bool operator==(const FileStamp&, const FileStamp&) = default;
};
FileStamp stamp_of(const std::filesystem::path& path);

struct ReadingOptions {
  Place place = Place::named;
  int busy_timeout_ms = 5000;
  bool thorough = false;  ///< check every page
};

/// An open database of this Lathe's schema.
struct Reading {
  std::unique_ptr<SQLite::Database> database;
  std::filesystem::path path;  ///< the file's own, where a link led to it
  int schema = 0;              ///< the file's; an older one is read from a copy in memory
  /// Set where no lock of ours holds writers off, because the file system has none, none was
  /// needed, or memory holds a copy. What was read counts if the files look the same afterwards.
  std::optional<FileStamp> stamp;

  bool is_current() const { return !stamp || stamp_of(path) == *stamp; }
};

/// Errors: not_found (no store, or an empty file), corrupt (damaged, or no SQLite file),
/// unsupported (a newer schema), invalid_argument (another program's database), io_error.
Result<Reading> open_for_reading(const std::filesystem::path& path, const ReadingOptions& options);

}  // namespace lathe::store
