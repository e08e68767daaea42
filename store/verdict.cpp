// Judging a file by its header, its schema's text, and its pages.
#include "store/verdict.h"

#include <cstring>
#include <map>
#include <mutex>
#include <optional>
#include <utility>

#include <sqlite3.h>

#include "store/failure.h"
#include "store/schema.h"
#include "store/store.h"
#include "support/text.h"

namespace lathe::store {
namespace {

namespace fs = std::filesystem;

// A version this far above ours is noise in the header, not a Lathe of the future.
constexpr int kPlausibleVersions = 1000;

const char* const kTables[] = {"hosts", "keys", "trials", "winners"};

// What ANALYZE adds; whoever looks after a database of their own may have run it.
const char* const kStatistics[] = {"CREATE TABLE sqlite_stat1(tbl,idx,stat)",
                                   "CREATE TABLE sqlite_stat4(tbl,idx,neq,nlt,ndlt,sample)"};

int number_of(SQLite::Database& database, const char* query) {
  return database.execAndGet(query).getInt();
}

/// SQLite's own check; "ok" or the first complaint.
std::string quick_check(SQLite::Database& database) {
  return database.execAndGet("PRAGMA quick_check(1)").getString();
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

/// A schema: (type, name) -> (table, SQL).
using Schema = std::map<std::pair<std::string, std::string>, std::pair<std::string, std::string>>;

template <typename Visit>
void for_each_object(SQLite::Database& database, Visit&& visit) {
  SQLite::Statement query(database,
                          "SELECT type, name, tbl_name, ifnull(sql, '') FROM sqlite_master");
  while (query.executeStep()) {
    const auto text = [&](int column) { return query.getColumn(column).getString(); };
    if (!visit(text(0), text(1), text(2), text(3))) return;
  }
}

/// What the migrations make of an empty file up to a version.
const Schema& schema_of(int version) {
  static std::mutex mutex;
  static std::map<int, Schema> known;
  const std::lock_guard lock(mutex);
  const auto [entry, is_new] = known.try_emplace(version);
  if (is_new) {
    SQLite::Database memory(":memory:", SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    migrate(memory, migrations().first(static_cast<std::size_t>(version)));
    for_each_object(
        memory, [&](std::string type, std::string name, std::string table, std::string sql) {
          entry->second[{std::move(type), std::move(name)}] = {std::move(table), std::move(sql)};
          return true;
        });
  }
  return entry->second;
}

/// In what the file's schema is not that of a store of this version, or "". A schema is a program:
/// a generated column, a view or a trigger in it would run when our statements do.
std::string strange_in_schema(SQLite::Database& database, int version) {
  const Schema& expected = schema_of(version);
  std::string strange;
  std::size_t found = 0;
  for_each_object(database, [&](const std::string& type, const std::string& name,
                                const std::string& table, const std::string& sql) {
    const auto entry = expected.find({type, name});
    if (entry == expected.end()) {
      for (const char* statistics : kStatistics)
        if (type == "table" && sql == statistics) return true;
      strange = fmt::format("it has the {} '{}', which no store of schema {} has",
                            support::printable(type), support::printable(name), version);
    } else if (entry->second != std::pair(table, sql)) {
      strange = fmt::format("its {} '{}' is not that of a store of schema {}", type, name, version);
    }
    ++found;
    return strange.empty();
  });
  if (strange.empty() && found < expected.size()) return "tables or indexes are missing";
  return strange;
}

Verdict damaged(std::string reason) { return {Verdict::Kind::damaged, 0, std::move(reason), {}}; }
Verdict refused(Error error) { return {Verdict::Kind::refused, 0, "", std::move(error)}; }

Verdict judge_content(SQLite::Database& database, const fs::path& path, Place place,
                      bool thorough) {
  const SQLite::Transaction snapshot(database);  // another process may be making the store
  const int application = number_of(database, "PRAGMA application_id");
  const int version = number_of(database, "PRAGMA user_version");
  const int objects = number_of(database, "SELECT count(*) FROM sqlite_master");
  if (objects == 0 && version == 0 && (application == 0 || application == kApplicationId))
    return {Verdict::Kind::empty};
  if (application != kApplicationId) {
    int ours = 0;
    for (const char* table : kTables) ours += database.tableExists(table) ? 1 : 0;
    if (ours == static_cast<int>(std::size(kTables))) return damaged("its header was overwritten");
    // In our own folder, noise is more likely than somebody else's database.
    if (place == Place::cache_folder) {
      if (std::string verdict = quick_check(database); verdict != "ok") return damaged(verdict);
    }
    return refused({ErrorCode::invalid_argument,
                    fmt::format("{} is the database of another program (application id {:#x}, a "
                                "store has {:#x}): it was left alone; name another file with --db",
                                path.string(), static_cast<unsigned>(application),
                                static_cast<unsigned>(kApplicationId))});
  }
  if (version > schema_version() && version <= schema_version() + kPlausibleVersions) {
    return refused(
        {ErrorCode::unsupported,
         fmt::format("the store {} was written by a newer Lathe (schema {}, this one knows up to "
                     "{}): it was left alone; upgrade Lathe or name another file with --db",
                     path.string(), version, schema_version())});
  }
  if (version < 1 || version > schema_version())
    return damaged(fmt::format("its header names schema {}", version));
  if (std::string strange = strange_in_schema(database, version); !strange.empty())
    return damaged(std::move(strange));
  if (thorough) {
    if (last_page_is_cut(database, path)) return damaged("its last page is cut");
    if (std::string verdict = quick_check(database); verdict != "ok") return damaged(verdict);
  }
  return {version < schema_version() ? Verdict::Kind::older : Verdict::Kind::sound, version};
}

}  // namespace

bool Header::is_sqlite() const { return std::memcmp(bytes.data(), "SQLite format 3", 16) == 0; }

bool Header::is_ours() const {
  std::uint32_t application = 0;
  for (std::size_t i = 68; i < 72; ++i) application = application << 8 | bytes[i];
  return application == static_cast<std::uint32_t>(kApplicationId);
}

std::unique_ptr<SQLite::Database> open_guarded(const std::string& name, int flags,
                                               int busy_timeout_ms, const char* vfs) {
  auto database = std::make_unique<SQLite::Database>(name, flags, busy_timeout_ms, vfs);
  sqlite3* const handle = database->getHandle();
  for (const auto& [option, on] :
       {std::pair(SQLITE_DBCONFIG_DEFENSIVE, 1), std::pair(SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0),
        std::pair(SQLITE_DBCONFIG_ENABLE_TRIGGER, 0), std::pair(SQLITE_DBCONFIG_ENABLE_VIEW, 0)}) {
    sqlite3_db_config(handle, option, on, nullptr);
  }
  sqlite3_limit(handle, SQLITE_LIMIT_LENGTH, kLongestRecord);
  database->exec("PRAGMA cell_size_check = ON");
  return database;
}

Header header_of(SQLite::Database& database) {
  Header header;
  sqlite3_file* file = nullptr;
  if (sqlite3_file_control(database.getHandle(), "main", SQLITE_FCNTL_FILE_POINTER, &file) ==
          SQLITE_OK &&
      file != nullptr && file->pMethods != nullptr) {
    const int bytes = static_cast<int>(header.bytes.size());
    const int result = file->pMethods->xRead(file, header.bytes.data(), bytes, 0);
    if (result == SQLITE_IOERR_SHORT_READ) return {};
    if (result != SQLITE_OK) throw SQLite::Exception("the file cannot be read", result);
  }
  return header;
}

Verdict judge(SQLite::Database& database, const fs::path& path, Place place, bool thorough) {
  try {
    return judge_content(database, path, place, thorough);
  } catch (const SQLite::Exception& exception) {
    if (classify(exception) != Failure::damaged) throw;
    return damaged(exception.what());
  }
}

Error damaged_error(const fs::path& path, const std::string& reason) {
  return {
      ErrorCode::corrupt,
      fmt::format("the store {} is damaged ({}): it was left alone; move it away (mv {} "
                  "{}.damaged), so that qwen3vl-tune makes a new one, or name another file with "
                  "--db",
                  path.string(), reason, path.string(), path.string())};
}

Error no_store_error(const fs::path& path) {
  return {ErrorCode::corrupt,
          fmt::format("{} is no store: it does not begin as an SQLite database does; it was left "
                      "alone; name another file with --db",
                      path.string())};
}

}  // namespace lathe::store
