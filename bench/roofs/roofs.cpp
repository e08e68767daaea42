// One C function: how fast this machine multiplies and reads right now.
#include <algorithm>
#include <cstdint>

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
