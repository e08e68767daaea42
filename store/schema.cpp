// The store's tables and migrations.
#include "store/schema.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <fmt/format.h>

#include "store/store.h"

namespace lathe::store {
namespace {

// Keys are shared by trials and winners. Checksums cover a row and its key (store/fields.h). A
// trial's uid is random: it makes recording again after a lost connection, and merging twice,
// harmless.
constexpr const char* kVersion1 = R"sql(
  CREATE TABLE hosts (
    id TEXT PRIMARY KEY, device TEXT NOT NULL, identity TEXT NOT NULL, description TEXT NOT NULL
  ) WITHOUT ROWID;

  CREATE TABLE keys (
    key_id INTEGER PRIMARY KEY,
    problem TEXT NOT NULL, family TEXT NOT NULL, family_revision INTEGER NOT NULL,
    compiler_version TEXT NOT NULL, host TEXT NOT NULL REFERENCES hosts(id), target TEXT NOT NULL,
    threads INTEGER NOT NULL, cache TEXT NOT NULL, at TEXT NOT NULL,
    deterministic INTEGER NOT NULL, objective TEXT NOT NULL,
    UNIQUE (problem, family, family_revision, compiler_version, host, target, threads, cache, at,
            deterministic, objective)
  );
  CREATE INDEX keys_by_family ON keys (family, family_revision, host, target);

  CREATE TABLE trials (
    uid BLOB PRIMARY KEY,
    key_id INTEGER NOT NULL REFERENCES keys(key_id) ON DELETE CASCADE,
    schedule TEXT NOT NULL, state INTEGER NOT NULL, batches_ns BLOB NOT NULL,
    median_ns REAL NOT NULL, min_ns REAL NOT NULL, checked TEXT NOT NULL, detail TEXT NOT NULL,
    session TEXT NOT NULL, recorded_us INTEGER NOT NULL, checksum INTEGER NOT NULL
  );
  CREATE INDEX trials_by_key ON trials (key_id);

  CREATE TABLE winners (
    key_id INTEGER PRIMARY KEY REFERENCES keys(key_id) ON DELETE CASCADE,
    schedule TEXT NOT NULL, tuned_ns REAL NOT NULL, default_ns REAL NOT NULL,
    runner_up TEXT NOT NULL, runner_up_ns REAL NOT NULL, speedup REAL NOT NULL,
    gflops REAL NOT NULL, gbytes_per_s REAL NOT NULL, roof_gflops REAL NOT NULL,
    roof_gbytes_per_s REAL NOT NULL, roofline_fraction REAL NOT NULL, bound TEXT NOT NULL,
    confidence REAL NOT NULL, verified TEXT NOT NULL, why TEXT NOT NULL, trials INTEGER NOT NULL,
    session TEXT NOT NULL, recorded_us INTEGER NOT NULL, checksum INTEGER NOT NULL
  );
)sql";

constexpr Migration kMigrations[] = {{1, kVersion1}};

int user_version(SQLite::Database& database) {
  return database.execAndGet("PRAGMA user_version").getInt();
}

}  // namespace

std::span<const Migration> migrations() { return kMigrations; }

int schema_version() { return kMigrations[std::size(kMigrations) - 1].version; }

void migrate(SQLite::Database& database, std::span<const Migration> steps) {
  if (steps.empty() || user_version(database) >= steps.back().version) return;
  SQLite::Transaction transaction(database, SQLite::TransactionBehavior::IMMEDIATE);
  const int before = user_version(database);  // again: another process may have been first
  for (const Migration& step : steps) {
    if (step.version <= before) continue;
    database.exec(step.sql);
    database.exec(fmt::format("PRAGMA user_version = {}", step.version));
  }
  database.exec(fmt::format("PRAGMA application_id = {}", kApplicationId));
  transaction.commit();
}

Status migrate_file(const std::filesystem::path& path, std::span<const Migration> steps) {
  try {
    SQLite::Database database(path.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE, 5000);
    migrate(database, steps);
    return {};
  } catch (const std::exception& error) {
    return fail(ErrorCode::io_error, "cannot bring {} up to date: {}", path.string(), error.what());
  }
}

}  // namespace lathe::store
