// Ways to read a database of SQLite's without leaving a trace.
#include "store/reading.h"

#include <cerrno>
#include <chrono>
#include <thread>
#include <utility>
#include <vector>

#include <SQLiteCpp/Backup.h>
#include <fmt/format.h>
#include <sqlite3.h>

#include "store/failure.h"
#include "store/read_only_vfs.h"
#include "store/schema.h"
#include "store/verdict.h"

namespace lathe::store {
namespace {

namespace fs = std::filesystem;

// How often a file is opened anew that was written to while it was looked at.
constexpr int kAttempts = 20;

std::optional<FileStamp::Part> part_of(const fs::path& path) {
  struct stat info = {};
  if (::stat(path.c_str(), &info) != 0) return std::nullopt;
  const std::int64_t modified_ns =
      std::int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec;
  return FileStamp::Part{{info.st_dev, info.st_ino}, info.st_size, modified_ns};
}

bool has_content(const std::optional<FileStamp::Part>& part) { return part && part->bytes > 0; }

/// Whether a log can add anything. Of one that ends with its header, as a writer leaves it that is
/// killed before its first frame, SQLite's readers without shared memory say SQLITE_PROTOCOL.
bool has_frames(const std::optional<FileStamp::Part>& log) {
  constexpr std::int64_t kLogHeaderBytes = 32;
  return log && log->bytes > kLogHeaderBytes;
}

/// A path as SQLite URI file name.
std::string uri_of(const fs::path& path, const char* query) {
  std::string uri = "file:";
  for (const char c : path.string()) {
    if (c == '?' || c == '#' || c == '%') {
      uri += fmt::format("%{:02x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    } else {
      uri += c;
    }
  }
  return uri + query;
}

enum class Way {
  locked,  ///< beside writers, as SQLite intends it
  still,   ///< the file alone, as no journal has anything to add
  alone,   ///< the file and its log, whose index is made in memory
};

std::unique_ptr<SQLite::Database> open_by(Way way, const fs::path& path, int busy_timeout_ms) {
  const int flags = SQLite::OPEN_READONLY | SQLite::OPEN_URI;
  const char* const vfs = way == Way::alone ? read_only_vfs_without_locks() : read_only_vfs();
  if (vfs == nullptr) throw SQLite::Exception("SQLite has no such VFS", SQLITE_CANTOPEN);
  const char* const query = way == Way::locked  ? "?readonly_shm=1"
                            : way == Way::still ? "?immutable=1"
                                                : "";
  auto database = open_guarded(uri_of(path, query), flags, busy_timeout_ms, vfs);
  // By this, SQLite looks for no index in shared memory.
  if (way == Way::alone) database->exec("PRAGMA locking_mode = EXCLUSIVE");
  database->exec("PRAGMA query_only = ON");
  return database;
}

/// Whether the file system has locks. SQLite takes the want of any for a lock that somebody else
/// has; the system's own word for it is still there.
bool can_lock(SQLite::Database& database) {
  sqlite3_file* file = nullptr;
  if (sqlite3_file_control(database.getHandle(), "main", SQLITE_FCNTL_FILE_POINTER, &file) !=
          SQLITE_OK ||
      file == nullptr || file->pMethods == nullptr)
    return true;
  errno = 0;
  const int result = file->pMethods->xLock(file, SQLITE_LOCK_SHARED);
  const int error = errno;
  if (result == SQLITE_OK) file->pMethods->xUnlock(file, SQLITE_LOCK_NONE);
  return result == SQLITE_OK || (result == SQLITE_BUSY && error != ENOLCK);
}

/// The ways to try, the best first.
std::vector<Way> ways_for(const FileStamp& stamp, const Header& header, bool locks) {
  if (has_frames(stamp.log)) {
    return locks ? std::vector{Way::locked, Way::alone} : std::vector{Way::alone};
  }
  if (has_content(stamp.journal)) return {Way::locked};  // a writer's, at work or dead
  if (header.is_wal() || !locks) return {Way::still};
  return {Way::locked, Way::still};
}

/// A copy in memory of today's schema.
std::unique_ptr<SQLite::Database> migrated_copy(SQLite::Database& file) {
  auto memory = open_guarded(":memory:", SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE, 0);
  SQLite::Backup backup(*memory, file);
  // One step for all pages; a writer that uses a rollback journal may be in the way for a moment.
  for (int waits = 0; backup.executeStep() != SQLITE_DONE; ++waits) {
    if (waits == 100) throw SQLite::Exception("the file stays locked", SQLITE_BUSY);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  migrate(*memory, migrations());
  memory->exec("PRAGMA query_only = ON");
  return memory;
}

/// One attempt one way; throws SQLite::Exception.
Result<Reading> read_by(Way way, const fs::path& path, const fs::path& given,
                        const FileStamp& stamp, const ReadingOptions& options) {
  Reading reading;
  reading.database = open_by(way, path, options.busy_timeout_ms);
  reading.path = path;
  if (way != Way::locked) reading.stamp = stamp;
  const Verdict verdict = judge(*reading.database, path, options.place, options.thorough);
  reading.schema = verdict.schema;
  switch (verdict.kind) {
    case Verdict::Kind::sound: return reading;
    case Verdict::Kind::older:
      reading.database = migrated_copy(*reading.database);
      reading.stamp = stamp;
      return reading;
    case Verdict::Kind::refused: return tl::unexpected(verdict.error);
    case Verdict::Kind::empty:
      return fail(ErrorCode::not_found, "the store {} is empty; qwen3vl-tune fills it",
                  given.string());
    case Verdict::Kind::damaged: break;
  }
  return tl::unexpected(damaged_error(given, verdict.reason));
}

/// One attempt, by whichever way goes.
Result<Reading> read_now(const fs::path& path, const fs::path& given, const FileStamp& stamp,
                         const ReadingOptions& options) {
  std::optional<Error> error;
  try {
    if (read_only_vfs() == nullptr)
      throw SQLite::Exception("SQLite takes no VFS of ours", SQLITE_CANTOPEN);
    std::vector<Way> ways;
    {
      SQLite::Database peek(path.string(), SQLite::OPEN_READONLY, 0, read_only_vfs());
      const Header header = header_of(peek);
      if (!header.is_sqlite()) return tl::unexpected(no_store_error(given));
      ways = ways_for(stamp, header, can_lock(peek));
    }
    for (const Way way : ways) {
      try {
        return read_by(way, path, given, stamp, options);
      } catch (const SQLite::Exception& exception) {
        if (!error)
          error = describe(given, exception, fmt::format("{} ms", options.busy_timeout_ms));
        // Where locks work, one of them is no reason to go on without.
        if (classify(exception) == Failure::busy) break;
      }
    }
  } catch (const SQLite::Exception& exception) {
    error = describe(given, exception);
  } catch (const std::exception& exception) {
    error = error_of(ErrorCode::io_error, given, exception.what());
  }
  return tl::unexpected(std::move(*error));
}

}  // namespace

FileStamp stamp_of(const fs::path& path) {
  fs::path log = path, journal = path;
  return {part_of(path), part_of(log += "-wal"), part_of(journal += "-journal")};
}

Result<Reading> open_for_reading(const fs::path& given, const ReadingOptions& options) {
  std::error_code error;
  const fs::path absolute = fs::absolute(given, error);
  LATHE_CHECK(check_name(absolute));
  LATHE_CHECK(check_files(absolute, options.place));
  // SQLite's other files lie beside the one that a link leads to.
  fs::path path = fs::canonical(absolute, error);
  if (error) path = absolute;
  if (path != absolute) LATHE_CHECK(check_files(path, options.place));
  const auto deadline =
      std::chrono::steady_clock::now() + std::chrono::milliseconds(options.busy_timeout_ms);
  for (int attempt = 1;; ++attempt) {
    const FileStamp stamp = stamp_of(path);
    if (!has_content(stamp.store)) {
      return fail(ErrorCode::not_found, "the store {} is empty; qwen3vl-tune fills it",
                  given.string());
    }
    Result<Reading> reading = read_now(path, given, stamp, options);
    // Whatever was found in a file that changed meanwhile, a writer may be to blame.
    const bool is_settled = reading && !reading->stamp ? true : stamp_of(path) == stamp;
    if (is_settled) return reading;
    if (attempt == kAttempts || std::chrono::steady_clock::now() >= deadline) {
      if (reading) return reading;
      return fail(ErrorCode::io_error,
                  "the store {} is being written to again and again ({}); try again later",
                  given.string(), reading.error().message);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(attempt));
  }
}

}  // namespace lathe::store
