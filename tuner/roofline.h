// The machine's roofs, measured by kernels of our own IR in the process that times the candidates.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include "runtime/cpu/thread_pool.h"
#include "runtime/library/target_selection.h"
#include "tuner/cold_caches.h"

namespace lathe::tuner {

/// Best of several loops, all threads of the pool at once.
struct Roofs {
  double gflops = 0;        ///< multiply-adds count two
  double gbytes_per_s = 0;  ///< reading plus writing in the proportion asked for
};

/// What the bandwidth roof is measured over.
struct Footprint {
  int64_t bytes = 0;           ///< working set
  double written_share = 0.5;  ///< of the traffic
  bool cold = false;  ///< made cold before each pass: the bandwidth of memory, whatever the
                      ///< last cache holds; false: of the cache it fits
  /// Memory (cold), over as much as so many threads take long to read, within the spare memory.
  static Footprint of_memory(double written_share, int threads);
  /// For a kernel that touches so many bytes: of_memory() where it finds its operands cold or has
  /// more of them than the last cache holds, else of the caches, over as much as it touches and the
  /// spare memory allows.
  static Footprint of_kernel(double bytes, double written_share, bool cold, int threads);
};

/// Reads memory as fast as it can: programs that prefetch, of 1, 2, 4 and 8 streams a thread. For
/// who times it between other calls.
class MemoryReader {
 public:
  static constexpr std::array<int, 4> kStreams = {1, 2, 4, 8};

  /// Over about `bytes` of touched memory, shared out among the pool's threads. Both must outlive
  /// it. resource_exhausted where there is not so much memory.
  static Result<std::unique_ptr<MemoryReader>> create(const runtime::SelectedTarget& target,
                                                      runtime::ThreadPool& pool, int64_t bytes);
  virtual ~MemoryReader() = default;

  /// Bytes of each of `parts` equal parts, as rounded.
  virtual int64_t part_bytes(int64_t parts) const = 0;
  /// Reads one part, all threads at once, `repeats` times; `way`: of kStreams.
  virtual void read(size_t way, int64_t part, int64_t parts, int64_t repeats = 1) = 0;
  /// Where it lies, to be made cold.
  virtual std::span<const ColdCaches::Bytes> memory() const = 0;
};

/// The peak alone: GFLOP/s of multiply-adds, measured for about `seconds`.
Result<double> measure_peak(const runtime::SelectedTarget& target, runtime::ThreadPool& pool,
                            double seconds);

/// Measures roofs for one target and pool, which must outlive it; keeps loops and memory from one
/// time to the next. Not thread-safe.
class RoofMeter {
 public:
  static Result<std::unique_ptr<RoofMeter>> create(const runtime::SelectedTarget& target,
                                                   runtime::ThreadPool& pool);
  virtual ~RoofMeter() = default;

  /// Measures for about `seconds`, and at least one pass of each way. Prefetching readers of 1, 2,
  /// 4 and 8 streams, and copies with and without streaming stores. `caches`: for cold footprints.
  /// resource_exhausted where there is not so much memory.
  virtual Result<Roofs> measure(const Footprint& footprint, ColdCaches* caches, double seconds) = 0;
};

}  // namespace lathe::tuner
