// Recording and looking up: each call is one transaction.
#include "store/store.h"

#include <algorithm>
#include <chrono>
#include <random>
#include <sstream>

#include <fmt/format.h>
#include <sys/random.h>

#include "store/check_record.h"
#include "store/rows.h"
#include "store/store_state.h"
#include "support/files.h"
#include "support/log.h"

namespace lathe::store {
namespace {

std::int64_t now_us() {
  using namespace std::chrono;
  return duration_cast<microseconds>(system_clock::now().time_since_epoch()).count();
}

/// 16 random bytes.
std::string new_uid() {
  std::string uid(16, '\0');
  if (::getrandom(uid.data(), uid.size(), 0) != static_cast<ssize_t>(uid.size())) {
    std::random_device device;
    for (char& byte : uid) byte = static_cast<char>(device());
  }
  return uid;
}

/// Winners that meet a condition, without the damaged ones, newest first.
template <typename Bind>
std::vector<KeyedWinner> collect_winners(SQLite::Database& database, const std::string& condition,
                                         Bind&& bind) {
  std::vector<KeyedWinner> found;
  for_each_row<Winner>(database, condition, bind, [&](Row<Winner>&& row, Reader&) {
    if (row.sound) found.push_back({std::move(row.key), std::move(row.record)});
  });
  return found;
}

/// What differs between two hosts, word by word of their identities: "isa=1f ≠ isa=fff".
std::string host_differences(const std::vector<Host>& hosts, const std::string& found,
                             const std::string& wanted) {
  const auto identity = [&](const std::string& id) {
    const auto host =
        std::find_if(hosts.begin(), hosts.end(), [&](const Host& h) { return h.id == id; });
    return host == hosts.end() ? id : host->device + " " + host->identity;
  };
  std::istringstream left(identity(found));
  std::istringstream right(identity(wanted));
  std::string text;
  std::string a;
  std::string b;
  while (true) {
    const bool more_left = static_cast<bool>(left >> a);
    const bool more_right = static_cast<bool>(right >> b);
    if (!more_left && !more_right) return text;
    if (!more_left) a = "(none)";
    if (!more_right) b = "(none)";
    if (a != b) text += fmt::format("{}{} ≠ {}", text.empty() ? "" : ", ", a, b);
  }
}

Miss explain_miss(SQLite::Database& database, const Key& key) {
  // Keys are few per problem; judging them here keeps SQL out of the sentence.
  const std::vector<KeyedWinner> candidates = collect_winners(
      database, "WHERE k.problem = ? ORDER BY k.host <> ?, r.recorded_us DESC LIMIT ?",
      [&](SQLite::Statement& query) {
        query.bind(1, key.problem);
        query.bind(2, key.host);
        query.bind(3, kMostOfProblem);
      });
  Miss miss;
  int fewest = 0;
  for (const KeyedWinner& candidate : candidates) {
    const int count = count_differences(candidate.key, key);
    if (!miss.closest || count < fewest) {
      miss.closest = candidate.key;
      fewest = count;
    }
  }
  if (!miss.closest) {
    miss.reason = "nothing is recorded for this problem";
    return miss;
  }
  if (miss.closest->host == key.host) {
    miss.reason = differences(*miss.closest, key);
    return miss;
  }
  Key same_host = *miss.closest;
  same_host.host = key.host;
  const std::string rest = differences(same_host, key);
  miss.reason = fmt::format("another host ({}){}{}",
                            host_differences(all_hosts(database), miss.closest->host, key.host),
                            rest.empty() ? "" : ", ", rest);
  return miss;
}

}  // namespace

Store::Store(std::unique_ptr<State> state) : state_(std::move(state)) {}
Store::Store(Store&&) noexcept = default;
Store& Store::operator=(Store&&) noexcept = default;
Store::~Store() = default;

Result<Store> Store::open(const std::filesystem::path& path, const StoreOptions& options) {
  auto state = std::make_unique<State>();
  LATHE_TRY(state->connection, Connection::open(path, Place::named, options));
  return Store(std::move(state));
}

Result<Store> Store::open_chosen(const std::string& path, const StoreOptions& options) {
  return path.empty() ? open_default(options) : open(path, options);
}

Result<Store> Store::open_default(const StoreOptions& options) {
  const bool reads = options.mode == OpenMode::read_only;
  auto folder = reads ? support::find_cache_directory() : support::cache_directory();
  if (!folder && folder.error().code == ErrorCode::not_found) {
    return fail(ErrorCode::not_found, "there is no store yet: {}; qwen3vl-tune makes both",
                folder.error().message);
  }
  LATHE_CHECK(folder);
  // Whoever made the folder a link did so outside of it; within, no link is followed.
  std::error_code error;
  const std::filesystem::path real = std::filesystem::canonical(*folder, error);
  auto state = std::make_unique<State>();
  LATHE_TRY(state->connection,
            Connection::open((error ? *folder : real) / "lathe.db", Place::cache_folder, options));
  return Store(std::move(state));
}

const std::filesystem::path& Store::path() const { return state_->connection->path(); }

std::optional<std::string> Store::recovery_note() const {
  return state_->connection->recovery_note();
}

Result<std::string> Store::record_host(std::string_view device, std::string_view identity,
                                       std::string_view description) {
  const Host host{host_id(device, identity), std::string(device), std::string(identity),
                  std::string(description)};
  LATHE_CHECK(state_->connection->write([&](SQLite::Database& database) -> Status {
    put_host(database, host);
    return {};
  }));
  const std::lock_guard lock(state_->hosts_mutex);
  const auto known = std::find_if(state_->hosts.begin(), state_->hosts.end(),
                                  [&](const Host& other) { return other.id == host.id; });
  if (known == state_->hosts.end()) state_->hosts.push_back(host);
  return host.id;
}

namespace {

/// Makes sure of the key's host. A store that was set aside since record_host() has forgotten it:
/// then it is put in again from what this process recorded.
bool ensure_host(SQLite::Database& database, const Key& key, const std::vector<Host>& recorded) {
  if (has_host(database, key.host)) return true;
  for (const Host& host : recorded) {
    if (host.id != key.host) continue;
    put_host(database, host);
    return true;
  }
  return false;
}

}  // namespace

Status Store::record_trial(const Key& key, const Trial& trial) {
  LATHE_CHECK(check_key(key));
  LATHE_CHECK(check_numbers(key, trial));
  Trial dated = trial;
  if (dated.recorded_us == 0) dated.recorded_us = now_us();
  const std::string uid = new_uid();
  const std::vector<Host> recorded = state_->recorded_hosts();
  return state_->connection->write([&](SQLite::Database& database) -> Status {
    if (!ensure_host(database, key, recorded)) return unknown_host(key);
    add_trial(database, key, dated, uid);
    return {};
  });
}

Status Store::record_winner(const Key& key, const Winner& winner) {
  LATHE_CHECK(check_key(key));
  LATHE_CHECK(check_numbers(key, winner));
  Winner dated = winner;
  if (dated.recorded_us == 0) dated.recorded_us = now_us();
  const std::vector<Host> recorded = state_->recorded_hosts();
  return state_->connection->write([&](SQLite::Database& database) -> Status {
    if (!ensure_host(database, key, recorded)) return unknown_host(key);
    put_winner(database, key, dated);
    return {};
  });
}

Result<Lookup> Store::find(const Key& key) {
  return state_->connection->read([&](SQLite::Database& database) -> Result<Lookup> {
    Lookup lookup;
    bool damaged = false;
    lookup.winner = get_winner(database, key, &damaged);
    if (lookup.winner) return lookup;
    if (damaged) {
      lookup.miss.reason = "the record is damaged: its checksum does not hold";
      support::log_warn("{}: the winner for '{}' is damaged; tune it again", path().string(),
                        key.problem);
      return lookup;
    }
    lookup.miss = explain_miss(database, key);
    return lookup;
  });
}

Result<std::vector<KeyedWinner>> Store::of_problem(const Key& key) {
  return state_->connection->read(
      [&](SQLite::Database& database) -> Result<std::vector<KeyedWinner>> {
        return collect_winners(database,
                               "WHERE k.problem = ? AND k.family = ? AND k.family_revision = ? "
                               "ORDER BY k.host <> ?, r.recorded_us DESC LIMIT ?",
                               [&](SQLite::Statement& query) {
                                 query.bind(1, key.problem);
                                 query.bind(2, key.family);
                                 query.bind(3, key.family_revision);
                                 query.bind(4, key.host);
                                 query.bind(5, kMostOfProblem);
                               });
      });
}

Result<std::vector<Key>> Store::neighbours(const Key& key) {
  return state_->connection->read([&](SQLite::Database& database) -> Result<std::vector<Key>> {
    // The order is that of the index keys_by_family, so that LIMIT ends the search.
    SQLite::Statement query(
        database, "SELECT " + columns<Key>("k.") +
                      " FROM keys k CROSS JOIN winners r USING (key_id) WHERE k.family = ? AND "
                      "k.family_revision = ? AND k.host = ? AND k.target = ? AND k.problem <> ? "
                      "ORDER BY k.key_id DESC LIMIT ?");
    query.bind(1, key.family);
    query.bind(2, key.family_revision);
    query.bind(3, key.host);
    query.bind(4, key.target);
    query.bind(5, key.problem);
    query.bind(6, kMostNeighbours);
    std::vector<Key> found;
    while (query.executeStep()) {
      Reader reader{query};
      for_each_field(found.emplace_back(), reader);
    }
    return found;
  });
}

Result<std::vector<Trial>> Store::trials(const Key& key) {
  return state_->connection->read([&](SQLite::Database& database) -> Result<std::vector<Trial>> {
    std::vector<Trial> trials;
    const auto key_id = find_key(database, key, /*insert=*/false);
    if (!key_id) return trials;
    for_each_row<Trial>(
        database, "WHERE r.key_id = ? ORDER BY r.recorded_us, r.uid",
        [&](SQLite::Statement& query) { query.bind(1, *key_id); },
        [&](Row<Trial>&& row, Reader&) {
          if (row.sound) trials.push_back(std::move(row.record));
        });
    return trials;
  });
}

Result<std::vector<KeyedWinner>> Store::winners(std::string_view host) {
  return state_->connection->read(
      [&](SQLite::Database& database) -> Result<std::vector<KeyedWinner>> {
        return collect_winners(
            database,
            "WHERE ?1 = '' OR k.host = ?1 ORDER BY k.host, k.problem, k.at, k.threads, "
            "k.target, k.key_id",
            [&](SQLite::Statement& query) { query.bind(1, std::string(host)); });
      });
}

Result<std::vector<Host>> Store::hosts() {
  return state_->connection->read(
      [&](SQLite::Database& database) -> Result<std::vector<Host>> { return all_hosts(database); });
}

}  // namespace lathe::store
