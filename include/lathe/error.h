// Errors as values: every fallible call of the library returns Result<T>.
#pragma once

#include <string>
#include <string_view>

#include <tl/expected.hpp>

namespace lathe {

/// What kind of thing went wrong. The set only grows; the numbers are part of the C interface.
enum class ErrorCode : int {
  invalid_argument = 1,  ///< a caller's value: wrong shape, type, alignment, null, overlap, knob
  parse_error = 2,       ///< text that is not what its grammar asks for (message has line:column)
  verify_error = 3,      ///< a graph, program or plan that breaks a rule of its IR
  not_found = 4,         ///< an unknown name: op, family, file, record
  unsupported = 5,       ///< valid, but this host, target or build cannot do it
  rejected = 6,      ///< a schedule that its family's constraints or the target's registers refuse
  io_error = 7,      ///< the file system or the database refused
  corrupt = 8,       ///< stored data that fails its checks
  mismatch = 9,      ///< a result that differs from the oracle, or an identity that does not fit
  interrupted = 10,  ///< the user or a budget asked to stop
  resource_exhausted = 11,  ///< memory, mappings, threads
  internal = 12,            ///< a bug in Lathe itself
};

/// The code's name as it appears in JSON, e.g. "parse_error". Never null; static storage.
std::string_view to_string(ErrorCode code);

/// A failure, told for the person who has to act on it: what was found, what was expected, where,
/// and what to do.
struct Error {
  ErrorCode code = ErrorCode::internal;
  std::string message;
};

template <typename T>
using Result = tl::expected<T, Error>;

/// For calls that return nothing but may fail.
using Status = Result<void>;

}  // namespace lathe
