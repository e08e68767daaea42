// C functions: how fast this machine multiplies and reads right now, and reading as one of the
// calls that a benchmark times in turn.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>

#include <lathe/backends.h>

#include "runtime/target_selection.h"
#include "runtime/thread_pool.h"
#include "support/hardware.h"
#include "tuner/roofline.h"

/// GFLOP/s of multiply-adds and GB/s of reading what no cache holds, for `target` ("" for the
/// widest); false where they cannot be measured.
extern "C" __attribute__((visibility("default"))) bool lathe_bench_roofs(
    const char* target, int32_t threads, double seconds, double* gflops, double* gbytes_per_s) {
  const auto selected = lathe::runtime::select_target(lathe::default_backends(), target);
  auto pool = lathe::runtime::ThreadPool::create(threads);
  if (!selected || !pool) return false;
  lathe::tuner::Footprint footprint;
  footprint.bytes = std::max<int64_t>(4 * lathe::support::host().l3_bytes, 64 << 20);
  footprint.written_share = 0;
  const auto roofs = lathe::tuner::measure_roofs(*selected, *pool, footprint, seconds);
  if (!roofs) return false;
  *gflops = roofs->gflops;
  *gbytes_per_s = roofs->gbytes_per_s;
  return true;
}

namespace {
struct OpenReader {
  lathe::runtime::ThreadPool pool;
  std::unique_ptr<lathe::tuner::MemoryReader> reader;
};
}  // namespace

/// About `bytes` of memory to read; nullptr where it cannot be had.
extern "C" __attribute__((visibility("default"))) void* lathe_bench_reader_open(const char* target,
                                                                                int32_t threads,
                                                                                int64_t bytes) {
  const auto selected = lathe::runtime::select_target(lathe::default_backends(), target);
  auto pool = lathe::runtime::ThreadPool::create(threads);
  if (!selected || !pool) return nullptr;
  auto open = std::make_unique<OpenReader>(OpenReader{std::move(*pool), nullptr});
  auto reader = lathe::tuner::MemoryReader::create(*selected, open->pool, bytes);
  if (!reader) return nullptr;
  open->reader = std::move(*reader);
  return open.release();
}

/// Reads one of so many equal parts once and returns its bytes; `way`: 0 to 3, of 1, 2, 4 and 8
/// streams a thread.
extern "C" __attribute__((visibility("default"))) int64_t lathe_bench_reader_read(void* open,
                                                                                  int32_t way,
                                                                                  int64_t part,
                                                                                  int64_t parts) {
  const auto& reader = static_cast<OpenReader*>(open)->reader;
  reader->read(static_cast<size_t>(way), part, parts);
  return reader->part_bytes(parts);
}

extern "C" __attribute__((visibility("default"))) void lathe_bench_reader_close(void* open) {
  delete static_cast<OpenReader*>(open);
}
