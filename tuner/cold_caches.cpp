// Eviction, then lines of other memory in the room it leaves.
#include "tuner/cold_caches.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>

#include "support/evict.h"
#include "support/hardware.h"

namespace lathe::tuner {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int64_t kMostSpare = int64_t{256} << 20;
constexpr int64_t kShareOfFree = 8;
/// Of the last cache: memory that comes round again after so much has been pushed out by then.
constexpr int64_t kCacheMultiple = 3;
constexpr int64_t kLeastFiller = int64_t{8} << 20;
constexpr int64_t kLine = 64;
constexpr auto kLatestWorker = std::chrono::microseconds(500);

/// Each thread's share of the filling, in pieces that are whole lines.
int64_t lines_of(int64_t bytes, int threads) { return bytes / kLine / threads; }

}  // namespace

int64_t spare_memory() { return std::min(kMostSpare, support::available_memory() / kShareOfFree); }

Result<ColdCaches> ColdCaches::create(runtime::ThreadPool& pool) {
  if (!support::can_evict()) {
    return fail(ErrorCode::unsupported,
                "caches cannot be evicted on this architecture; time with warm caches");
  }
  const int64_t wanted = std::max(kCacheMultiple * support::host().l3_bytes, kLeastFiller);
  const int64_t bytes = std::max(std::min(wanted, spare_for_filling()), kLine) / kLine * kLine;
  support::LargeBytes filler = support::large_bytes(static_cast<size_t>(bytes));
  if (!filler) {
    return fail(ErrorCode::resource_exhausted, "no memory for {} MiB to fill caches with",
                bytes >> 20);
  }
  std::memset(filler.get(), 0, static_cast<size_t>(bytes));
  return ColdCaches(pool, std::move(filler), bytes);
}

ColdCaches::ColdCaches(runtime::ThreadPool& pool, support::LargeBytes filler, int64_t bytes)
    : pool_(&pool), filler_(std::move(filler)), filler_bytes_(bytes) {}

void ColdCaches::make_cold(std::span<const Bytes> memory, double written_share) {
  int64_t evicted = 0;
  for (const Bytes& bytes : memory) {
    support::evict(bytes.data(), bytes.size());
    evicted += static_cast<int64_t>(bytes.size());
  }
  // Twice as many lines as have gone: replacement is not exact, and the cores' own caches are full
  // of what was there last.
  const support::Hardware& host = support::host();
  const int64_t cores = pool_->threads() * host.l2_bytes;
  const int64_t wanted = std::min(2 * evicted + cores, 2 * host.l3_bytes + cores);
  fill(std::min(std::max(wanted, kLeastFiller), filler_bytes_), written_share);
}

void ColdCaches::fill(int64_t bytes, double written_share) {
  const int threads = pool_->threads();
  const int64_t lines = lines_of(bytes, threads);
  const auto written = static_cast<int64_t>(std::clamp(written_share, 0.0, 1.0) * 16);
  if (next_ + bytes > filler_bytes_) next_ = 0;
  std::byte* begin = filler_.get() + next_;
  next_ += bytes;
  std::atomic<int> done = 0;
  pool_->parallel_for(threads, [&](int64_t thread, int) {
    volatile std::byte* line = begin + thread * lines * kLine;
    for (int64_t i = 0; i < lines; ++i, line += kLine) {
      const std::byte value = *line;
      if (i % 16 < written) *line = value;
    }
    // Workers that sleep would be part of the first call's time.
    done.fetch_add(1);
    const auto begin = Clock::now();
    while (done.load() < threads && Clock::now() - begin < kLatestWorker) {
    }
  });
}

}  // namespace lathe::tuner
