// Appending to /tmp/perf-<pid>.map (Linux tools/perf/Documentation/jit-interface.txt).
#include "runtime/cpu/perf_map.h"

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <system_error>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace lathe::runtime {
namespace {

std::string reason(int error) { return std::generic_category().message(error); }

Status append_locked(int file, const std::string& path, std::string_view line) {
  struct stat info = {};
  if (::fstat(file, &info) != 0 || !S_ISREG(info.st_mode) || info.st_uid != geteuid()) {
    return fail(ErrorCode::io_error,
                "{} is not a plain file of user {}: somebody else made it; remove it or unset "
                "LATHE_PERF_MAP",
                path, geteuid());
  }
  // Held until the file is closed: lines of several threads never mix, nor would two writers'.
  while (::flock(file, LOCK_EX) != 0) {
    if (errno != EINTR) return fail(ErrorCode::io_error, "cannot lock {}: {}", path, reason(errno));
  }
  while (!line.empty()) {
    const ssize_t wrote = ::write(file, line.data(), line.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return fail(ErrorCode::io_error, "cannot write {}: {}", path, reason(errno));
    line.remove_prefix(static_cast<std::size_t>(wrote));
  }
  return {};
}

}  // namespace

bool perf_map_enabled() {
  static const bool enabled = [] {
    const char* text = std::getenv("LATHE_PERF_MAP");
    return text != nullptr && std::string_view(text) == "1";
  }();
  return enabled;
}

std::string perf_map_line(std::string_view name, std::span<const std::byte> code) {
  std::string line =
      fmt::format("{:x} {:x} ", reinterpret_cast<std::uintptr_t>(code.data()), code.size());
  for (const char c : name) line += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '_' : c;
  line += '\n';
  return line;
}

Status append_private_line(const std::string& path, std::string_view line) {
  const int file = ::open(
      path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
  if (file < 0) {
    if (errno == ELOOP) {
      return fail(ErrorCode::io_error,
                  "{} is a symbolic link, which is not followed: remove it or unset LATHE_PERF_MAP",
                  path);
    }
    return fail(ErrorCode::io_error, "cannot open {}: {}", path, reason(errno));
  }
  Status status = append_locked(file, path, line);
  if (::close(file) != 0 && status) {
    status = fail(ErrorCode::io_error, "cannot write {}: {}", path, reason(errno));
  }
  return status;
}

Status add_to_perf_map(std::string_view name, std::span<const std::byte> code) {
  if (!perf_map_enabled()) return {};
  return append_private_line(fmt::format("/tmp/perf-{}.map", ::getpid()),
                             perf_map_line(name, code));
}

}  // namespace lathe::runtime
