// Made-up machines: a folder that stands for "/".
#include "support/topology.h"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/temporary_folder.h"

namespace lathe::support {
namespace {

class Topology : public testing::Test {
 protected:
  void put(const std::string& path, const std::string& text) {
    const std::filesystem::path file = folder_.path() / path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text << '\n';
  }
  void put_core(int cpu, int core, int package) {
    const std::string base = "sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/";
    put(base + "core_id", std::to_string(core));
    put(base + "physical_package_id", std::to_string(package));
  }
  std::string root() const { return folder_.path().string(); }

 private:
  tests::TemporaryFolder folder_;
};

TEST_F(Topology, CpuLists) {
  EXPECT_EQ(parse_cpu_list("0-3,8,10-11"), (std::vector<int>{0, 1, 2, 3, 8, 10, 11}));
  EXPECT_EQ(parse_cpu_list("5"), std::vector<int>{5});
  EXPECT_TRUE(parse_cpu_list("").empty());
  EXPECT_TRUE(parse_cpu_list("x").empty());
  EXPECT_EQ(parse_cpu_list("1,3-2,7"), std::vector<int>{1});
  EXPECT_TRUE(parse_cpu_list("0-99999999999").empty());
}

TEST_F(Topology, Caches) {
  const std::string base = "sys/devices/system/cpu/cpu2/cache/";
  put(base + "index0/level", "1");
  put(base + "index0/type", "Data");
  put(base + "index0/size", "48K");
  put(base + "index0/coherency_line_size", "64");
  put(base + "index0/shared_cpu_list", "2,6");
  put(base + "index1/level", "1");
  put(base + "index1/type", "Instruction");
  put(base + "index1/size", "32K");
  put(base + "index2/level", "3");
  put(base + "index2/type", "Unified");
  put(base + "index2/size", "6M");
  put(base + "index2/shared_cpu_list", "0-7");
  const auto caches = read_caches(root(), 2);
  ASSERT_EQ(caches.size(), 3u);
  EXPECT_EQ(caches[0].bytes, 48 << 10);
  EXPECT_EQ(caches[0].line_bytes, 64);
  EXPECT_EQ(caches[0].shared_by, 2);
  EXPECT_TRUE(caches[0].holds_data);
  EXPECT_FALSE(caches[1].holds_data);
  EXPECT_EQ(caches[2].level, 3);
  EXPECT_EQ(caches[2].bytes, 6 << 20);
  EXPECT_EQ(caches[2].shared_by, 8);
  EXPECT_TRUE(read_caches(root(), 3).empty());
}

TEST_F(Topology, HyperThreadsShareACore) {
  put_core(0, 0, 0);
  put_core(1, 1, 0);
  put_core(2, 0, 0);
  put_core(3, 0, 1);
  EXPECT_EQ(count_cores(root(), {0, 1, 2, 3}), 3);
  EXPECT_EQ(count_cores(root(), {0, 2}), 1);
  EXPECT_EQ(count_cores(root(), {0, 9}), 0) << "one CPU that sysfs does not know";
}

TEST_F(Topology, ThisProcessHasCpus) { EXPECT_FALSE(allowed_cpus().empty()); }

TEST_F(Topology, NoGroupsNoQuota) { EXPECT_EQ(read_cpu_quota(root()), std::nullopt); }

TEST_F(Topology, QuotaOfVersion2IsTheSmallestOnTheWayUp) {
  put("proc/self/cgroup", "0::/slice/job");
  put("sys/fs/cgroup/slice/job/cpu.max", "max 100000");
  put("sys/fs/cgroup/slice/cpu.max", "150000 100000");
  put("sys/fs/cgroup/cpu.max", "400000 100000");
  EXPECT_EQ(read_cpu_quota(root()), 1.5);
}

TEST_F(Topology, QuotaOfVersion1InAContainer) {
  // The group's own path is outside of what the container sees; the mount point is the group.
  put("proc/self/cgroup", "4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n0::/");
  put("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "250000");
  put("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000");
  EXPECT_EQ(read_cpu_quota(root()), 2.5);
}

TEST_F(Topology, UnlimitedQuotaOfVersion1) {
  put("proc/self/cgroup", "1:cpu:/");
  put("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1");
  put("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000");
  EXPECT_EQ(read_cpu_quota(root()), std::nullopt);
}

TEST_F(Topology, Memory) {
  put("proc/meminfo", "MemTotal:       16000000 kB\nMemFree: 1 kB\nMemAvailable:    8000000 kB");
  const MemoryFacts memory = read_memory(root());
  EXPECT_EQ(memory.total, 16000000LL << 10);
  EXPECT_EQ(memory.available, 8000000LL << 10);
}

TEST_F(Topology, MemoryWithinAGroupCountsDroppableCacheAsFree) {
  put("proc/meminfo", "MemTotal:       16000000 kB\nMemAvailable:    8000000 kB");
  put("proc/self/cgroup", "0::/job");
  put("sys/fs/cgroup/job/memory.max", "1000000000");
  put("sys/fs/cgroup/job/memory.current", "900000000");
  put("sys/fs/cgroup/job/memory.stat", "anon 1\ninactive_file 500000000\nactive_file 7");
  const MemoryFacts memory = read_memory(root());
  EXPECT_EQ(memory.total, 1000000000);
  EXPECT_EQ(memory.available, 600000000);
}

TEST_F(Topology, MemoryWithinTheProcessLimits) {
  put("proc/meminfo", "MemTotal:       16000000 kB\nMemAvailable:    8000000 kB");
  const auto limits = [&](const std::string& space, const std::string& data) {
    put("proc/self/limits",
        "Limit                     Soft Limit           Hard Limit           Units\n"
        "Max data size             " +
            data +
            "            unlimited            bytes\n"
            "Max address space         " +
            space + "           unlimited            bytes\n");
  };
  put("proc/self/statm", "1000 500 100 10 0 700 0");
  const int64_t page = ::sysconf(_SC_PAGESIZE);
  limits("unlimited", "unlimited");
  EXPECT_EQ(read_memory(root()).available, 8000000LL << 10);
  limits("2000000000", "unlimited");
  EXPECT_EQ(read_memory(root()).total, 2000000000);
  EXPECT_EQ(read_memory(root()).available, 2000000000 - 1000 * page);
  limits("2000000000", "1000000000");
  EXPECT_EQ(read_memory(root()).available, 1000000000 - 700 * page);
  limits("1000", "unlimited");
  EXPECT_EQ(read_memory(root()).available, 0)
      << "more in use than the limit, as a lowered one may have";
}

TEST_F(Topology, HiddenFilesGiveZero) {
  EXPECT_EQ(read_memory(root()).total, 0);
  EXPECT_EQ(count_cores(root(), {0}), 0);
}

}  // namespace
}  // namespace lathe::support
