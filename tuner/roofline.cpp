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

alignas(64) thread_local std::byte sink[64];  // where a loop leaves its one vector

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

class Reader final : public MemoryReader {
 public:
  Reader(runtime::ThreadPool& pool, int64_t granule, int64_t bytes_each)
      : pool_(pool),
        granule_(granule),
        bytes_each_(bytes_each),
        memory_(pool.threads(), bytes_each) {
    memory_.touch(pool);
  }

  Status load_loops(const runtime::SelectedTarget& target) {
    for (const int streams : kStreams) {
      LATHE_TRY(LoadedLoop loop, load(target, read_loop(target.target, streams)));
      loops_.push_back(std::move(loop));
    }
    return {};
  }

  int64_t part_bytes(int64_t parts) const override { return of_thread(parts) * pool_.threads(); }

  void read(size_t way, int64_t part, int64_t parts, int64_t repeats) override {
    const int64_t bytes = of_thread(parts);
    pool_.parallel_for(pool_.threads(), [&](int64_t i, int) {
      const auto stream = static_cast<uint64_t>(bytes / kStreams[way]);
      const std::byte* begin = memory_.of(i) + part * bytes;
      const uint64_t slots[] = {reinterpret_cast<uint64_t>(begin), reinterpret_cast<uint64_t>(sink),
                                stream, stream};
      for (int64_t r = 0; r < repeats; ++r) loops_[way].function(slots);
    });
  }

 private:
  int64_t of_thread(int64_t parts) const { return bytes_each_ / parts / granule_ * granule_; }

  runtime::ThreadPool& pool_;
  int64_t granule_, bytes_each_;
  Memory memory_;
  std::vector<LoadedLoop> loops_;
};

// What any number of streams share without a rest.
int64_t granule_of(const runtime::SelectedTarget& target) {
  return stream_granule(target.target) * MemoryReader::kStreams.back();
}

int64_t bytes_of_thread(const runtime::SelectedTarget& target, int64_t bytes, int threads) {
  const int64_t granule = granule_of(target);
  return std::max<int64_t>(bytes / threads / granule, 1) * granule;
}

}  // namespace

Result<std::unique_ptr<MemoryReader>> MemoryReader::create(const runtime::SelectedTarget& target,
                                                           runtime::ThreadPool& pool,
                                                           int64_t bytes) {
  auto reader = std::make_unique<Reader>(pool, granule_of(target),
                                         bytes_of_thread(target, bytes, pool.threads()));
  LATHE_CHECK(reader->load_loops(target));
  return reader;
}

Result<double> measure_peak(const runtime::SelectedTarget& target, runtime::ThreadPool& pool,
                            double seconds) {
  const int threads = pool.threads();
  std::vector<LoadedLoop> loops;
  std::vector<Contender> peak;
  for (int accumulators : {8, 10, 12, 16, 24}) {
    if (accumulators + 2 > target.target.vector_registers) continue;
    LATHE_TRY(LoadedLoop loop, load(target, fma_loop(target.target, accumulators)));
    const KernelFunction function = loop.function;
    loops.push_back(std::move(loop));
    peak.push_back(
        {2048.0 * accumulators * target.target.lanes * 2 * threads, [=, &pool](int64_t repeats) {
           pool.parallel_for(threads, [=](int64_t, int) {
             const uint64_t slots[] = {reinterpret_cast<uint64_t>(sink),
                                       static_cast<uint64_t>(2048 * repeats)};
             function(slots);
           });
         }});
  }
  return best_rate(peak, seconds) * 1e-9;
}

Result<Roofs> measure_roofs(const runtime::SelectedTarget& target, runtime::ThreadPool& pool,
                            const Footprint& footprint, double seconds) {
  const int threads = pool.threads();
  const int64_t each = bytes_of_thread(target, footprint.bytes, threads);
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
  LATHE_TRY(roofs.gflops, measure_peak(target, pool, seconds * 0.25));

  // Reading and copying have one footprint: a copy reads half of it and writes the other half.
  std::vector<Contender> readers;
  LATHE_TRY(auto reader, MemoryReader::create(target, pool, footprint.bytes));
  for (size_t way = 0; way < MemoryReader::kStreams.size(); ++way)
    readers.push_back({static_cast<double>(reader->part_bytes(1)),
                       [&, way](int64_t repeats) { reader->read(way, 0, 1, repeats); }});
  const double read = best_rate(readers, seconds * 0.35);
  reader.reset();
  Memory memory(threads, each + 4096);
  memory.touch(pool);
  std::vector<Contender> copiers;
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
  const double copy = best_rate(copiers, seconds * 0.4);
  // Between all reading and half writing, time per byte is taken to be linear in the written share.
  const double share = std::clamp(2 * footprint.written_share, 0.0, 1.0);
  roofs.gbytes_per_s = 1e-9 / ((1 - share) / read + share / copy);
  return roofs;
}

}  // namespace lathe::tuner
