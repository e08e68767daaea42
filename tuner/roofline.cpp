// Runs the peak loops on all threads and keeps the best rate of each kind.
#include "tuner/roofline.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "runtime/launch/compiled_kernel.h"
#include "support/hardware.h"
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
  LATHE_TRY(auto kernel, runtime::load_image(image, target.backend.get()));
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

// The best rate of any contender, taken in turn until the time is up. With `before`, which makes
// memory cold and is not timed, a batch is one run.
double best_rate(const std::vector<Contender>& contenders, double seconds,
                 const std::function<void()>& before = nullptr) {
  double best = 0;
  std::vector<int64_t> repeats;
  for (const Contender& contender : contenders) {
    int64_t count = 1;  // doubled until a batch is long enough; also the warm-up
    while (!before && seconds_of([&] { contender.run(count); }) < kBatchSeconds &&
           count < (int64_t{1} << 40))
      count *= 2;
    repeats.push_back(count);
  }
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  do {
    for (size_t i = 0; i < contenders.size(); ++i) {
      if (before) before();
      const double time = seconds_of([&] { contenders[i].run(repeats[i]); });
      best = std::max(best, contenders[i].amount * static_cast<double>(repeats[i]) / time);
    }
  } while (Clock::now() < end);
  return best;
}

// Working memory, touched by the thread that will use it.
class Memory {
 public:
  static Result<Memory> create(runtime::ThreadPool& pool, int64_t bytes_each) {
    Memory memory;
    memory.bytes_each_ = bytes_each;
    for (int i = 0; i < pool.threads(); ++i) {
      memory.blocks_.push_back(support::large_bytes(static_cast<size_t>(bytes_each)));
      if (!memory.blocks_.back()) {
        return fail(ErrorCode::resource_exhausted, "no memory for {} MiB to measure bandwidth on",
                    bytes_each * pool.threads() >> 20);
      }
    }
    pool.parallel_for(pool.threads(), [&](int64_t i, int) {
      std::memset(memory.of(i), 0, static_cast<size_t>(bytes_each));
    });
    return memory;
  }
  int64_t bytes_each() const { return bytes_each_; }
  std::byte* of(int64_t thread) { return blocks_[static_cast<size_t>(thread)].get(); }
  // The first `bytes` of each thread's.
  std::vector<ColdCaches::Bytes> spans(int64_t bytes) const {
    std::vector<ColdCaches::Bytes> spans;
    for (const support::LargeBytes& block : blocks_)
      spans.emplace_back(block.get(), static_cast<size_t>(bytes));
    return spans;
  }

 private:
  int64_t bytes_each_ = 0;
  std::vector<support::LargeBytes> blocks_;
};

// The reading loops, of every number of streams.
class ReadLoops {
 public:
  static Result<ReadLoops> create(const runtime::SelectedTarget& target) {
    ReadLoops loops;
    for (const int streams : MemoryReader::kStreams) {
      LATHE_TRY(LoadedLoop loop, load(target, read_loop(target.target, streams)));
      loops.loops_.push_back(std::move(loop));
    }
    return loops;
  }

  void read(size_t way, const std::byte* begin, int64_t bytes, int64_t repeats) const {
    const auto stream = static_cast<uint64_t>(bytes / MemoryReader::kStreams[way]);
    const uint64_t slots[] = {reinterpret_cast<uint64_t>(begin), reinterpret_cast<uint64_t>(sink),
                              stream, stream};
    for (int64_t r = 0; r < repeats; ++r) loops_[way].function(slots);
  }

 private:
  std::vector<LoadedLoop> loops_;
};

class Reader final : public MemoryReader {
 public:
  Reader(runtime::ThreadPool& pool, int64_t granule, Memory memory, ReadLoops loops)
      : pool_(pool),
        granule_(granule),
        memory_(std::move(memory)),
        spans_(memory_.spans(memory_.bytes_each())),
        loops_(std::move(loops)) {}

  int64_t part_bytes(int64_t parts) const override { return of_thread(parts) * pool_.threads(); }

  void read(size_t way, int64_t part, int64_t parts, int64_t repeats) override {
    const int64_t bytes = of_thread(parts);
    pool_.parallel_for(pool_.threads(), [&](int64_t i, int) {
      loops_.read(way, memory_.of(i) + part * bytes, bytes, repeats);
    });
  }

  std::span<const ColdCaches::Bytes> memory() const override { return spans_; }

 private:
  int64_t of_thread(int64_t parts) const {
    return memory_.bytes_each() / parts / granule_ * granule_;
  }

  runtime::ThreadPool& pool_;
  int64_t granule_;
  Memory memory_;
  std::vector<ColdCaches::Bytes> spans_;
  ReadLoops loops_;
};

// What any number of streams share without a rest.
int64_t granule_of(const runtime::SelectedTarget& target) {
  return stream_granule(target.target) * MemoryReader::kStreams.back();
}

int64_t bytes_of_thread(const runtime::SelectedTarget& target, int64_t bytes, int threads) {
  const int64_t granule = granule_of(target);
  return std::max<int64_t>(bytes / threads / granule, 1) * granule;
}

// The multiply-add loops, of several numbers of chains.
class PeakLoops {
 public:
  static Result<PeakLoops> create(const runtime::SelectedTarget& target) {
    PeakLoops peak;
    for (const int accumulators : {8, 10, 12, 16, 24}) {
      if (accumulators + 2 > target.target.vector_registers) continue;
      LATHE_TRY(LoadedLoop loop, load(target, fma_loop(target.target, accumulators)));
      peak.flops_.push_back(2048.0 * accumulators * target.target.lanes * 2);
      peak.loops_.push_back(std::move(loop));
    }
    return peak;
  }

  double measure(runtime::ThreadPool& pool, double seconds) const {
    const int threads = pool.threads();
    std::vector<Contender> contenders;
    for (size_t i = 0; i < loops_.size(); ++i) {
      const KernelFunction function = loops_[i].function;
      contenders.push_back({flops_[i] * threads, [function, threads, &pool](int64_t repeats) {
                              pool.parallel_for(threads, [=](int64_t, int) {
                                const uint64_t slots[] = {reinterpret_cast<uint64_t>(sink),
                                                          static_cast<uint64_t>(2048 * repeats)};
                                function(slots);
                              });
                            }});
    }
    return best_rate(contenders, seconds) * 1e-9;
  }

 private:
  std::vector<LoadedLoop> loops_;
  std::vector<double> flops_;  ///< of each, by one thread
};

class Meter final : public RoofMeter {
 public:
  Meter(const runtime::SelectedTarget& target, runtime::ThreadPool& pool, PeakLoops peak,
        ReadLoops read, LoadedLoop copy, LoadedLoop stream)
      : target_(target),
        pool_(pool),
        peak_(std::move(peak)),
        read_(std::move(read)),
        copy_(std::move(copy)),
        stream_(std::move(stream)) {}

  Result<Roofs> measure(const Footprint& footprint, ColdCaches* caches, double seconds) override {
    // Reading and copying have one footprint: a copy reads half of it and writes the other half.
    const int64_t each = bytes_of_thread(target_, footprint.bytes, pool_.threads());
    if (!memory_ || memory_->bytes_each() < each) {
      memory_.reset();
      LATHE_TRY(Memory memory, Memory::create(pool_, each));
      memory_.emplace(std::move(memory));
    }
    const std::vector<ColdCaches::Bytes> spans = memory_->spans(each);
    const auto cold = [&](double written_share) -> std::function<void()> {
      if (!footprint.cold || caches == nullptr) return nullptr;
      return [&spans, caches, written_share] { caches->make_cold(spans, written_share); };
    };
    Roofs roofs;
    roofs.gflops = peak_.measure(pool_, seconds * 0.25);
    const double read = best_rate(readers(each), seconds * 0.35, cold(0));
    const double copy = best_rate(copiers(each), seconds * 0.4, cold(0.5));
    // Between all reading and half writing, time per byte is taken to be linear in the written
    // share.
    const double share = std::clamp(2 * footprint.written_share, 0.0, 1.0);
    roofs.gbytes_per_s = 1e-9 / ((1 - share) / read + share / copy);
    return roofs;
  }

 private:
  std::vector<Contender> readers(int64_t each) {
    std::vector<Contender> readers;
    for (size_t way = 0; way < MemoryReader::kStreams.size(); ++way) {
      readers.push_back(on_all(each, [this, way, each](std::byte* memory, int64_t repeats) {
        read_.read(way, memory, each, repeats);
      }));
    }
    return readers;
  }

  std::vector<Contender> copiers(int64_t each) {
    const int64_t half = each / 2;
    std::vector<Contender> copiers;
    for (const KernelFunction function : {copy_.function, stream_.function}) {
      copiers.push_back(on_all(each, [function, half](std::byte* memory, int64_t repeats) {
        const uint64_t slots[] = {reinterpret_cast<uint64_t>(memory),
                                  reinterpret_cast<uint64_t>(memory + half),
                                  static_cast<uint64_t>(half)};
        for (int64_t r = 0; r < repeats; ++r) function(slots);
      }));
    }
    copiers.push_back(on_all(each, [half](std::byte* memory, int64_t repeats) {
      for (int64_t r = 0; r < repeats; ++r)
        std::memcpy(memory + half, memory, static_cast<size_t>(half));
    }));
    return copiers;
  }

  // All threads at once, each on its own memory.
  template <typename Body>
  Contender on_all(int64_t each, Body body) {
    return {static_cast<double>(each) * pool_.threads(), [this, body](int64_t repeats) {
              pool_.parallel_for(pool_.threads(),
                                 [&](int64_t i, int) { body(memory_->of(i), repeats); });
            }};
  }

  runtime::SelectedTarget target_;
  runtime::ThreadPool& pool_;
  PeakLoops peak_;
  ReadLoops read_;
  LoadedLoop copy_, stream_;
  std::optional<Memory> memory_;
};

// What all threads and each of them read in a pass: some hundreds of microseconds.
constexpr int64_t kColdBytes = int64_t{8} << 20;

}  // namespace

Footprint Footprint::of_memory(double written_share, int threads) {
  return {std::min(kColdBytes * (threads + 1), spare_for_roofs()), written_share, true};
}

Footprint Footprint::of_kernel(double bytes, double written_share, bool cold, int threads) {
  const auto spare = static_cast<double>(spare_for_roofs());
  const auto last_cache = static_cast<double>(support::host().l3_bytes);
  if (cold || bytes > std::max(last_cache, spare)) return of_memory(written_share, threads);
  return {static_cast<int64_t>(std::min(bytes, spare)), written_share, false};
}

Result<std::unique_ptr<MemoryReader>> MemoryReader::create(const runtime::SelectedTarget& target,
                                                           runtime::ThreadPool& pool,
                                                           int64_t bytes) {
  LATHE_TRY(ReadLoops loops, ReadLoops::create(target));
  LATHE_TRY(Memory memory, Memory::create(pool, bytes_of_thread(target, bytes, pool.threads())));
  return std::make_unique<Reader>(pool, granule_of(target), std::move(memory), std::move(loops));
}

Result<double> measure_peak(const runtime::SelectedTarget& target, runtime::ThreadPool& pool,
                            double seconds) {
  LATHE_TRY(const PeakLoops peak, PeakLoops::create(target));
  return peak.measure(pool, seconds);
}

Result<std::unique_ptr<RoofMeter>> RoofMeter::create(const runtime::SelectedTarget& target,
                                                     runtime::ThreadPool& pool) {
  LATHE_TRY(PeakLoops peak, PeakLoops::create(target));
  LATHE_TRY(ReadLoops read, ReadLoops::create(target));
  LATHE_TRY(LoadedLoop copy, load(target, copy_loop(target.target, false)));
  LATHE_TRY(LoadedLoop stream, load(target, copy_loop(target.target, true)));
  return std::make_unique<Meter>(target, pool, std::move(peak), std::move(read), std::move(copy),
                                 std::move(stream));
}

}  // namespace lathe::tuner
