// Building and passing on errors: fail(code, "format", ...) and LATHE_TRY.
#pragma once

#include <string>
#include <utility>

#include <fmt/format.h>

#include <lathe/error.h>

namespace lathe {

/// An unexpected value ready to return from any function that returns Result<T>.
template <typename... Args>
tl::unexpected<Error> fail(ErrorCode code, fmt::format_string<Args...> format, Args&&... args) {
  return tl::unexpected<Error>(Error{code, fmt::format(format, std::forward<Args>(args)...)});
}

/// Passes on an error, prefixed with where we were: "reading a.lir: <message>".
inline tl::unexpected<Error> fail_with_context(std::string_view context, Error error) {
  error.message = fmt::format("{}: {}", context, error.message);
  return tl::unexpected<Error>(std::move(error));
}

}  // namespace lathe

#define LATHE_CONCAT_INNER(a, b) a##b
#define LATHE_CONCAT(a, b) LATHE_CONCAT_INNER(a, b)

/// Returns the error of `expression` (a Result or Status) from the enclosing function, if it has
/// one.
#define LATHE_CHECK(expression)                                                \
  do {                                                                         \
    auto lathe_status = (expression);                                          \
    if (!lathe_status) return tl::unexpected(std::move(lathe_status).error()); \
  } while (false)

/// `LATHE_TRY(auto x, f());` declares x from f()'s value, or returns f()'s error.
#define LATHE_TRY(declaration, expression) \
  LATHE_TRY_NAMED(LATHE_CONCAT(lathe_result_, __LINE__), declaration, expression)
#define LATHE_TRY_NAMED(name, declaration, expression)       \
  auto name = (expression);                                  \
  if (!name) return tl::unexpected(std::move(name).error()); \
  declaration = std::move(*name)
