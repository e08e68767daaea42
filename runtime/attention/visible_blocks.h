// Which blocks of keys a block of tokens may see, and which of these are kept always.
#pragma once

#include <algorithm>
#include <cstdint>

#include <lathe/routing.h>

namespace lathe::runtime {

inline int64_t blocks_of(int64_t count, int64_t block) {
  return count / block + (count % block > 0 ? 1 : 0);
}

/// Of one block of tokens: it may see the blocks before `end`; those before `sinks_end`, and those
/// from `local_begin` to `local_end`, are kept always.
struct VisibleBlocks {
  VisibleBlocks(const BlockSelection& s, int64_t query_block) {
    const int64_t all = blocks_of(s.context, s.block);
    const int64_t shift = s.causal == Attention::Causal::end ? s.context - s.tokens : 0;
    const int64_t first = query_block * s.block + shift;
    const int64_t last = std::min((query_block + 1) * s.block, s.tokens) - 1 + shift;
    // A token may stand before the first key, or behind the last.
    const auto block_at = [&](int64_t key) {
      return std::clamp<int64_t>(key < 0 ? -1 : key / s.block, -1, all - 1);
    };
    local_end = block_at(last) + 1;
    end = s.causal == Attention::Causal::none ? all : local_end;
    local_begin = std::max<int64_t>(std::min(block_at(first), local_end - s.local), 0);
    local_begin = std::min(local_begin, local_end);
    sinks_end = std::min(s.sinks, end);
  }
  bool is_kept(int64_t block) const {
    return block < sinks_end || (block >= local_begin && block < local_end);
  }
  int64_t count_kept() const {
    return sinks_end + std::max<int64_t>(local_end - std::max(local_begin, sinks_end), 0);
  }

  int64_t end = 0;
  int64_t sinks_end = 0, local_begin = 0, local_end = 0;
};

}  // namespace lathe::runtime
