// The shadow memory of the race check.
#include "ir/plan/race_check.h"

#include <algorithm>
#include <functional>

namespace lathe::ir::plan {

void RaceCheck::watch(const std::byte* data, int64_t bytes) {
  if (data == nullptr || bytes <= 0) return;
  // Merges with every region that it overlaps.
  const std::less<> before;
  Region merged{data, data + bytes, {}};
  std::erase_if(regions_, [&](const Region& region) {
    if (!before(region.begin, merged.end) || !before(merged.begin, region.end)) return false;
    merged.begin = std::min(merged.begin, region.begin, before);
    merged.end = std::max(merged.end, region.end, before);
    return true;
  });
  merged.shadow.resize(static_cast<size_t>(merged.end - merged.begin));
  regions_.push_back(std::move(merged));
}

void RaceCheck::begin_loop() { first_ = now_ + 1; }
void RaceCheck::begin_iteration() { ++now_; }

RaceCheck::Byte* RaceCheck::shadow(const std::byte* at) {
  const std::less<> before;
  for (Region& region : regions_)
    if (!before(at, region.begin) && before(at, region.end))
      return &region.shadow[static_cast<size_t>(at - region.begin)];
  return nullptr;
}

// `conflict` notes the access in a byte's shadow and returns the other iteration, or 0.
template <typename F>
std::optional<RaceCheck::Race> RaceCheck::scan(const std::byte* at, int64_t bytes, bool writes,
                                               F conflict) {
  Byte* const byte = shadow(at);
  if (byte == nullptr) return std::nullopt;
  for (int64_t i = 0; i < bytes; ++i) {
    const bool other_writes = byte[i].writer >= first_ && byte[i].writer != now_;
    const uint32_t other = conflict(byte[i]);
    if (other == 0) continue;
    Race race{other - first_, now_ - first_, other_writes, writes, i, 1};
    while (i + race.bytes < bytes && conflict(byte[i + race.bytes]) == other) ++race.bytes;
    return race;
  }
  return std::nullopt;
}

std::optional<RaceCheck::Race> RaceCheck::read(const std::byte* at, int64_t bytes) {
  return scan(at, bytes, /*writes=*/false, [&](Byte& byte) -> uint32_t {
    if (byte.writer >= first_ && byte.writer != now_) return byte.writer;
    if (byte.reader < first_) {
      byte.reader = now_;
    } else if (byte.reader != now_) {
      byte.other_reader = now_;
    }
    return 0;
  });
}

std::optional<RaceCheck::Race> RaceCheck::wrote(const std::byte* at, int64_t bytes) {
  return scan(at, bytes, /*writes=*/true, [&](Byte& byte) -> uint32_t {
    for (const uint32_t other : {byte.writer, byte.reader, byte.other_reader})
      if (other >= first_ && other != now_) return other;
    byte.writer = now_;
    return 0;
  });
}

}  // namespace lathe::ir::plan
