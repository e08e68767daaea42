// The statements that read and write single records.
#include "store/rows.h"

#include <fmt/format.h>

namespace lathe::store {
namespace {

/// "problem = ? AND family = ? AND …" over all fields of a key.
std::string key_condition(const std::string& prefix = "") {
  std::string text;
  const Key key{};
  for_each_field(key, [&](const char* name, const auto&) {
    text += (text.empty() ? "" : " AND ") + prefix + name + " = ?";
  });
  return text;
}

}  // namespace

std::optional<std::int64_t> find_key(SQLite::Database& database, const Key& key, bool insert) {
  SQLite::Statement query(database, "SELECT key_id FROM keys WHERE " + key_condition());
  Binder binder{query};
  for_each_field(key, binder);
  if (query.executeStep()) return query.getColumn(0).getInt64();
  if (!insert) return std::nullopt;
  SQLite::Statement addition(database, fmt::format("INSERT INTO keys ({}) VALUES ({})",
                                                   columns<Key>(), placeholders<Key>()));
  Binder adding{addition};
  for_each_field(key, adding);
  addition.exec();
  return database.getLastInsertRowid();
}

bool has_host(SQLite::Database& database, const std::string& id) {
  SQLite::Statement query(database, "SELECT 1 FROM hosts WHERE id = ?");
  query.bind(1, id);
  return query.executeStep();
}

void put_host(SQLite::Database& database, const Host& host) {
  // Not INSERT OR REPLACE: that would delete the row that keys refer to.
  SQLite::Statement statement(
      database, fmt::format("INSERT INTO hosts ({}) VALUES ({}) ON CONFLICT (id) DO UPDATE SET "
                            "device = excluded.device, identity = excluded.identity, "
                            "description = excluded.description",
                            columns<Host>(), placeholders<Host>()));
  Binder binder{statement};
  for_each_field(host, binder);
  statement.exec();
}

std::vector<Host> all_hosts(SQLite::Database& database) {
  std::vector<Host> hosts;
  SQLite::Statement query(database, "SELECT " + columns<Host>() + " FROM hosts ORDER BY id");
  while (query.executeStep()) {
    Host host;
    Reader reader{query};
    for_each_field(host, reader);
    hosts.push_back(std::move(host));
  }
  return hosts;
}

bool add_trial(SQLite::Database& database, const Key& key, const Trial& trial,
               const std::string& uid) {
  const std::int64_t key_id = *find_key(database, key, /*insert=*/true);
  SQLite::Statement statement(
      database, fmt::format("INSERT INTO trials ({}, checksum, key_id, uid) VALUES ({}, ?, ?, ?) "
                            "ON CONFLICT (uid) DO NOTHING",
                            columns<Trial>(), placeholders<Trial>()));
  Binder binder{statement};
  for_each_field(trial, binder);
  binder("checksum", checksum(key, trial));
  binder("key_id", key_id);
  statement.bind(binder.index, uid.data(), static_cast<int>(uid.size()));
  return statement.exec() == 1;
}

void put_winner(SQLite::Database& database, const Key& key, const Winner& winner) {
  const std::int64_t key_id = *find_key(database, key, /*insert=*/true);
  SQLite::Statement statement(
      database,
      fmt::format("INSERT OR REPLACE INTO winners ({}, checksum, key_id) VALUES ({}, ?, ?)",
                  columns<Winner>(), placeholders<Winner>()));
  Binder binder{statement};
  for_each_field(winner, binder);
  binder("checksum", checksum(key, winner));
  binder("key_id", key_id);
  statement.exec();
}

std::optional<Winner> get_winner(SQLite::Database& database, const Key& key, bool* damaged) {
  std::optional<Winner> winner;
  for_each_row<Winner>(
      database, "WHERE " + key_condition("k."),
      [&](SQLite::Statement& query) {
        Binder binder{query};
        for_each_field(key, binder);
      },
      [&](Row<Winner>&& row, Reader&) {
        if (row.sound) {
          winner = std::move(row.record);
        } else {
          *damaged = true;
        }
      });
  return winner;
}

}  // namespace lathe::store
