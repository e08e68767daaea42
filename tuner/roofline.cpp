// Runs the peak loops on all threads and keeps the best rate of each kind.
#include "tuner/roofline.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <functional>
#include <memory>
#include <vector>

#include "runtime/compiled_kernel.h"
#include "support/large_memory.h"
#include "tuner/roofline_programs.h"

namespace lathe::tuner {
namespace {

using ir::program::KernelFunction;
using Clock = std::chrono::steady_clock;

constexpr double kBatchSeconds =
    300e-6;  // long against the clock's resolution and a pool's wake-up

struct LoadedLoop {
  std::unique_ptr<codegen::LoadedKernel> kernel;
  KernelFunction function = nullptr;
};

Result<LoadedLoop> load(const runtime::SelectedTarget& target,
                        const ir::program::Program& program) {
  LATHE_TRY(const codegen::KernelImage image, target.backend->compile(program));
  LATHE_TRY(auto kernel, runtime::load_image(image, *target.backend));
  const KernelFunction function = kernel->function();
  return LoadedLoop{std::move(kernel), function};
}

double seconds_of(const std::function<void()>& run) {
  const auto begin = Clock::now();
  run();
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// One way to reach the roof: run(repeats) does `amount` of work `repeats` times.
struct Contender {
  double amount = 0;
  std::function<void(int64_t repeats)> run;
};

// The best rate of any contender, taken in turn until the time is up.
double best_rate(const std::vector<Contender>& contenders, double seconds) {
  double best = 0;
  std::vector<int64_t> repeats;
  for (const Contender& contender : contenders) {
    int64_t count = 1;  // doubled until a batch is long enough; also the warm-up
    while (seconds_of([&] { contender.run(count); }) < kBatchSeconds && count < (int64_t{1} << 40))
      count *= 2;
    repeats.push_back(count);
  }
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  do {
    for (size_t i = 0; i < contenders.size(); ++i) {
      const double time = seconds_of([&] { contenders[i].run(repeats[i]); });
      best = std::max(best, contenders[i].amount * static_cast<double>(repeats[i]) / time);
    }
  } while (Clock::now() < end);
  return best;
}

// Working memory, touched by the thread that will use it.
class Memory {
 public:
  Memory(int threads, int64_t bytes_each) : bytes_each_(bytes_each) {
    for (int i = 0; i < threads; ++i) {
      blocks_.push_back(support::large_bytes(static_cast<size_t>(bytes_each)));
      if (!blocks_.back()) throw std::bad_alloc();
    }
  }
  std::byte* of(int64_t thread) { return blocks_[static_cast<size_t>(thread)].get(); }
  void touch(runtime::ThreadPool& pool) {
    pool.parallel_for(static_cast<int64_t>(blocks_.size()), [&](int64_t i, int) {
      std::memset(of(i), 0, static_cast<size_t>(bytes_each_));
    });
  }

 private:
  int64_t bytes_each_;
  std::vector<support::LargeBytes> blocks_;
};

}  // namespace

Result<Roofs> measure_roofs(const runtime::SelectedTarget& target, runtime::ThreadPool& pool,
                            const Footprint& footprint, double seconds) {
  const int threads = pool.threads();
  const int64_t granule = stream_granule(target.target) * 8;
  const int64_t each = std::max<int64_t>(footprint.bytes / threads / granule, 1) * granule;
  std::vector<LoadedLoop> loops;
  const auto loop = [&](const ir::program::Program& program) -> Result<KernelFunction> {
    LATHE_TRY(LoadedLoop loaded, load(target, program));
    loops.push_back(std::move(loaded));
    return loops.back().function;
  };
  const auto on_all = [&](const std::function<void(int64_t)>& body) {
    pool.parallel_for(threads, [&](int64_t i, int) { body(i); });
  };
  Roofs roofs;
  alignas(64) static thread_local std::byte sink[64];

  std::vector<Contender> peak;
  for (int accumulators : {8, 10, 12, 16, 24}) {
    if (accumulators + 2 > target.target.vector_registers) continue;
    LATHE_TRY(const KernelFunction function, loop(fma_loop(target.target, accumulators)));
    peak.push_back(
        {2048.0 * accumulators * target.target.lanes * 2 * threads, [=](int64_t repeats) {
           on_all([=](int64_t) {
             const uint64_t slots[] = {reinterpret_cast<uint64_t>(sink),
                                       static_cast<uint64_t>(2048 * repeats)};
             function(slots);
           });
         }});
  }
  roofs.gflops = best_rate(peak, seconds * 0.25) * 1e-9;

  // Reading and copying share one footprint: a copy reads half of it and writes the other half.
  Memory memory(threads, each + 4096);
  memory.touch(pool);
  std::vector<Contender> readers, copiers;
  for (int streams : {1, 2, 4, 8}) {
    LATHE_TRY(const KernelFunction function, loop(read_loop(target.target, streams)));
    const int64_t part = each / streams;
    readers.push_back({static_cast<double>(each) * threads, [=, &memory](int64_t repeats) {
                         on_all([=, &memory](int64_t i) {
                           const uint64_t slots[] = {reinterpret_cast<uint64_t>(memory.of(i)),
                                                     reinterpret_cast<uint64_t>(sink),
                                                     static_cast<uint64_t>(part),
                                                     static_cast<uint64_t>(part)};
                           for (int64_t r = 0; r < repeats; ++r) function(slots);
                         });
                       }});
  }
  const int64_t half = each / 2;
  for (bool stream : {false, true}) {
    LATHE_TRY(const KernelFunction function, loop(copy_loop(target.target, stream)));
    copiers.push_back({static_cast<double>(each) * threads, [=, &memory](int64_t repeats) {
                         on_all([=, &memory](int64_t i) {
                           const uint64_t slots[] = {
                               reinterpret_cast<uint64_t>(memory.of(i)),
                               reinterpret_cast<uint64_t>(memory.of(i) + half),
                               static_cast<uint64_t>(half)};
                           for (int64_t r = 0; r < repeats; ++r) function(slots);
                         });
                       }});
  }
  copiers.push_back({static_cast<double>(each) * threads, [=, &memory](int64_t repeats) {
                       on_all([=, &memory](int64_t i) {
                         for (int64_t r = 0; r < repeats; ++r)
                           std::memcpy(memory.of(i) + half, memory.of(i),
                                       static_cast<size_t>(half));
                       });
                     }});
  const double read = best_rate(readers, seconds * 0.35);
  const double copy = best_rate(copiers, seconds * 0.4);
  // Between all reading and half writing, time per byte is taken to be linear in the written share.
  const double share = std::clamp(2 * footprint.written_share, 0.0, 1.0);
  roofs.gbytes_per_s = 1e-9 / ((1 - share) / read + share / copy);
  return roofs;
}

}  // namespace lathe::tuner
