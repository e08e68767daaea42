// Levelled log lines on standard error; LATHE_LOG=error|warn|info|debug chooses, warn by default.
#pragma once

#include <optional>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace lathe::support {

enum class LogLevel : int { error = 0, warn = 1, info = 2, debug = 3 };

/// "error", "warn", "info", "debug"; nullopt for anything else.
std::optional<LogLevel> parse_log_level(std::string_view text);

/// Lines above this level are dropped. From LATHE_LOG on first use; an unknown value is reported
/// once and means warn. Thread-safe.
LogLevel log_level();
void set_log_level(LogLevel level);

/// Writes "lathe: <level>: <message>\n" with one write(2), so that lines of threads and processes
/// never mix.
void write_log(LogLevel level, std::string_view message);

template <typename... Args>
void log(LogLevel level, fmt::format_string<Args...> format, Args&&... args) {
  if (level <= log_level()) write_log(level, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void log_error(fmt::format_string<Args...> format, Args&&... args) {
  log(LogLevel::error, format, std::forward<Args>(args)...);
}
template <typename... Args>
void log_warn(fmt::format_string<Args...> format, Args&&... args) {
  log(LogLevel::warn, format, std::forward<Args>(args)...);
}
template <typename... Args>
void log_info(fmt::format_string<Args...> format, Args&&... args) {
  log(LogLevel::info, format, std::forward<Args>(args)...);
}
template <typename... Args>
void log_debug(fmt::format_string<Args...> format, Args&&... args) {
  log(LogLevel::debug, format, std::forward<Args>(args)...);
}

}  // namespace lathe::support
