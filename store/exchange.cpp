// The store as a whole: merging, exporting, summing up, pruning, checking.
#include <chrono>
#include <thread>
#include <tuple>

#include <SQLiteCpp/Backup.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sqlite3.h>

#include "store/rows.h"
#include "store/schema.h"
#include "store/store.h"
#include "store/store_state.h"
#include "support/log.h"

namespace lathe::store {
namespace {

using Json = nlohmann::ordered_json;

constexpr auto kNoBinding = [](SQLite::Statement&) {};

/// A record as JSON, its fields under their column names.
template <typename Record>
Json to_json(const Record& record) {
  Json json = Json::object();
  for_each_field(record, [&](const char* name, const auto& value) {
    if constexpr (std::is_same_v<std::decay_t<decltype(value)>, TrialState>) {
      json[name] = to_string(value);
    } else {
      json[name] = value;
    }
  });
  return json;
}

/// Everything that speaks for a winner when two stores have one for the same key; greater is
/// better. The schedule comes last and the smaller text wins, so that merging gives the same either
/// way.
bool better(const Winner& a, const Winner& b) {
  const auto rank = [](const Winner& w) {
    return std::make_tuple(!w.verified.empty(), w.confidence, w.recorded_us);
  };
  if (rank(a) != rank(b)) return rank(a) > rank(b);
  return a.schedule < b.schedule;
}

/// The other store's content, brought to our schema in memory: its file is only read.
Result<std::unique_ptr<SQLite::Database>> copy_to_memory(const std::filesystem::path& path) {
  LATHE_TRY(const std::unique_ptr<SQLite::Database> file,
            open_for_reading(path, StoreOptions{}.busy_timeout_ms, /*thorough=*/true));
  try {
    auto memory = std::make_unique<SQLite::Database>(":memory:",
                                                     SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    SQLite::Backup backup(*memory, *file);
    // One step for all pages; a writer that uses a rollback journal may be in the way for a moment.
    for (int waits = 0; backup.executeStep() != SQLITE_DONE; ++waits) {
      if (waits == 100)
        return fail(ErrorCode::io_error, "the store {} stays locked", path.string());
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    migrate(*memory, migrations());
    return memory;
  } catch (const std::exception& exception) {
    return fail(ErrorCode::io_error, "cannot read the store {}: {}", path.string(),
                exception.what());
  }
}

struct NamedTrial {
  KeyedTrial trial;
  std::string uid;
};

/// A whole store as records.
struct Content {
  std::vector<Host> hosts;
  std::vector<NamedTrial> trials;
  std::vector<KeyedWinner> winners;
  std::int64_t damaged = 0;
};

Content read_content(SQLite::Database& database) {
  Content content;
  content.hosts = all_hosts(database);
  for_each_row<Trial>(
      database, "ORDER BY r.recorded_us, r.uid", kNoBinding, [&](Row<Trial>&& row, Reader& reader) {
        if (!row.sound) {
          ++content.damaged;
          return;
        }
        content.trials.push_back(
            {{std::move(row.key), std::move(row.record)}, reader.next().getString()});
      });
  for_each_row<Winner>(database, "ORDER BY k.host, k.problem, k.key_id", kNoBinding,
                       [&](Row<Winner>&& row, Reader&) {
                         if (!row.sound) {
                           ++content.damaged;
                           return;
                         }
                         content.winners.push_back({std::move(row.key), std::move(row.record)});
                       });
  return content;
}

MergeCounts take_over(SQLite::Database& database, const Content& theirs) {
  MergeCounts counts;
  counts.damaged = theirs.damaged;
  for (const Host& host : theirs.hosts) {
    if (has_host(database, host.id)) continue;
    put_host(database, host);
    ++counts.hosts;
  }
  for (const auto& [keyed, uid] : theirs.trials) {
    ++(add_trial(database, keyed.key, keyed.trial, uid) ? counts.trials_added
                                                        : counts.trials_known);
  }
  for (const auto& [key, winner] : theirs.winners) {
    bool damaged = false;  // a damaged one of ours gives way
    const std::optional<Winner> ours = get_winner(database, key, &damaged);
    if (ours && !better(winner, *ours)) {
      ++counts.winners_kept;
      continue;
    }
    put_winner(database, key, winner);
    ++(ours ? counts.winners_replaced : counts.winners_added);
  }
  return counts;
}

}  // namespace

Result<MergeCounts> Store::merge(const std::filesystem::path& other) {
  const auto their_file = file_id(other);
  if (their_file && their_file == file_id(path())) {
    return fail(ErrorCode::invalid_argument, "cannot merge the store {} with itself",
                path().string());
  }
  LATHE_TRY(const std::unique_ptr<SQLite::Database> memory, copy_to_memory(other));
  Content theirs;
  try {
    theirs = read_content(*memory);
  } catch (const std::exception& exception) {
    return fail(ErrorCode::corrupt, "the store {} cannot be read: {}", other.string(),
                exception.what());
  }
  return state_->connection->write([&](SQLite::Database& database) -> Result<MergeCounts> {
    return take_over(database, theirs);
  });
}

Result<std::string> Store::export_json() {
  return state_->connection->read([&](SQLite::Database& database) -> Result<std::string> {
    const Content content = read_content(database);
    Json document;
    document["schema"] = schema_version();
    document["hosts"] = Json::array();
    for (const Host& host : content.hosts) document["hosts"].push_back(to_json(host));
    document["winners"] = Json::array();
    for (const auto& [key, winner] : content.winners) {
      Json json{{"key", to_json(key)}};
      json.update(to_json(winner));
      document["winners"].push_back(std::move(json));
    }
    document["trials"] = Json::array();
    for (const auto& [keyed, uid] : content.trials) {
      Json json{{"key", to_json(keyed.key)}};
      json.update(to_json(keyed.trial));
      document["trials"].push_back(std::move(json));
    }
    // Text that is not UTF-8 must not make the export fail.
    return document.dump(2, ' ', false, Json::error_handler_t::replace);
  });
}

Result<Summary> Store::summary() {
  return state_->connection->read([&](SQLite::Database& database) -> Result<Summary> {
    Summary summary;
    summary.path = path().string();
    std::error_code error;
    const auto bytes = std::filesystem::file_size(path(), error);
    summary.file_bytes = error ? 0 : static_cast<std::int64_t>(bytes);
    summary.schema_version = database.execAndGet("PRAGMA user_version").getInt();
    summary.journal_mode = database.execAndGet("PRAGMA journal_mode").getString();
    for (Host& host : all_hosts(database)) {
      HostSummary of_host{std::move(host), {}};
      SQLite::Statement query(database,
                              "SELECT family, family_revision, count(*), "
                              "sum((SELECT count(*) FROM trials t WHERE t.key_id = k.key_id)), "
                              "sum((SELECT count(*) FROM winners w WHERE w.key_id = k.key_id)) "
                              "FROM keys k WHERE host = ? GROUP BY family, family_revision "
                              "ORDER BY family, family_revision");
      query.bind(1, of_host.host.id);
      while (query.executeStep()) {
        of_host.families.push_back({query.getColumn(0).getString(), query.getColumn(1).getInt(),
                                    query.getColumn(2).getInt64(), query.getColumn(3).getInt64(),
                                    query.getColumn(4).getInt64()});
      }
      summary.hosts.push_back(std::move(of_host));
    }
    return summary;
  });
}

Result<PruneCounts> Store::prune(std::span<const std::pair<std::string, int>> current_revisions) {
  const auto counted = [](SQLite::Database& database, const char* sql, const std::string& family,
                          int revision) {
    SQLite::Statement statement(database, sql);
    statement.bind(1, family);
    statement.bind(2, revision);
    return std::int64_t{statement.exec()};
  };
  LATHE_TRY(const PruneCounts counts,
            state_->connection->write([&](SQLite::Database& database) -> Result<PruneCounts> {
              PruneCounts pruned;
              for (const auto& [family, revision] : current_revisions) {
                pruned.trials +=
                    counted(database,
                            "DELETE FROM trials WHERE key_id IN (SELECT key_id FROM keys "
                            "WHERE family = ? AND family_revision < ?)",
                            family, revision);
                pruned.winners += counted(database,
                                          "DELETE FROM winners WHERE key_id IN (SELECT key_id FROM "
                                          "keys WHERE family = ? AND family_revision < ?)",
                                          family, revision);
                pruned.keys +=
                    counted(database, "DELETE FROM keys WHERE family = ? AND family_revision < ?",
                            family, revision);
              }
              return pruned;
            }));
  if (counts.keys > 0) {
    // Giving the space back can wait for another time when other processes use the file now.
    if (Status status = state_->connection->execute("VACUUM"); !status) {
      support::log_info("{}", status.error().message);
    }
  }
  return counts;
}

Result<std::string> Store::check() {
  return state_->connection->read([&](SQLite::Database& database) -> Result<std::string> {
    std::string verdict = database.execAndGet("PRAGMA integrity_check(1)").getString();
    if (verdict != "ok") return verdict;
    if (const std::int64_t damaged = read_content(database).damaged; damaged > 0) {
      return fmt::format("{} records fail their checksum", damaged);
    }
    return verdict;
  });
}

}  // namespace lathe::store
