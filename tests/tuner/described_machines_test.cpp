// What reads the machine's facts, on machines described: last caches of 0, 2, 32 and 480 MiB, 1, 2
// and 64 cores, SSE4.1 alone, AVX2 and AVX-512, 1 and 24 GiB of memory. Every value of each fact
// meets every value of every other one once at least.
#include <array>
#include <cstdlib>
#include <set>

#include <gtest/gtest.h>

#include "compiler/sizes.h"
#include "runtime/cpu/thread_pool.h"
#include "support/described_host.h"
#include "tests/temporary_folder.h"
#include "tests/tuner/kernels.h"
#include "tuner/candidates.h"
#include "tuner/cold_caches.h"
#include "tuner/race_buffers.h"
#include "tuner/roofline.h"
#include "tuner/session.h"

namespace lathe::tuner {
namespace {

using support::Isa;
using support::IsaMask;

constexpr int64_t kMiB = int64_t{1} << 20;

struct Described {
  int64_t last_cache_mib;
  int cores;
  const char* target;  ///< the widest that it runs
  int64_t memory_mib;
};

// Twelve machines cover all pairs: four caches by three numbers of cores need as many.
constexpr std::array<Described, 12> kMachines = {{{0, 1, "sse", 1024},
                                                  {0, 2, "avx2", 24576},
                                                  {0, 64, "avx512", 1024},
                                                  {2, 1, "avx2", 1024},
                                                  {2, 2, "avx512", 24576},
                                                  {2, 64, "sse", 24576},
                                                  {32, 1, "avx512", 24576},
                                                  {32, 2, "sse", 1024},
                                                  {32, 64, "avx2", 1024},
                                                  {480, 1, "sse", 24576},
                                                  {480, 2, "avx2", 1024},
                                                  {480, 64, "avx512", 24576}}};

support::Hardware hardware_of(const Described& described) {
  support::Hardware hardware;
  hardware.architecture = "x86_64";
  hardware.vendor = "Described";
  hardware.name = "a described CPU";
  hardware.microarchitecture = "unknown";
  hardware.isa = Isa::sse3 | Isa::ssse3 | IsaMask(Isa::sse4_1);
  const std::string target = described.target;
  if (target != "sse") hardware.isa |= Isa::avx | Isa::avx2 | IsaMask(Isa::fma) | Isa::f16c;
  if (target == "avx512") {
    hardware.isa |= Isa::avx512f | Isa::avx512bw | IsaMask(Isa::avx512dq) | Isa::avx512vl;
  }
  hardware.l1d_bytes = 32 << 10;
  hardware.l2_bytes = 1 << 20;
  hardware.l3_bytes = described.last_cache_mib * kMiB;
  hardware.physical_cores = hardware.logical_cpus = described.cores;
  hardware.available_cpus = hardware.available_cores = described.cores;
  hardware.total_memory_bytes = described.memory_mib * kMiB;
  hardware.available_memory_bytes = hardware.total_memory_bytes * 3 / 4;
  return hardware;
}

class DescribedMachines : public testing::TestWithParam<Described> {
 protected:
  const support::Hardware hardware_ = hardware_of(GetParam());
  const support::DescribedHost described_{hardware_};
};

INSTANTIATE_TEST_SUITE_P(Pairwise, DescribedMachines, testing::ValuesIn(kMachines),
                         [](const auto& info) {
                           return fmt::format("{}MiB_{}cores_{}_{}MiB", info.param.last_cache_mib,
                                              info.param.cores, info.param.target,
                                              info.param.memory_mib);
                         });

TEST(DescribedMachinesTable, HoldsEveryPair) {
  const auto facts = [](const Described& machine) {
    return std::array<std::string, 4>{std::to_string(machine.last_cache_mib),
                                      std::to_string(machine.cores), machine.target,
                                      std::to_string(machine.memory_mib)};
  };
  for (size_t a = 0; a < 4; ++a) {
    for (size_t b = 0; b < a; ++b) {
      std::set<std::string> first, second;
      std::set<std::pair<std::string, std::string>> pairs;
      for (const Described& machine : kMachines) {
        first.insert(facts(machine)[a]);
        second.insert(facts(machine)[b]);
        pairs.emplace(facts(machine)[a], facts(machine)[b]);
      }
      EXPECT_EQ(pairs.size(), first.size() * second.size()) << a << ", " << b;
    }
  }
}

TEST_P(DescribedMachines, ThreadsAndTargetAreItsOwn) {
  ::unsetenv("LATHE_THREADS");
  ::unsetenv("LATHE_TARGET");
  EXPECT_EQ(*runtime::default_threads(), GetParam().cores);
  const auto selected = runtime::select_target(test_backends(), "");
  ASSERT_TRUE(selected) << selected.error().message;
  EXPECT_EQ(selected->target.name, GetParam().target);
}

TEST_P(DescribedMachines, TimingStaysWithinTheSpareMemory) {
  const int64_t spare = spare_memory();
  EXPECT_EQ(spare, std::min(256 * kMiB, hardware_.available_memory_bytes / 8));
  EXPECT_LE(spare_for_filling() + spare_for_sets() + spare_for_roofs(), spare);
  auto pool = runtime::ThreadPool::create(1);
  ASSERT_TRUE(pool);
  const auto caches = ColdCaches::create(*pool);
  ASSERT_TRUE(caches) << caches.error().message;
  EXPECT_LE(caches->filler_bytes(), spare_for_filling());
  EXPECT_LE(Footprint::of_memory(0.5, 1).bytes, spare_for_roofs());
  for (const char* line :
       {"relu rows=1 width=8", "embedding rows=1 width=256",
        "linear rows=1 n=256 k=256 weight=bf16", "rms_norm rows=64 width=2048"}) {
    const auto kernel = compile(line);
    const auto at = *compiler::complete_sizes(kernel->problem, {});
    SharedInputs inputs_of_buffers;
    const auto buffers = RaceBuffers::create(*kernel, at, true, inputs_of_buffers);
    ASSERT_TRUE(buffers) << line << ": " << buffers.error().message;
    SharedInputs inputs_of_once;
    const auto once = RaceBuffers::create(*kernel, at, false, inputs_of_once);
    ASSERT_TRUE(once);
    int64_t own = 0;
    for (const ColdCaches::Bytes& bytes : once->touched(1))
      own += static_cast<int64_t>(bytes.size());
    EXPECT_LE(own * static_cast<int64_t>(buffers->sets() - 1), spare_for_sets()) << line;
    EXPECT_GT(buffers->sets(), 1U) << line;
  }
}

TEST_P(DescribedMachines, RoofsAreMeasured) {
  auto pool = runtime::ThreadPool::create(1);
  ASSERT_TRUE(pool);
  auto caches = ColdCaches::create(*pool);
  ASSERT_TRUE(caches) << caches.error().message;
  const auto meter = RoofMeter::create(test_target(), *pool);
  ASSERT_TRUE(meter) << meter.error().message;
  const auto roofs = (*meter)->measure(Footprint::of_memory(0.2, 1), &*caches, 0.001);
  ASSERT_TRUE(roofs) << roofs.error().message;
  EXPECT_GT(roofs->gbytes_per_s, 0);
}

TEST_P(DescribedMachines, CandidatesBeginWithTheDefault) {
  for (const char* cache : {"cold", "warm"}) {
    for (const char* line :
         {"linear rows=16 n=2048 k=2048 weight=bf16", "relu rows=512 width=2048"}) {
      const auto problem = *compiler::parse_problem(line);
      const auto at = *compiler::complete_sizes(problem, {});
      const auto list =
          candidates(problem, at, cache, test_target(), GetParam().cores, Effort::full);
      ASSERT_TRUE(list) << list.error().message;
      EXPECT_EQ(list->schedules.front(), default_candidate(problem, test_target()));
      EXPECT_EQ(std::set<std::string>(list->schedules.begin(), list->schedules.end()).size(),
                list->schedules.size());
      // Streaming stores are for what leaves the last cache anyway.
      const int64_t touched = 2 * 512 * 2048 * 4;
      const bool fits = std::string(cache) == "warm" && touched < hardware_.l3_bytes;
      const bool streams = std::any_of(
          list->schedules.begin() + 1, list->schedules.end(),
          [](const auto& schedule) { return schedule.find("stream=on") != std::string::npos; });
      if (std::string(line).starts_with("relu")) {
        EXPECT_EQ(streams, !fits) << cache;
      }
    }
  }
}

// A whole session, whose records are this machine's and no other's.
TEST_P(DescribedMachines, ASessionTunesAndKeepsItsRecords) {
  const char* worker = std::getenv("LATHE_FAKE_WORKER");
  ASSERT_NE(worker, nullptr) << "LATHE_FAKE_WORKER names no program";
  tests::TemporaryFolder folder;
  auto store = store::Store::open(folder / "store.db");
  ASSERT_TRUE(store) << store.error().message;
  Task task;
  task.problem = *compiler::parse_problem("linear rows=1 n=96 k=64 weight=bf16");
  task.at = {{"rows", 1}};
  SessionOptions options;
  options.target = test_target();
  options.threads = *runtime::default_threads();
  options.effort = Effort::quick;
  options.worker_command = {worker};
  const auto result = run_session({task}, options, *store);
  ASSERT_TRUE(result) << result.error().message;
  ASSERT_TRUE(result->tasks.front().winner) << result->tasks.front().problem_note;
  const auto winners = store->winners(store::host_id("cpu", support::host_identity()));
  ASSERT_TRUE(winners);
  EXPECT_FALSE(winners->empty());
  for (const store::KeyedWinner& winner : *winners) EXPECT_EQ(winner.key.threads, GetParam().cores);
}

// What the described machine's extensions would allow but this CPU cannot run is refused in words,
// not with a signal.
TEST_P(DescribedMachines, CodeIsLoadedOnlyWhereThisCpuHasItsExtensions) {
  const auto selected = *runtime::select_target(test_backends(), GetParam().target);
  const auto problem = *compiler::parse_problem("silu rows=4 width=64");
  const auto space = problem.family().space(problem, selected.target);
  const auto kernel = runtime::compile_kernel(problem, space.default_schedule(), selected.target,
                                              *selected.backend);
  const bool runs = support::executable_isa().contains(runtime::required_isa(selected.target));
  EXPECT_EQ(kernel.has_value(), runs);
  if (!kernel) {
    EXPECT_EQ(kernel.error().code, ErrorCode::unsupported);
    EXPECT_NE(kernel.error().message.find("avx"), std::string::npos) << kernel.error().message;
  }
}

}  // namespace
}  // namespace lathe::tuner
