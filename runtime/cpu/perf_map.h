// Names of generated code for `perf`: lines of /tmp/perf-<pid>.map, when LATHE_PERF_MAP=1.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "support/error.h"

namespace lathe::runtime {

/// True when LATHE_PERF_MAP is 1 in the environment. Read once.
bool perf_map_enabled();

/// Appends one function to this process's map file where perf_map_enabled(), else does nothing.
/// Thread-safe. The file is made with mode 0600; a symbolic link in its place or a file of another
/// user is refused with io_error, as anybody may write to /tmp.
Status add_to_perf_map(std::string_view name, std::span<const std::byte> code);

/// The line itself, "<start hex> <size hex> <name>\n"; control characters in the name become '_'.
std::string perf_map_line(std::string_view name, std::span<const std::byte> code);

/// Appends a line to any file, by the same rules (no links, our own, mode 0600, under a lock).
Status append_private_line(const std::string& path, std::string_view line);

}  // namespace lathe::runtime
