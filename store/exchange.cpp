// The store as a whole: merging, exporting, summing up, pruning, checking.
#include <exception>
#include <tuple>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "store/check_record.h"
#include "store/rows.h"
#include "store/schema.h"
#include "store/store.h"
#include "store/store_state.h"
#include "support/log.h"
#include "support/text.h"

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

/// A list of a JSON document that is written as it is read: what json.dump(2) prints.
class JsonList {
 public:
  JsonList(std::string& text, const char* name) : text_(text) {
    text_ += fmt::format(",\n  \"{}\": [", name);
  }
  ~JsonList() { text_ += is_empty_ ? "]" : "\n  ]"; }
  JsonList(const JsonList&) = delete;
  JsonList& operator=(const JsonList&) = delete;

  void add(const Json& json) {
    text_ += is_empty_ ? "\n    " : ",\n    ";
    is_empty_ = false;
    // Text that is not UTF-8 must not make the export fail.
    for (const char c : json.dump(2, ' ', false, Json::error_handler_t::replace)) {
      text_ += c;
      if (c == '\n') text_ += "    ";
    }
  }

 private:
  std::string& text_;
  bool is_empty_ = true;
};

template <typename Record>
Json to_json(const Row<Record>& row) {
  Json json{{"key", to_json(row.key)}};
  json.update(to_json(row.record));
  return json;
}

constexpr const char* kTrialOrder = "ORDER BY r.recorded_us, r.uid";
constexpr const char* kWinnerOrder = "ORDER BY k.host, k.problem, k.key_id";

/// Calls visit for every sound trial, then every sound winner, and counts the others.
template <typename VisitTrial, typename VisitWinner>
std::int64_t for_each_sound(SQLite::Database& database, VisitTrial&& visit_trial,
                            VisitWinner&& visit_winner) {
  std::int64_t damaged = 0;
  for_each_row<Trial>(database, kTrialOrder, kNoBinding, [&](Row<Trial>&& row, Reader& reader) {
    row.sound ? visit_trial(row, reader) : void(++damaged);
  });
  for_each_row<Winner>(database, kWinnerOrder, kNoBinding, [&](Row<Winner>&& row, Reader&) {
    row.sound ? visit_winner(row) : void(++damaged);
  });
  return damaged;
}

/// A failure of our own file while another is read: the two must not be taken for each other.
struct OurFailure {
  std::exception_ptr exception;
};

template <typename Body>
auto on_ours(Body&& body) {
  try {
    return body();
  } catch (const std::exception&) {
    throw OurFailure{std::current_exception()};
  }
}

/// Whether it was new.
bool take_host(SQLite::Database& database, const Host& host) {
  if (has_host(database, host.id)) return false;
  put_host(database, host);
  return true;
}

Taken take_winner(SQLite::Database& database, const Key& key, const Winner& theirs) {
  bool damaged = false;  // a damaged one of ours gives way
  const std::optional<Winner> ours = get_winner(database, key, &damaged);
  if (ours && !better(theirs, *ours)) return Taken::kept;
  put_winner(database, key, theirs);
  return ours ? Taken::replaced : Taken::added;
}

MergeCounts take_store(SQLite::Database& database, SQLite::Database& theirs) {
  MergeCounts counts;
  for (const Host& host : all_hosts(theirs)) {
    on_ours([&] { counts.hosts += take_host(database, host) ? 1 : 0; });
  }
  const auto take_trial = [&](const Row<Trial>& row, Reader& reader) {
    const std::string uid = reader.next().getString();
    const bool is_new = on_ours([&] { return add_trial(database, row.key, row.record, uid); });
    ++(is_new ? counts.trials_added : counts.trials_known);
  };
  const auto take_row = [&](const Row<Winner>& row) {
    switch (on_ours([&] { return take_winner(database, row.key, row.record); })) {
      case Taken::added: ++counts.winners_added; break;
      case Taken::replaced: ++counts.winners_replaced; break;
      case Taken::kept: ++counts.winners_kept; break;
    }
  };
  counts.damaged = for_each_sound(theirs, take_trial, take_row);
  return counts;
}

}  // namespace

Result<MergeCounts> Store::merge(const std::filesystem::path& other) {
  const auto their_file = file_id(other);
  if (their_file && their_file == file_id(path())) {
    return fail(ErrorCode::invalid_argument, "cannot merge the store {} with itself",
                path().string());
  }
  constexpr int kAttempts = 5;
  for (int attempt = 1;; ++attempt) {
    LATHE_TRY(const Reading theirs,
              open_for_reading(other, {.place = Place::other, .thorough = true}));
    bool has_changed = false;
    auto counts = state_->connection->write([&](SQLite::Database& database) -> Result<MergeCounts> {
      try {
        SQLite::Transaction snapshot(*theirs.database);
        const MergeCounts found = take_store(database, *theirs.database);
        has_changed = !theirs.is_current();
        if (!has_changed) return found;
      } catch (const OurFailure& failure) {
        std::rethrow_exception(failure.exception);
      } catch (const SQLite::Exception& exception) {
        has_changed = !theirs.is_current();
        if (classify(exception) != Failure::damaged)
          return tl::unexpected(describe(other, exception));
        return tl::unexpected(damaged_error(other, exception.what()));
      }
      return fail(ErrorCode::io_error, "the store {} is being written to again and again",
                  other.string());
    });
    if (counts || !has_changed || attempt == kAttempts) return counts;
  }
}

Result<std::vector<Taken>> Store::take_over(std::span<const Host> hosts,
                                            std::span<const KeyedWinner> winners) {
  for (const Host& host : hosts) {
    if (host.id == host_id(host.device, host.identity)) continue;
    return fail(ErrorCode::invalid_argument,
                "the host '{}' has not the id of its device '{}' and identity '{}'",
                support::printable(host.id), support::printable(host.device),
                support::printable(host.identity));
  }
  for (const KeyedWinner& record : winners) {
    LATHE_CHECK(check_key(record.key));
    LATHE_CHECK(check_numbers(record.key, record.winner));
  }
  return state_->connection->write([&](SQLite::Database& database) -> Result<std::vector<Taken>> {
    std::vector<Taken> taken;
    for (const Host& host : hosts) take_host(database, host);
    for (const KeyedWinner& record : winners) {
      if (!has_host(database, record.key.host)) return unknown_host(record.key);
      taken.push_back(take_winner(database, record.key, record.winner));
    }
    return taken;
  });
}

Result<std::string> Store::export_json() {
  return state_->connection->read([&](SQLite::Database& database) -> Result<std::string> {
    std::string text = fmt::format("{{\n  \"schema\": {}", schema_version());
    {
      JsonList hosts(text, "hosts");
      for (const Host& host : all_hosts(database)) hosts.add(to_json(host));
    }
    {
      JsonList winners(text, "winners");
      for_each_row<Winner>(database, kWinnerOrder, kNoBinding, [&](Row<Winner>&& row, Reader&) {
        if (row.sound) winners.add(to_json(row));
      });
    }
    {
      JsonList trials(text, "trials");
      for_each_row<Trial>(database, kTrialOrder, kNoBinding, [&](Row<Trial>&& row, Reader&) {
        if (row.sound) trials.add(to_json(row));
      });
    }
    text += "\n}";
    return text;
  });
}

Result<Summary> Store::summary() {
  return state_->connection->read([&](SQLite::Database& database) -> Result<Summary> {
    Summary summary;
    summary.path = path().string();
    std::error_code error;
    const auto bytes = std::filesystem::file_size(path(), error);
    summary.file_bytes = error ? 0 : static_cast<std::int64_t>(bytes);
    summary.schema_version = state_->connection->schema();
    // A reader that needs no journal takes part in none.
    summary.journal_mode = header_of(database).is_wal()
                               ? "wal"
                               : database.execAndGet("PRAGMA journal_mode").getString();
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
    const std::int64_t damaged =
        for_each_sound(database, [](const Row<Trial>&, Reader&) {}, [](const Row<Winner>&) {});
    if (damaged > 0) {
      return fmt::format("{} records fail their checksum", damaged);
    }
    return verdict;
  });
}

}  // namespace lathe::store
