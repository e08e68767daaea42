// Opening, checking and repairing the store's file.
#include "store/connection.h"

#include <chrono>
#include <thread>

#include <unistd.h>

#include "store/read_only_vfs.h"
#include "store/schema.h"
#include "support/files.h"
#include "support/log.h"

namespace lathe::store {
namespace {

namespace fs = std::filesystem;

constexpr int kBusyRetries = 5;   // each after SQLite's own waiting of busy_timeout_ms
constexpr int kMovedRetries = 5;  // a file that moves more often is being fought over
constexpr int kDamagedRetries =
    1;  // the file after a repair is new: damaged again means bad hardware

std::string text_of(SQLite::Database& database, const char* query) {
  return database.execAndGet(query).getString();
}

/// Sets the journal; a file system that cannot do WAL falls back to the rollback journal.
void choose_journal(SQLite::Database& database, const fs::path& path, Journal wanted) {
  const bool wal = wanted == Journal::wal ||
                   (wanted == Journal::automatic && !support::is_network_filesystem(path));
  // The PRAGMA answers with the mode in force; it is not an error that another process's connection
  // holds the file in the other mode.
  std::string mode;
  try {
    mode = text_of(database, wal ? "PRAGMA journal_mode = WAL" : "PRAGMA journal_mode = DELETE");
  } catch (const SQLite::Exception& exception) {
    if (classify(exception) != Failure::busy && classify(exception) != Failure::other) throw;
    support::log_debug("{}: cannot choose the journal: {}", path.string(), exception.what());
    mode = text_of(database, "PRAGMA journal_mode");
  }
  if (wal && mode != "wal") {
    support::log_info("{}: no write-ahead log here, journal mode is {}", path.string(), mode);
  }
  // The first use of the log maps its index.
  if (mode == "wal") database.execAndGet("SELECT count(*) FROM sqlite_master");
  // Under WAL, NORMAL keeps every commit when a process dies and may lose the last ones, never the
  // file, when the machine does. The rollback journal needs FULL for the file's sake.
  database.exec(mode == "wal" ? "PRAGMA synchronous = NORMAL" : "PRAGMA synchronous = FULL");
}

// Whether its header has our mark. Throws SQLite::Exception where it cannot be read.
bool is_marked_as_ours(const fs::path& path) {
  std::error_code ignored;
  if (!fs::is_regular_file(path, ignored)) return false;  // a pipe would be waited for
  SQLite::Database peek(path.string(), SQLite::OPEN_READONLY, 0, read_only_vfs());
  return header_of(peek).is_ours();
}

}  // namespace

Result<std::unique_ptr<Connection>> Connection::open(const fs::path& path, Place place,
                                                     const StoreOptions& options) {
  std::error_code error;
  fs::path absolute = fs::absolute(path, error);
  if (path.empty() || error || !absolute.has_filename()) {
    return fail(ErrorCode::invalid_argument, "'{}' does not name a file for the store",
                path.string());
  }
  // Whoever names the store by a link shares its locks with those who name it itself.
  if (place == Place::named && fs::is_symlink(absolute, error)) {
    if (fs::path real = fs::weakly_canonical(absolute, error); !error) absolute = std::move(real);
  }
  LATHE_CHECK(check_name(absolute));
  std::unique_ptr<Connection> connection(new Connection(std::move(absolute), place, options));
  const std::lock_guard lock(connection->mutex_);
  LATHE_CHECK(connection->connect(/*suspect=*/false));
  return connection;
}

std::optional<std::string> Connection::recovery_note() const {
  const std::lock_guard lock(mutex_);
  return note_;
}

Status Connection::execute(const char* sql) {
  return attempt([&]() -> Status {
    database().exec(sql);
    return {};
  });
}

Status Connection::connect(bool suspect) {
  reading_ = {};
  try {
    return options_.mode == OpenMode::read_only ? connect_for_reading(suspect)
                                                : connect_for_writing();
  } catch (const SQLite::Exception& exception) {
    reading_ = {};
    return tl::unexpected(
        describe(path_, exception, fmt::format("{} ms", options_.busy_timeout_ms)));
  } catch (const std::exception& exception) {
    reading_ = {};
    return tl::unexpected(error_of(ErrorCode::io_error, path_, exception.what()));
  }
}

Status Connection::connect_for_reading(bool suspect) {
  const auto file = file_id(path_);
  // Every page of a file that anybody may have made is checked before its records are read.
  LATHE_TRY(reading_, open_for_reading(path_, {.place = place_,
                                               .busy_timeout_ms = options_.busy_timeout_ms,
                                               .thorough = suspect || place_ == Place::named}));
  file_ = file;
  return {};
}

Status Connection::inspect() {
  std::error_code ignored;
  const bool known = fs::exists(lock_path(path_), ignored);  // a store was here before
  const auto reading = open_for_reading(
      path_, {.place = place_, .busy_timeout_ms = options_.busy_timeout_ms, .thorough = true});
  if (reading || reading.error().code == ErrorCode::not_found) return {};
  // What only a writer can bring back is one's own to bring back.
  if (reading.error().code == ErrorCode::io_error && (known || is_marked_as_ours(path_))) return {};
  return tl::unexpected(reading.error());
}

Status Connection::connect_for_writing() {
  if (place_ == Place::named) LATHE_CHECK(inspect());
  std::error_code ignored;
  const bool emptied = fs::exists(lock_path(path_), ignored) && fs::exists(path_, ignored) &&
                       fs::file_size(path_, ignored) == 0;
  LATHE_CHECK(secure_file(path_, place_));
  LATHE_TRY(const RepairLock lock, RepairLock::acquire(path_, options_.busy_timeout_ms));
  int repairs = 0;
  bool leave_log = false;
  while (true) {
    LATHE_CHECK(secure_file(path_, place_));
    file_ = file_id(path_);
    Verdict verdict;
    try {
      LATHE_TRY(verdict, open_to_write(leave_log));
      if (verdict.kind != Verdict::Kind::damaged) {
        if (emptied && repairs == 0 && verdict.kind == Verdict::Kind::empty) {
          note_ = fmt::format(
              "the store {} was empty: it had been emptied, or a session ended before it wrote to "
              "it; a new one was made",
              path_.string());
          support::log_warn("{}", *note_);
        }
        return {};
      }
    } catch (const SQLite::Exception& exception) {
      const Failure failure = classify(exception);
      if (failure == Failure::no_shared_maps && shares_memory_) {
        support::log_info("{}: no memory can be shared here ({}): a rollback journal it is",
                          path_.string(), exception.what());
        reading_ = {};
        shares_memory_ = false;
        leave_log = true;
        continue;
      }
      if (failure != Failure::damaged) throw;
      verdict = {Verdict::Kind::damaged, 0, exception.what(), {}};
    }
    reading_ = {};  // before the file goes: closing may still touch its journal
    if (place_ != Place::cache_folder) return tl::unexpected(damaged_error(path_, verdict.reason));
    if (repairs == 2) {
      return fail(ErrorCode::corrupt,
                  "the store {} is damaged again right after it was made anew: {}", path_.string(),
                  verdict.reason);
    }
    ++repairs;
    LATHE_TRY(const fs::path aside, set_aside(path_));
    note_ =
        fmt::format("the store {} was damaged ({}); it was set aside as {} and a new one was made",
                    path_.string(), verdict.reason, aside.string());
    support::log_warn("{}", *note_);
  }
}

Result<Verdict> Connection::open_to_write(bool leave_log) {
  reading_ = {};
  std::error_code ignored;
  const auto bytes = fs::file_size(path_, ignored);
  reading_.database =
      open_guarded(path_.string(), SQLite::OPEN_READWRITE, options_.busy_timeout_ms);
  // SQLite takes a file of one byte for an empty one.
  if (bytes != 0 && !header_of(database()).is_sqlite())
    return Verdict{Verdict::Kind::damaged, 0, "it does not begin as an SQLite database does", {}};
  if (leave_log) database().exec("PRAGMA locking_mode = EXCLUSIVE");
  Verdict verdict = judge(database(), path_, place_, /*thorough=*/true);
  if (verdict.kind == Verdict::Kind::refused) {
    reading_ = {};
    return tl::unexpected(verdict.error);
  }
  if (verdict.kind == Verdict::Kind::damaged) return verdict;
  if (leave_log) {
    database().exec("PRAGMA journal_mode = DELETE");
    database().exec("PRAGMA locking_mode = NORMAL");
    database().execAndGet("SELECT count(*) FROM sqlite_master");  // gives up the lock
    ::unlink((path_.string() + "-shm").c_str());  // the log's index, which never came to be
  }
  choose_journal(database(), path_, shares_memory_ ? options_.journal : Journal::rollback);
  database().exec("PRAGMA foreign_keys = ON");
  migrate(database(), migrations());
  reading_.path = path_;
  reading_.schema = schema_version();
  return verdict;
}

Status Connection::follow_file(Attempts& attempts) {
  if (reading_.database != nullptr && file_id(path_) == file_ && reading_.is_current()) return {};
  if (++attempts.moved > kMovedRetries) {
    return fail(ErrorCode::io_error,
                "the store {} is being replaced again and again by another program",
                path_.string());
  }
  if (reading_.database != nullptr && file_id(path_) != file_) {
    support::log_info("{}: the store was replaced by another process; following", path_.string());
  }
  return connect(/*suspect=*/false);
}

std::optional<Error> Connection::recover(const SQLite::Exception& exception, Attempts& attempts) {
  if (!reading_.is_current()) return std::nullopt;  // follow_file() opens it anew
  switch (classify(exception)) {
    case Failure::busy:
      if (++attempts.busy > kBusyRetries) {
        return describe(
            path_, exception,
            fmt::format("{} attempts of {} ms each", kBusyRetries, options_.busy_timeout_ms));
      }
      // Growing, so that several waiting processes do not keep in step.
      std::this_thread::sleep_for(std::chrono::milliseconds(5 << attempts.busy));
      return std::nullopt;
    case Failure::moved: reading_ = {}; return std::nullopt;
    case Failure::damaged: {
      if (++attempts.damaged > kDamagedRetries) {
        return error_of(ErrorCode::corrupt, path_, exception.what());
      }
      support::log_debug("{}: {}", path_.string(), exception.what());
      const auto status =
          connect(/*suspect=*/true);  // checks every page, and sets the file aside if need be
      if (!status) return status.error();
      return std::nullopt;
    }
    case Failure::no_shared_maps:
    case Failure::other:
      // What stands in the way of one way of reading (a dead writer's index) may leave another.
      if (options_.mode == OpenMode::read_only && ++attempts.reopened == 1) {
        reading_ = {};
        return std::nullopt;
      }
      break;
  }
  return describe(path_, exception);
}

}  // namespace lathe::store
