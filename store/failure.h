// SQLite's failures: how they are to be treated, and what they mean to a user.
#pragma once

#include <filesystem>
#include <string>

#include <SQLiteCpp/SQLiteCpp.h>

#include "support/error.h"

namespace lathe::store {

enum class Failure {
  busy,            ///< another process's lock: passes
  damaged,         ///< the file's content is wrong
  moved,           ///< the file is no longer the one at its path
  no_shared_maps,  ///< the file system cannot share memory, as the write-ahead log wants it
  other,
};
Failure classify(const SQLite::Exception& exception);

/// "the store PATH: TEXT".
Error error_of(ErrorCode code, const std::filesystem::path& path, const std::string& text);

/// An error for a failure that does not pass. For `busy`, one for a lock that another process has
/// kept for `waited`, such as "5000 ms".
Error describe(const std::filesystem::path& path, const SQLite::Exception& exception,
               const std::string& waited = "too long");

}  // namespace lathe::store
