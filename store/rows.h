// Records to and from SQL: statements, binding and reading follow the field lists.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include <SQLiteCpp/SQLiteCpp.h>

#include "store/fields.h"
#include "store/renamed_knobs.h"

namespace lathe::store {

/// "schedule, tuned_ns, …": a record's columns, each behind `prefix` ("w." for a joined table).
template <typename Record>
std::string columns(const std::string& prefix = "") {
  std::string text;
  const Record record{};
  for_each_field(record, [&](const char* name, const auto&) {
    text += (text.empty() ? "" : ", ") + prefix + name;
  });
  return text;
}

/// "?, ?, ?": one for each column of a record.
template <typename Record>
std::string placeholders() {
  std::string text;
  const Record record{};
  for_each_field(record, [&](const char*, const auto&) { text += text.empty() ? "?" : ", ?"; });
  return text;
}

/// Binds a record's fields from `index` (1-based) on, and moves index behind them.
struct Binder {
  SQLite::Statement& statement;
  int index = 1;

  void operator()(const char*, const std::string& value) { statement.bind(index++, value); }
  void operator()(const char*, double value) { statement.bind(index++, value); }
  void operator()(const char*, std::int64_t value) { statement.bind(index++, value); }
  void operator()(const char*, int value) { statement.bind(index++, value); }
  void operator()(const char*, bool value) { statement.bind(index++, value ? 1 : 0); }
  void operator()(const char*, TrialState value) {
    statement.bind(index++, static_cast<int>(value));
  }
  void operator()(const char*, const std::vector<float>& values) {
    // Little endian by nature: every machine that Lathe runs on is.
    statement.bind(index++, values.empty() ? static_cast<const void*>("") : values.data(),
                   static_cast<int>(values.size() * sizeof(float)));
  }
};

/// Reads a record's fields from column `index` (0-based) on, and moves index behind them.
struct Reader {
  SQLite::Statement& statement;
  int index = 0;

  SQLite::Column next() { return statement.getColumn(index++); }
  void operator()(const char*, std::string& value) { value = next().getString(); }
  void operator()(const char*, double& value) { value = next().getDouble(); }
  void operator()(const char*, std::int64_t& value) { value = next().getInt64(); }
  void operator()(const char*, int& value) { value = next().getInt(); }
  void operator()(const char*, bool& value) { value = next().getInt() != 0; }
  void operator()(const char*, TrialState& value) {
    value = static_cast<TrialState>(next().getInt());
  }
  void operator()(const char*, std::vector<float>& values) {
    const SQLite::Column column = next();
    const void* bytes = column.getBlob();
    values.resize(static_cast<std::size_t>(column.getBytes()) / sizeof(float));
    if (!values.empty()) std::memcpy(values.data(), bytes, values.size() * sizeof(float));
  }
};

/// A trial or winner as read, with whether its checksum holds, and knobs under today's names.
template <typename Record>
struct Row {
  Key key;
  Record record;
  bool sound = false;
};

/// Calls visit(Row<Record>&&, Reader&) for each trial or winner that meets `condition`, an SQL text
/// over k (keys) and r (the records) that begins with WHERE or ORDER BY, with `bind` applied first.
/// The reader stands behind the checksum column: at r.uid for trials.
template <typename Record, typename Bind, typename Visit>
void for_each_row(SQLite::Database& database, const std::string& condition, Bind&& bind,
                  Visit&& visit) {
  constexpr bool is_trial = std::is_same_v<Record, Trial>;
  SQLite::Statement query(database, "SELECT " + columns<Key>("k.") + ", " + columns<Record>("r.") +
                                        ", r.checksum" + (is_trial ? ", r.uid" : "") + " FROM " +
                                        (is_trial ? "trials" : "winners") +
                                        " r JOIN keys k USING (key_id) " + condition);
  bind(query);
  while (query.executeStep()) {
    Row<Record> row;
    Reader reader{query};
    for_each_field(row.key, reader);
    for_each_field(row.record, reader);
    row.sound = reader.next().getInt64() == checksum(row.key, row.record);
    use_current_names(row.key.family, row.record);
    visit(std::move(row), reader);
  }
}

/// The key's row number; inserts the key when `insert` is set, nullopt where it is not there.
std::optional<std::int64_t> find_key(SQLite::Database& database, const Key& key, bool insert);

bool has_host(SQLite::Database& database, const std::string& id);
/// Adds or updates.
void put_host(SQLite::Database& database, const Host& host);
std::vector<Host> all_hosts(SQLite::Database& database);

/// Adds a trial under its random 16-byte uid; false when that uid is there already.
bool add_trial(SQLite::Database& database, const Key& key, const Trial& trial,
               const std::string& uid);
/// Sets a key's winner.
void put_winner(SQLite::Database& database, const Key& key, const Winner& winner);
/// The key's winner; nullopt when there is none, or none whose checksum holds (then *damaged is
/// set).
std::optional<Winner> get_winner(SQLite::Database& database, const Key& key, bool* damaged);

}  // namespace lathe::store
