// The store: winners and trials of every host in one SQLite file, shared by any number of
// processes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "store/records.h"
#include "support/error.h"

namespace lathe::store {

enum class OpenMode {
  read_write,  ///< created when missing, migrated when older
  /// Makes, changes, renames and removes nothing, in the store's folder or elsewhere; works where
  /// nothing can be written and where files cannot be locked. not_found when missing or empty. A
  /// process that also writes to the same store opens it for writing first.
  read_only,
};

/// How commits become durable. `automatic`: WAL on a local file system, so that readers and the
/// writer do not block each other; a rollback journal on a network one, where WAL's shared memory
/// does not work, and wherever else memory cannot be shared, whatever is asked for.
enum class Journal { automatic, wal, rollback };

struct StoreOptions {
  OpenMode mode = OpenMode::read_write;
  Journal journal = Journal::automatic;
  int busy_timeout_ms = 5000;  ///< how long to wait for another process's transaction
};

/// Bounds on what one look-up reads, so that a fetch is quick whatever a store has gathered.
inline constexpr int kMostOfProblem = 256;
inline constexpr int kMostNeighbours = 4096;

struct MergeCounts {
  std::int64_t hosts = 0;
  std::int64_t trials_added = 0;
  std::int64_t trials_known = 0;  ///< already here
  std::int64_t winners_added = 0;
  std::int64_t winners_replaced = 0;  ///< theirs was better
  std::int64_t winners_kept = 0;      ///< ours was as good or better
  std::int64_t damaged = 0;           ///< rows of the other file that failed their checksum
};

/// What became of a winner that was to be taken over.
enum class Taken {
  added,
  replaced,  ///< it was better than ours
  kept,      ///< ours was as good or better
};

struct PruneCounts {
  std::int64_t keys = 0, trials = 0, winners = 0;
};

struct FamilySummary {
  std::string family;
  int revision = 0;
  std::int64_t keys = 0, trials = 0, winners = 0;
};
struct HostSummary {
  Host host;
  std::vector<FamilySummary> families;  ///< by family, then revision
};
struct Summary {
  std::string path;
  std::int64_t file_bytes = 0;
  int schema_version = 0;
  std::string journal_mode;  ///< "wal" | "delete" | …
  std::vector<HostSummary> hosts;
};

/// The schema that this Lathe writes (SQLite's user_version). Older ones are migrated when opened
/// for writing; newer ones are refused and left alone.
int schema_version();

/// An open store. Every call is one transaction, committed before it returns; every call may be
/// made from any thread. A killed process loses only what had not returned yet.
///
/// A file that the caller names is never put aside or overwritten: one that does not begin as an
/// SQLite database, or is a damaged store (cut short, overwritten, with anything in its schema that
/// no store has), is refused, and so is another program's database and a newer Lathe's store,
/// wherever it lies. An empty file may become a store.
///
/// A damaged store in the cache folder, where it is in nobody's way but ours, is renamed by a
/// writer to `<name>.damaged-<time>`, with its journal files, and an empty store takes its place;
/// the caller finds that in recovery_note() and goes on. This happens when the damage is met: at
/// open or in any later call. Links in the cache folder are not followed, and a cache folder that
/// others may write to is refused.
///
/// Errors: io_error (cannot be read, written or locked, belongs to another user, or lies where
/// others may write), unsupported (newer schema), invalid_argument (some other program's database,
/// too long a name), not_found (read_only, missing or empty), corrupt (damaged, or no database at
/// all, and not set aside).
class Store {
 public:
  /// The store that the caller names.
  static Result<Store> open(const std::filesystem::path& path, const StoreOptions& options = {});
  /// `lathe.db` in the cache folder, which a writer makes with mode 0700 where it is missing.
  static Result<Store> open_default(const StoreOptions& options = {});
  /// open() of the path that a user gave; open_default() where he gave none.
  static Result<Store> open_chosen(const std::string& path, const StoreOptions& options = {});

  Store(Store&&) noexcept;
  Store& operator=(Store&&) noexcept;
  ~Store();

  const std::filesystem::path& path() const;

  /// What was set aside and why, since this store was opened; nullopt when all was well, and for
  /// readers, which set nothing aside.
  std::optional<std::string> recovery_note() const;

  // Writing.

  /// Adds or updates a host and returns its id, for Key::host. Records need their host first.
  Result<std::string> record_host(std::string_view device, std::string_view identity,
                                  std::string_view description);
  /// Adds a trial. It is on disk, as far as a killed process is concerned, when this returns.
  Status record_trial(const Key& key, const Trial& trial);
  /// Sets the key's winner, replacing the previous one.
  Status record_winner(const Key& key, const Winner& winner);

  // Looking up. Never blocked by a writer under WAL.

  /// The key's own winner, or a miss that says which fields differ from the closest record.
  Result<Lookup> find(const Key& key);
  /// Winners of the key's problem and family revision under any key, on any host: those of the
  /// key's own host first, then newest first, at most kMostOfProblem. One query on an index: its
  /// time follows what the problem has, not what the store holds.
  Result<std::vector<KeyedWinner>> of_problem(const Key& key);
  /// Keys of winners of other problems with the key's family, revision, host and target, the newest
  /// key first, at most kMostNeighbours. The caller judges distance, and finds the records that it
  /// wants by their keys.
  Result<std::vector<Key>> neighbours(const Key& key);
  /// All trials of a key, oldest first.
  Result<std::vector<Trial>> trials(const Key& key);
  /// All winners, ordered by host and problem; of one host when `host` is not empty.
  Result<std::vector<KeyedWinner>> winners(std::string_view host = {});
  Result<std::vector<Host>> hosts();

  // The file as a whole.

  Result<Summary> summary();
  /// One JSON document: {"schema", "hosts": […], "winners": […], "trials": […]}. Takes as much
  /// memory as the document is long.
  Result<std::string> export_json();
  /// Takes over another store's records, whoever owns it; that file is only read, a record at a
  /// time, and may have an older schema. Errors, beyond those of open(): corrupt, naming the other
  /// file. Trials are united. For a winner that both have, the better record stays: checked before
  /// unchecked, then the greater confidence, then the newer, then (to be the same in either
  /// direction) the smaller schedule text.
  Result<MergeCounts> merge(const std::filesystem::path& other);
  /// Takes over records that came another way, by the rules of merge() and all or none: what became
  /// of each, in their order. Hosts that the store does not have are added. Errors, beyond those of
  /// open(): invalid_argument for a record that no store holds (an incomplete key, a number that is
  /// not finite, a host that is neither among `hosts` nor in the store, or whose id is not that of
  /// its device and identity).
  Result<std::vector<Taken>> take_over(std::span<const Host> hosts,
                                       std::span<const KeyedWinner> winners);
  /// Forgets the records of families whose revision is older than the one given.
  Result<PruneCounts> prune(std::span<const std::pair<std::string, int>> current_revisions);
  /// SQLite's integrity_check and every row's checksum: "ok", or what is wrong.
  Result<std::string> check();

 private:
  struct State;
  explicit Store(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace lathe::store
