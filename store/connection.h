// One open SQLite file: made, checked, retried, and repaired when it turns out damaged.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include <SQLiteCpp/SQLiteCpp.h>

#include "store/file_guard.h"
#include "store/store.h"

namespace lathe::store {

/// Runs transactions on a store's file. Failures that pass (another process's lock) are retried for
/// a bounded time; damage is set aside and the transaction runs once more, on the new file. Every
/// SQLite exception ends here. Thread-safe: one transaction at a time.
class Connection {
 public:
  /// As Store::open.
  static Result<std::unique_ptr<Connection>> open(const std::filesystem::path& path,
                                                  const StoreOptions& options);

  /// Runs transaction(SQLite::Database&), which returns a Result, on one snapshot of the file.
  template <typename Transaction>
  auto read(Transaction&& transaction) -> std::invoke_result_t<Transaction&, SQLite::Database&> {
    return attempt([&]() -> std::invoke_result_t<Transaction&, SQLite::Database&> {
      SQLite::Transaction snapshot(*database_);
      return transaction(*database_);  // nothing to commit: the end of the scope lets go
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
      SQLite::Transaction commit(*database_, SQLite::TransactionBehavior::IMMEDIATE);
      Outcome outcome = transaction(*database_);
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
  std::optional<std::string> recovery_note() const;

 private:
  struct Moved {};  ///< thrown and caught within attempt()
  struct Attempts {
    int busy = 0;
    int moved = 0;
    int damaged = 0;
  };

  Connection(std::filesystem::path path, const StoreOptions& options)
      : path_(std::move(path)), options_(options) {}

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
  Status connect_for_writing();
  Status connect_for_reading(bool suspect);

  const std::filesystem::path path_;
  const StoreOptions options_;
  mutable std::mutex mutex_;
  std::unique_ptr<SQLite::Database> database_;
  std::optional<FileId> file_;
  std::optional<std::string> note_;
};

/// Opens any store for reading, without changing it or its folder where that is possible: used for
/// read-only stores and for the other file of a merge. Errors as Store::open; `corrupt` for damage,
/// for which every page is checked when `thorough`.
Result<std::unique_ptr<SQLite::Database>> open_for_reading(const std::filesystem::path& path,
                                                           int busy_timeout_ms, bool thorough);

/// How a SQLite failure is to be treated.
enum class Failure { busy, damaged, moved, other };
Failure classify(const SQLite::Exception& exception);

}  // namespace lathe::store
