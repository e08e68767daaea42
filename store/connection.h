// One open SQLite file: made, checked, retried, and in the cache folder made anew when it is
// damaged.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include <SQLiteCpp/SQLiteCpp.h>

#include "store/failure.h"
#include "store/file_guard.h"
#include "store/reading.h"
#include "store/store.h"
#include "store/verdict.h"

namespace lathe::store {

/// Runs transactions on a store's file. Failures that pass (another process's lock) are retried for
/// a bounded time; a damaged store of the cache folder is set aside by a writer, and the
/// transaction runs once more, on the new file. Every SQLite exception ends here. Thread-safe: one
/// transaction at a time.
class Connection {
 public:
  /// As Store::open.
  static Result<std::unique_ptr<Connection>> open(const std::filesystem::path& path, Place place,
                                                  const StoreOptions& options);

  /// Runs transaction(SQLite::Database&), which returns a Result, on one snapshot of the file.
  template <typename Transaction>
  auto read(Transaction&& transaction) -> std::invoke_result_t<Transaction&, SQLite::Database&> {
    return attempt([&]() -> std::invoke_result_t<Transaction&, SQLite::Database&> {
      SQLite::Database& database = this->database();
      SQLite::Transaction snapshot(database);
      auto outcome = transaction(database);  // nothing to commit: the end of the scope lets go
      if (!reading_.is_current()) throw Moved{};
      return outcome;
    });
  }

  /// Runs transaction(SQLite::Database&) and commits unless it returns an error. It may run more
  /// than once, so it must not count on running once.
  template <typename Transaction>
  auto write(Transaction&& transaction) -> std::invoke_result_t<Transaction&, SQLite::Database&> {
    using Outcome = std::invoke_result_t<Transaction&, SQLite::Database&>;
    if (options_.mode == OpenMode::read_only) {
      return fail(ErrorCode::invalid_argument, "the store {} was opened for reading only",
                  path_.string());
    }
    return attempt([&]() -> Outcome {
      SQLite::Transaction commit(database(), SQLite::TransactionBehavior::IMMEDIATE);
      Outcome outcome = transaction(database());
      if (!outcome) return outcome;
      commit.commit();
      // The file was set aside or removed by another process meanwhile: then nobody will find what
      // was committed, and it has to go into the new file.
      if (file_id(path_) != file_) throw Moved{};
      return outcome;
    });
  }

  /// Runs statements that SQLite forbids inside a transaction (VACUUM).
  Status execute(const char* sql);

  const std::filesystem::path& path() const { return path_; }
  /// Of the file as it is: readers leave an older one as it is. To be called in a transaction.
  int schema() const { return reading_.schema; }
  std::optional<std::string> recovery_note() const;

 private:
  struct Moved {};  ///< thrown and caught within attempt()
  struct Attempts {
    int busy = 0;
    int moved = 0;
    int damaged = 0;
    int reopened = 0;
  };

  Connection(std::filesystem::path path, Place place, const StoreOptions& options)
      : path_(std::move(path)), place_(place), options_(options) {}

  SQLite::Database& database() { return *reading_.database; }

  template <typename Body>
  auto attempt(Body&& body) -> std::invoke_result_t<Body&> {
    const std::lock_guard lock(mutex_);
    Attempts attempts;
    while (true) {
      if (Status status = follow_file(attempts); !status) {
        return tl::unexpected(std::move(status).error());
      }
      std::optional<Error> error;
      try {
        return body();
      } catch (const SQLite::Exception& exception) {
        error = recover(exception, attempts);
      } catch (const Moved&) {
        error = std::nullopt;  // follow_file() looks into it
      } catch (const std::exception& exception) {
        error = Error{ErrorCode::io_error, path_.string() + ": " + exception.what()};
      }
      if (error) return tl::unexpected(std::move(*error));
    }
  }

  /// Connects again when there is no connection, or when the path names another file by now.
  Status follow_file(Attempts& attempts);
  /// Decides on a failed transaction: an error to return, or nullopt to try again.
  std::optional<Error> recover(const SQLite::Exception& exception, Attempts& attempts);

  /// `suspect`: something looked damaged, so every page is checked (writers always check).
  Status connect(bool suspect);
  Status connect_for_reading(bool suspect);
  Status connect_for_writing();
  /// Before anything is made or altered for a writer: an error where a named file is no store.
  Status inspect();
  /// Opens, judges and migrates. `leave_log`: turns the write-ahead log into a rollback journal
  /// first, which needs no shared memory. Throws SQLite::Exception.
  Result<Verdict> open_to_write(bool leave_log);

  const std::filesystem::path path_;
  const Place place_;
  const StoreOptions options_;
  mutable std::mutex mutex_;
  Reading reading_;  ///< a writer's too, without a stamp
  bool shares_memory_ = true;
  std::optional<FileId> file_;
  std::optional<std::string> note_;
};

}  // namespace lathe::store
