// Log lines, each in one write.
#include "support/log.h"

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <string>

#include <unistd.h>

namespace lathe::support {
namespace {

constexpr std::string_view kLevelNames[] = {"error", "warn", "info", "debug"};

std::atomic<int>& level_setting() {
  static std::atomic<int> level = [] {
    const char* text = std::getenv("LATHE_LOG");
    if (text == nullptr || *text == '\0') return static_cast<int>(LogLevel::warn);
    if (const auto parsed = parse_log_level(text)) return static_cast<int>(*parsed);
    write_log(
        LogLevel::warn,
        fmt::format("LATHE_LOG is '{}': expected error, warn, info or debug; using warn", text));
    return static_cast<int>(LogLevel::warn);
  }();
  return level;
}

}  // namespace

std::optional<LogLevel> parse_log_level(std::string_view text) {
  for (int level = 0; level < 4; ++level) {
    if (text == kLevelNames[level]) return static_cast<LogLevel>(level);
  }
  return std::nullopt;
}

LogLevel log_level() {
  return static_cast<LogLevel>(level_setting().load(std::memory_order_relaxed));
}

void set_log_level(LogLevel level) {
  level_setting().store(static_cast<int>(level), std::memory_order_relaxed);
}

void write_log(LogLevel level, std::string_view message) {
  const std::string line =
      fmt::format("lathe: {}: {}\n", kLevelNames[static_cast<int>(level)], message);
  std::size_t done = 0;
  while (done < line.size()) {
    const ssize_t wrote = ::write(STDERR_FILENO, line.data() + done, line.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return;  // nowhere left to complain to
    done += static_cast<std::size_t>(wrote);
  }
}

}  // namespace lathe::support
