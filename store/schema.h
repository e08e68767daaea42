// The tables, and how a file of an older Lathe becomes one of this Lathe.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>

#include "support/error.h"

namespace SQLite {
class Database;
}

namespace lathe::store {

/// One step: SQL that turns a file of version `version - 1` into one of `version`.
struct Migration {
  int version;
  const char* sql;
};

/// All steps, oldest first, from the empty file on. Append only: a published step never changes.
std::span<const Migration> migrations();

/// "Lath" as SQLite's application_id: tells our files from other programs' databases.
inline constexpr std::int32_t kApplicationId = 0x4c617468;

/// Runs the steps that the database has not had yet, all in one transaction. Does nothing where
/// none is missing. Throws SQLite::Exception; the database is then as before.
void migrate(SQLite::Database& database, std::span<const Migration> steps);

/// The same for a file, created where missing: what open() does, with any list of steps.
Status migrate_file(const std::filesystem::path& path, std::span<const Migration> steps);

}  // namespace lathe::store
