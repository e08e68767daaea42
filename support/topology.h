// Cores, caches, memory and limits as Linux tells them: /proc, /sys and control groups.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace lathe::support {

/// Every reader takes the folder that stands for "/", so that tests can hand in a made-up machine.
/// A missing or malformed file gives "unknown" (0, empty or nullopt), never an error: containers
/// and emulators hide any of them.

/// One cache as seen from one CPU.
struct CacheFacts {
  int level = 0;
  bool holds_data = true;  ///< data or unified
  std::int64_t bytes = 0;
  int line_bytes = 0;
  int shared_by = 1;  ///< logical CPUs that share it
};

/// Parses kernel CPU lists such as "0-3,8,10-11"; stops at the first malformed part.
std::vector<int> parse_cpu_list(const std::string& text);

/// Caches of one CPU, from sysfs.
std::vector<CacheFacts> read_caches(const std::string& root, int cpu);

/// Number of distinct physical cores that the given CPUs belong to; 0 when sysfs does not tell.
int count_cores(const std::string& root, const std::vector<int>& cpus);

/// CPUs that this process may be scheduled on (sched_getaffinity); never empty.
std::vector<int> allowed_cpus();

/// CPUs' worth of time that control groups grant this process (quota / period, versions 1 and 2,
/// the smallest over the group and its ancestors); nullopt where unlimited or unknown.
std::optional<double> read_cpu_quota(const std::string& root);

/// Memory in bytes. Limits are those of control groups and of the process: its address space
/// (RLIMIT_AS) and its data (RLIMIT_DATA).
struct MemoryFacts {
  std::int64_t total = 0;      ///< the machine's, or the smallest limit
  std::int64_t available = 0;  ///< free now without swapping, within the limits
};
MemoryFacts read_memory(const std::string& root);

}  // namespace lathe::support
