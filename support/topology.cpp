// Reading /proc, /sys and control-group files, any of which may be missing.
#include "support/topology.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <limits>
#include <set>
#include <sstream>
#include <string_view>
#include <thread>
#include <utility>

#include <sched.h>
#include <unistd.h>

namespace lathe::support {
namespace {

/// First line of a small file, without its end; nullopt when it cannot be read.
std::optional<std::string> first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line)) return std::nullopt;
  return line;
}

/// The whole number that the text starts with.
std::optional<std::int64_t> leading_number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end == text.data()) return std::nullopt;
  return value;
}

std::optional<std::int64_t> read_number(const std::string& path) {
  const auto line = first_line(path);
  return line ? leading_number(*line) : std::nullopt;
}

/// "32K", "1024K", "16M" as sysfs writes cache sizes.
std::int64_t parse_size(const std::string& text) {
  const std::int64_t number = leading_number(text).value_or(0);
  switch (text.empty() ? '\0' : text.back()) {
    case 'K': return number << 10;
    case 'M': return number << 20;
    case 'G': return number << 30;
    default: return number;
  }
}

/// Group paths of this process for one controller of version 1 ("cpu", "memory"), or for version 2
/// (empty controller), from /proc/self/cgroup lines "id:controllers:path".
std::optional<std::string> group_path(const std::string& root, std::string_view controller) {
  std::ifstream file(root + "/proc/self/cgroup");
  std::string line;
  while (std::getline(file, line)) {
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    std::string controllers = line.substr(first + 1, second - first - 1);
    const bool match = controller.empty()
                           ? controllers.empty()
                           : ("," + controllers + ",").find("," + std::string(controller) + ",") !=
                                 std::string::npos;
    if (match) return line.substr(second + 1);
  }
  return std::nullopt;
}

/// Folders of a group and all its ancestors below a hierarchy's mount point, innermost first.
/// Within a container the group's own path is often not visible, and the mount point is the group.
std::vector<std::string> group_folders(const std::string& mount, std::string path) {
  std::vector<std::string> folders;
  while (!path.empty() && path != "/") {
    folders.push_back(mount + path);
    path.erase(path.find_last_of('/'));
  }
  folders.push_back(mount);
  return folders;
}

/// Applies `visit` to every folder that may hold this process's limits for a controller.
template <typename Visit>
void for_each_group(const std::string& root, std::string_view controller, Visit visit) {
  const std::string base = root + "/sys/fs/cgroup";
  if (const auto path = group_path(root, "")) {
    for (const std::string& mount : {base, base + "/unified"}) {
      for (const auto& folder : group_folders(mount, *path)) visit(folder, 2);
    }
  }
  if (const auto path = group_path(root, controller)) {
    std::vector<std::string> mounts = {base + "/" + std::string(controller)};
    if (controller == "cpu") mounts.push_back(base + "/cpu,cpuacct");
    for (const auto& mount : mounts) {
      for (const auto& folder : group_folders(mount, *path)) visit(folder, 1);
    }
  }
}

/// Bytes of a group's page cache that the kernel would drop under pressure: used, yet available.
std::int64_t droppable_cache(const std::string& folder) {
  std::ifstream file(folder + "/memory.stat");
  std::string line;
  std::int64_t bytes = 0;
  while (std::getline(file, line)) {
    for (const std::string_view field : {"inactive_file ", "total_inactive_file "}) {
      if (!line.starts_with(field)) continue;
      bytes =
          std::max(bytes, leading_number(std::string_view(line).substr(field.size())).value_or(0));
    }
  }
  return bytes;
}

/// The process's soft limit on "Max address space" or the like; nullopt where unlimited or unknown.
std::optional<std::int64_t> process_limit(const std::string& root, std::string_view name) {
  std::ifstream file(root + "/proc/self/limits");
  std::string line;
  while (std::getline(file, line)) {
    if (!line.starts_with(name)) continue;
    const std::size_t value = line.find_first_not_of(' ', name.size());
    if (value == std::string::npos) return std::nullopt;
    return leading_number(std::string_view(line).substr(value));  // or "unlimited"
  }
  return std::nullopt;
}

/// Field `index` of /proc/self/statm, in bytes: 0 is the address space, 5 its data and stack.
std::int64_t process_memory(const std::string& root, int index) {
  std::ifstream file(root + "/proc/self/statm");
  std::int64_t pages = 0;
  for (int i = 0; i <= index; ++i)
    if (!(file >> pages)) return 0;
  return pages * ::sysconf(_SC_PAGESIZE);
}

std::string cpu_folder(const std::string& root, int cpu) {
  return root + "/sys/devices/system/cpu/cpu" + std::to_string(cpu);
}

}  // namespace

std::vector<int> parse_cpu_list(const std::string& text) {
  std::vector<int> cpus;
  std::stringstream parts(text);
  std::string part;
  while (std::getline(parts, part, ',')) {
    const auto first = leading_number(part);
    if (!first || *first < 0 || *first > 1 << 20) break;
    const std::size_t dash = part.find('-');
    const auto last = dash == std::string::npos ? first : leading_number(part.substr(dash + 1));
    if (!last || *last < *first || *last > 1 << 20) break;
    for (std::int64_t cpu = *first; cpu <= *last; ++cpu) cpus.push_back(static_cast<int>(cpu));
  }
  return cpus;
}

std::vector<CacheFacts> read_caches(const std::string& root, int cpu) {
  std::vector<CacheFacts> caches;
  for (int index = 0; index < 16; ++index) {
    const std::string folder = cpu_folder(root, cpu) + "/cache/index" + std::to_string(index);
    const auto level = read_number(folder + "/level");
    if (!level) break;
    CacheFacts cache;
    cache.level = static_cast<int>(*level);
    cache.holds_data = first_line(folder + "/type").value_or("") != "Instruction";
    cache.bytes = parse_size(first_line(folder + "/size").value_or(""));
    cache.line_bytes = static_cast<int>(read_number(folder + "/coherency_line_size").value_or(0));
    const auto shared = parse_cpu_list(first_line(folder + "/shared_cpu_list").value_or(""));
    cache.shared_by = std::max(1, static_cast<int>(shared.size()));
    caches.push_back(cache);
  }
  return caches;
}

int count_cores(const std::string& root, const std::vector<int>& cpus) {
  std::set<std::pair<std::int64_t, std::int64_t>> cores;
  for (const int cpu : cpus) {
    const std::string folder = cpu_folder(root, cpu) + "/topology";
    const auto core = read_number(folder + "/core_id");
    const auto package = read_number(folder + "/physical_package_id");
    if (!core || !package) return 0;
    cores.emplace(*package, *core);
  }
  return static_cast<int>(cores.size());
}

std::vector<int> allowed_cpus() {
  std::vector<int> cpus;
  // A machine may have more CPUs than cpu_set_t holds: ask with growing sets.
  for (int count = CPU_SETSIZE; count <= 1 << 17; count *= 2) {
    cpu_set_t* set = CPU_ALLOC(count);
    if (set == nullptr) break;
    const std::size_t bytes = CPU_ALLOC_SIZE(count);
    CPU_ZERO_S(bytes, set);
    const bool known = sched_getaffinity(0, bytes, set) == 0;
    for (int cpu = 0; known && cpu < count; ++cpu) {
      if (CPU_ISSET_S(cpu, bytes, set)) cpus.push_back(cpu);
    }
    CPU_FREE(set);
    if (known) break;
  }
  if (cpus.empty()) {
    const int count = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
    for (int cpu = 0; cpu < count; ++cpu) cpus.push_back(cpu);
  }
  return cpus;
}

std::optional<double> read_cpu_quota(const std::string& root) {
  std::optional<double> smallest;
  const auto consider = [&](double quota, double period) {
    if (quota > 0 && period > 0) {
      smallest = std::min(smallest.value_or(std::numeric_limits<double>::max()), quota / period);
    }
  };
  for_each_group(root, "cpu", [&](const std::string& folder, int version) {
    if (version == 2) {
      const auto line = first_line(folder + "/cpu.max");  // "max 100000" or "150000 100000"
      const std::size_t space = line ? line->find(' ') : std::string::npos;
      if (space == std::string::npos) return;
      consider(static_cast<double>(leading_number(*line).value_or(0)),
               static_cast<double>(leading_number(line->substr(space + 1)).value_or(0)));
    } else {
      consider(static_cast<double>(read_number(folder + "/cpu.cfs_quota_us").value_or(0)),
               static_cast<double>(read_number(folder + "/cpu.cfs_period_us").value_or(0)));
    }
  });
  return smallest;
}

MemoryFacts read_memory(const std::string& root) {
  MemoryFacts memory;
  std::ifstream file(root + "/proc/meminfo");
  std::string line;
  while (std::getline(file, line)) {  // "MemAvailable:   12345 kB"
    const std::size_t colon = line.find(':');
    const std::size_t digit = line.find_first_of("0123456789", colon);
    if (colon == std::string::npos || digit == std::string::npos) continue;
    const std::int64_t bytes = leading_number(std::string_view(line).substr(digit)).value_or(0)
                               << 10;
    if (line.starts_with("MemTotal:")) memory.total = bytes;
    if (line.starts_with("MemAvailable:")) memory.available = bytes;
  }
  for_each_group(root, "memory", [&](const std::string& folder, int version) {
    const auto limit = read_number(
        folder + (version == 2 ? "/memory.max" : "/memory.limit_in_bytes"));  // or "max"
    if (!limit || *limit <= 0 || *limit >= memory.total) return;
    const std::int64_t used =
        read_number(folder + (version == 2 ? "/memory.current" : "/memory.usage_in_bytes"))
            .value_or(0) -
        droppable_cache(folder);
    memory.total = *limit;
    memory.available =
        std::min(memory.available, std::clamp<std::int64_t>(*limit - used, 0, *limit));
  });
  for (const auto& [name, field] : {std::pair{"Max address space ", 0}, {"Max data size ", 5}}) {
    const auto limit = process_limit(root, name);
    if (!limit || *limit <= 0 || *limit >= memory.total) continue;
    memory.total = *limit;
    memory.available =
        std::min(memory.available, std::max<std::int64_t>(*limit - process_memory(root, field), 0));
  }
  return memory;
}

}  // namespace lathe::support
