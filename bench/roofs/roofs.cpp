// C functions: how fast this machine multiplies and reads right now, reading as one of the calls
// that a benchmark times in turn, and what makes their operands cold.
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <lathe/backends.h>

#include "runtime/cpu/thread_pool.h"
#include "runtime/library/target_selection.h"
#include "tuner/cold_caches.h"
#include "tuner/roofline.h"

/// GFLOP/s of multiply-adds for `target` ("" for the widest); 0 where they cannot be measured.
extern "C" __attribute__((visibility("default"))) double lathe_bench_peak(const char* target,
                                                                          int32_t threads,
                                                                          double seconds) {
  const auto selected = lathe::runtime::select_target(lathe::default_backends(), target);
  auto pool = lathe::runtime::ThreadPool::create(threads);
  if (!selected || !pool) return 0;
  return lathe::tuner::measure_peak(*selected, *pool, seconds).value_or(0);
}

namespace {
using lathe::tuner::ColdCaches;

struct OpenReader {
  lathe::runtime::ThreadPool pool;
  std::unique_ptr<lathe::tuner::MemoryReader> reader;
  std::optional<ColdCaches> caches;
};
}  // namespace

/// About `bytes` of memory to read; nullptr where it cannot be had.
extern "C" __attribute__((visibility("default"))) void* lathe_bench_reader_open(const char* target,
                                                                                int32_t threads,
                                                                                int64_t bytes) {
  const auto selected = lathe::runtime::select_target(lathe::default_backends(), target);
  auto pool = lathe::runtime::ThreadPool::create(threads);
  if (!selected || !pool) return nullptr;
  auto open = std::make_unique<OpenReader>(OpenReader{std::move(*pool), nullptr, {}});
  auto reader = lathe::tuner::MemoryReader::create(*selected, open->pool, bytes);
  if (!reader) return nullptr;
  auto caches = ColdCaches::create(open->pool);
  if (!caches) return nullptr;
  open->reader = std::move(*reader);
  open->caches.emplace(std::move(*caches));
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

/// Makes `count` spans of memory, of none the reader's own, cold on all cores
/// (tuner/cold_caches.h).
extern "C" __attribute__((visibility("default"))) void lathe_bench_make_cold(
    void* open, const void* const* memory, const int64_t* bytes, int64_t count) {
  auto* reader = static_cast<OpenReader*>(open);
  std::vector<ColdCaches::Bytes> spans;
  for (int64_t i = 0; i < count; ++i)
    spans.emplace_back(static_cast<const std::byte*>(memory[i]), static_cast<size_t>(bytes[i]));
  reader->caches->make_cold(count == 0 ? reader->reader->memory() : spans, 0);
}

/// Bytes that timing may take for further sets of a call's operands.
extern "C" __attribute__((visibility("default"))) int64_t lathe_bench_spare_memory() {
  return lathe::tuner::spare_for_sets();
}

extern "C" __attribute__((visibility("default"))) void lathe_bench_reader_close(void* open) {
  delete static_cast<OpenReader*>(open);
}
