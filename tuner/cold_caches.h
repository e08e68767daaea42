// How operands and roofs are made cold: the one place that does it, and how much memory it may
// take.
//
// The lines that the next calls will touch are evicted from all caches by address, outside what is
// timed. That alone leaves room in the caches, and memory is read faster into an empty cache than
// into a full one, so other memory is read, and changed in the proportion in which the calls write,
// until as many lines have taken the room. (Where the last cache is larger than the memory spared
// for that, this memory stays in it and leaves the room as it is; at 300 MiB, shared with others,
// no difference was seen.) The other way, operands in rotation whose bytes exceed the last cache
// several times, costs what that cache is worth: 2 GB and their page faults where it is 480 MiB.
// What stays warm are TLBs. `build/release/bin/cold` compares the two; docs/tuning.md has what it
// found.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "runtime/cpu/thread_pool.h"
#include "support/error.h"
#include "support/large_memory.h"

namespace lathe::tuner {

/// Memory that timing may take beyond one set of a kernel's own operands: 256 MiB or an eighth of
/// what memory, control groups and the process's limits leave, whichever is less.
int64_t spare_memory();
/// Its parts: what fills the caches, further sets of operands, and what roofs are measured on.
inline int64_t spare_for_filling() { return spare_memory() / 2; }
inline int64_t spare_for_sets() { return spare_memory() / 4; }
inline int64_t spare_for_roofs() { return spare_memory() / 4; }

/// Makes memory cold. Not thread-safe: one for each thread pool that times.
class ColdCaches {
 public:
  using Bytes = std::span<const std::byte>;

  /// `pool` must outlive it. unsupported on a machine without eviction; resource_exhausted where
  /// there is no memory to fill caches with.
  static Result<ColdCaches> create(runtime::ThreadPool& pool);

  /// Evicts `memory` and fills the room it leaves. `written_share`: of the bytes that the calls to
  /// come touch. All threads of the pool are awake when it returns.
  void make_cold(std::span<const Bytes> memory, double written_share);

  int64_t filler_bytes() const { return filler_bytes_; }

 private:
  ColdCaches(runtime::ThreadPool& pool, support::LargeBytes filler, int64_t bytes);
  void fill(int64_t bytes, double written_share);

  runtime::ThreadPool* pool_;
  support::LargeBytes filler_;
  int64_t filler_bytes_;
  int64_t next_ = 0;  ///< where in it the next filling begins: as long ago as can be
};

}  // namespace lathe::tuner
