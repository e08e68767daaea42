// Opening, checking and repairing the store's file.
#include "store/connection.h"

#include <chrono>
#include <thread>

#include <sqlite3.h>
#include <unistd.h>

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
// A version this far above ours is noise in the header, not a Lathe of the future.
constexpr int kPlausibleVersions = 1000;

const char* const kTables[] = {"hosts", "keys", "trials", "winners"};

Error error_of(ErrorCode code, const fs::path& path, const std::string& text) {
  return Error{code, fmt::format("the store {}: {}", path.string(), text)};
}

/// An error for a failure that is neither passing nor damage.
Error describe(const fs::path& path, const SQLite::Exception& exception) {
  switch (exception.getErrorCode() & 0xff) {
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_CANTOPEN:
      return error_of(ErrorCode::io_error, path,
                      fmt::format("{}; make the file and its folder writable, or name another file "
                                  "with --db",
                                  exception.what()));
    case SQLITE_FULL:
      return error_of(ErrorCode::io_error, path,
                      "the disk is full; free space, or name a file on another disk with --db");
    case SQLITE_NOMEM: return error_of(ErrorCode::resource_exhausted, path, "out of memory");
    default: return error_of(ErrorCode::io_error, path, exception.what());
  }
}

std::string text_of(SQLite::Database& database, const char* query) {
  return database.execAndGet(query).getString();
}
int number_of(SQLite::Database& database, const char* query) {
  return database.execAndGet(query).getInt();
}

/// What the file turned out to be.
struct Verdict {
  enum class Kind { empty, sound, older, damaged, refused };
  Kind kind = Kind::sound;
  std::string reason = {};  // for damaged
  Error error = {};         // for refused
};

/// SQLite's own check; "ok" or the first complaint.
std::string quick_check(SQLite::Database& database) {
  return text_of(database, "PRAGMA quick_check(1)");
}

/// SQLite reads a last page that was cut as if it ended in zeros. With a journal beside the file it
/// may be a dead writer's page, which the journal holds whole.
bool last_page_is_cut(SQLite::Database& database, const fs::path& path) {
  for (const char* suffix : {"-wal", "-journal"}) {
    std::error_code missing;
    if (fs::file_size(path.string() + suffix, missing) > 0 && !missing) return false;
  }
  std::error_code error;
  const auto bytes = fs::file_size(path, error);
  return !error && bytes % static_cast<unsigned>(number_of(database, "PRAGMA page_size")) != 0;
}

/// Looks at the header, the schema and, when `thorough`, every page. Throws SQLite::Exception.
Verdict judge(SQLite::Database& database, const fs::path& path, bool thorough) {
  const int application = number_of(database, "PRAGMA application_id");
  const int version = number_of(database, "PRAGMA user_version");
  const int tables = number_of(database, "SELECT count(*) FROM sqlite_master WHERE type = 'table'");
  if (tables == 0 && version == 0) return {Verdict::Kind::empty};
  int ours = 0;
  for (const char* table : kTables) ours += database.tableExists(table) ? 1 : 0;
  const bool all_tables = ours == static_cast<int>(std::size(kTables));
  if (application != kApplicationId && !all_tables) {
    if (const std::string verdict = quick_check(database); verdict != "ok") {
      return {Verdict::Kind::damaged, verdict};
    }
    return {Verdict::Kind::refused, "",
            Error{ErrorCode::invalid_argument,
                  fmt::format(
                      "{} is the database of another program (application id {:#x}, a store has "
                      "{:#x}): it was left alone; name another file with --db",
                      path.string(), application, kApplicationId)}};
  }
  if (application != kApplicationId) return {Verdict::Kind::damaged, "its header was overwritten"};
  if (version > schema_version() && version <= schema_version() + kPlausibleVersions) {
    return {
        Verdict::Kind::refused, "",
        Error{ErrorCode::unsupported,
              fmt::format("the store {} was written by a newer Lathe (schema {}, this one knows up "
                          "to {}): it was left alone; upgrade Lathe or name another file with --db",
                          path.string(), version, schema_version())}};
  }
  if (version < 1 || version > schema_version()) {
    return {Verdict::Kind::damaged, fmt::format("its header names schema {}", version)};
  }
  if (thorough) {
    if (last_page_is_cut(database, path)) return {Verdict::Kind::damaged, "its last page is cut"};
    if (const std::string verdict = quick_check(database); verdict != "ok") {
      return {Verdict::Kind::damaged, verdict};
    }
  }
  if (version < schema_version()) return {Verdict::Kind::older};
  if (!all_tables) return {Verdict::Kind::damaged, "tables are missing"};
  return {Verdict::Kind::sound};
}

/// judge(), with SQLite's complaints about damage as a verdict. Throws what is not damage.
Verdict judge_safely(SQLite::Database& database, const fs::path& path, bool thorough) {
  try {
    return judge(database, path, thorough);
  } catch (const SQLite::Exception& exception) {
    if (classify(exception) != Failure::damaged) throw;
    return {Verdict::Kind::damaged, exception.what()};
  }
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
    if (classify(exception) == Failure::damaged) throw;
    support::log_debug("{}: cannot choose the journal: {}", path.string(), exception.what());
    mode = text_of(database, "PRAGMA journal_mode");
  }
  if (wal && mode != "wal") {
    support::log_info("{}: no write-ahead log here, journal mode is {}", path.string(), mode);
  }
  // Under WAL, NORMAL keeps every commit when a process dies and may lose the last ones, never the
  // file, when the machine does. The rollback journal needs FULL for the file's sake.
  database.exec(mode == "wal" ? "PRAGMA synchronous = NORMAL" : "PRAGMA synchronous = FULL");
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
  return uri + "?" + query;
}

}  // namespace

Failure classify(const SQLite::Exception& exception) {
  if (exception.getExtendedErrorCode() == SQLITE_READONLY_DBMOVED) return Failure::moved;
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

Result<std::unique_ptr<SQLite::Database>> open_for_reading(const fs::path& given,
                                                           int busy_timeout_ms, bool thorough) {
  std::error_code unused;
  const fs::path path = fs::absolute(given, unused);
  LATHE_CHECK(secure_file(path, /*create=*/false));
  const bool writable =
      ::access(path.c_str(), W_OK) == 0 && ::access(path.parent_path().c_str(), W_OK) == 0;
  // Where we may write, SQLite may roll back a dead writer's journal; query_only keeps us from
  // more. Where we may not, an immutable file can be read although its write-ahead log cannot be
  // shared.
  struct Way {
    std::string name;
    int flags;
  };
  const Way ways[] = {
      {path.string(), writable ? SQLite::OPEN_READWRITE : SQLite::OPEN_READONLY},
      {uri_of(path, "immutable=1"), SQLite::OPEN_READONLY | SQLite::OPEN_URI},
  };
  std::optional<Error> error;
  for (const Way& way : ways) {
    try {
      auto database = std::make_unique<SQLite::Database>(way.name, way.flags, busy_timeout_ms);
      database->exec("PRAGMA query_only = ON");
      const Verdict verdict = judge_safely(*database, path, thorough);
      switch (verdict.kind) {
        case Verdict::Kind::sound: return database;
        case Verdict::Kind::refused: return tl::unexpected(verdict.error);
        case Verdict::Kind::older: return database;
        case Verdict::Kind::empty:
          return fail(ErrorCode::not_found, "the store {} is empty", path.string());
        case Verdict::Kind::damaged:
          return fail(ErrorCode::corrupt, "the store {} is damaged: {}", path.string(),
                      verdict.reason);
      }
    } catch (const SQLite::Exception& exception) {
      if (!error) error = describe(path, exception);
      if (classify(exception) == Failure::busy || writable) break;
    }
  }
  return tl::unexpected(std::move(*error));
}

Result<std::unique_ptr<Connection>> Connection::open(const fs::path& path,
                                                     const StoreOptions& options) {
  std::error_code error;
  fs::path absolute = fs::absolute(path, error);
  if (path.empty() || error || !absolute.has_filename()) {
    return fail(ErrorCode::invalid_argument, "'{}' does not name a file for the store",
                path.string());
  }
  std::unique_ptr<Connection> connection(new Connection(std::move(absolute), options));
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
    database_->exec(sql);
    return {};
  });
}

Status Connection::connect(bool suspect) {
  database_.reset();
  try {
    return options_.mode == OpenMode::read_only ? connect_for_reading(suspect)
                                                : connect_for_writing();
  } catch (const SQLite::Exception& exception) {
    database_.reset();
    if (classify(exception) == Failure::busy) {
      return fail(ErrorCode::io_error, "the store {} was locked by another process for {} ms: {}",
                  path_.string(), options_.busy_timeout_ms, exception.what());
    }
    return tl::unexpected(describe(path_, exception));
  } catch (const std::exception& exception) {
    database_.reset();
    return tl::unexpected(error_of(ErrorCode::io_error, path_, exception.what()));
  }
}

Status Connection::connect_for_writing() {
  std::error_code ignored;
  const bool known = fs::exists(lock_path(path_), ignored);  // a store was here before
  // SQLite takes a file of one byte for an empty one, too.
  const bool emptied = known && fs::exists(path_, ignored) && fs::file_size(path_, ignored) <= 1;
  LATHE_CHECK(secure_file(path_, /*create=*/true));
  LATHE_TRY(const RepairLock lock, RepairLock::acquire(path_, options_.busy_timeout_ms));
  for (int repairs = 0;; ++repairs) {
    LATHE_CHECK(secure_file(path_, /*create=*/true));
    file_ = file_id(path_);
    Verdict verdict;
    try {
      database_ = std::make_unique<SQLite::Database>(path_.string(), SQLite::OPEN_READWRITE,
                                                     options_.busy_timeout_ms);
      verdict = judge_safely(*database_, path_, /*thorough=*/true);
      if (verdict.kind == Verdict::Kind::refused) {
        database_.reset();
        return tl::unexpected(verdict.error);
      }
      if (verdict.kind != Verdict::Kind::damaged) {
        choose_journal(*database_, path_, options_.journal);
        database_->exec("PRAGMA foreign_keys = ON");
        migrate(*database_, migrations());
        if (emptied && repairs == 0 && verdict.kind == Verdict::Kind::empty) {
          note_ = fmt::format("the store {} had been emptied; a new one was made", path_.string());
          support::log_warn("{}", *note_);
        }
        return {};
      }
    } catch (const SQLite::Exception& exception) {
      if (classify(exception) != Failure::damaged) throw;
      verdict = {Verdict::Kind::damaged, exception.what()};
    }
    database_.reset();  // before the file goes: closing may still touch its journal
    if (repairs == 2) {
      return fail(ErrorCode::corrupt,
                  "the store {} is damaged again right after it was made anew: {}", path_.string(),
                  verdict.reason);
    }
    LATHE_TRY(const fs::path aside, set_aside(path_));
    note_ =
        fmt::format("the store {} was damaged ({}); it was set aside as {} and a new one was made",
                    path_.string(), verdict.reason, aside.string());
    support::log_warn("{}", *note_);
  }
}

Status Connection::connect_for_reading(bool suspect) {
  auto opened = open_for_reading(path_, options_.busy_timeout_ms, suspect);
  if (!opened && opened.error().code == ErrorCode::corrupt) {
    // Repair needs writing. Where that is refused, the damage is what the caller should hear about.
    StoreOptions repairing = options_;
    repairing.mode = OpenMode::read_write;
    auto repaired = open(path_, repairing);
    if (!repaired) return tl::unexpected(std::move(opened).error());
    if (auto note = (*repaired)->recovery_note()) note_ = std::move(note);
    repaired->reset();
    opened = open_for_reading(path_, options_.busy_timeout_ms, suspect);
  }
  LATHE_TRY(database_, std::move(opened));
  if (number_of(*database_, "PRAGMA user_version") != schema_version()) {
    database_.reset();
    return fail(ErrorCode::unsupported,
                "the store {} has an older schema than {}: open it for writing once to bring it up "
                "to date, for instance with qwen3vl-tune status",
                path_.string(), schema_version());
  }
  file_ = file_id(path_);
  return {};
}

Status Connection::follow_file(Attempts& attempts) {
  if (database_ != nullptr && file_id(path_) == file_) return {};
  if (++attempts.moved > kMovedRetries) {
    return fail(ErrorCode::io_error,
                "the store {} is being replaced again and again by another program",
                path_.string());
  }
  if (database_ != nullptr) {
    support::log_info("{}: the store was replaced by another process; following", path_.string());
  }
  return connect(/*suspect=*/false);
}

std::optional<Error> Connection::recover(const SQLite::Exception& exception, Attempts& attempts) {
  switch (classify(exception)) {
    case Failure::busy:
      if (++attempts.busy > kBusyRetries) {
        return error_of(ErrorCode::io_error, path_,
                        fmt::format("locked by another process ({}), {} attempts of {} ms each",
                                    exception.what(), kBusyRetries, options_.busy_timeout_ms));
      }
      // Growing, so that several waiting processes do not keep in step.
      std::this_thread::sleep_for(std::chrono::milliseconds(5 << attempts.busy));
      return std::nullopt;
    case Failure::moved: database_.reset(); return std::nullopt;
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
    case Failure::other: break;
  }
  return describe(path_, exception);
}

}  // namespace lathe::store
