// Making memory cold: dropping cache lines by address.
#pragma once

#include <cstddef>

namespace lathe::support {

/// Whether evict() can do what it says on this architecture (x86-64 and 64-bit Arm).
bool can_evict();

/// Drops the lines that hold [memory, memory + bytes) from every cache of every core; what was
/// changed is written back first, and nothing else changes. When it returns, the next access goes
/// to memory. TLBs keep their entries: an access to evicted memory still finds its page. Does
/// nothing where !can_evict(). Thread-safe.
///
/// x86: clflushopt, which overlaps with its like, or clflush where that is all there is (Intel SDM
/// vol. 2A); Arm: dc civac (Arm ARM C6.2).
void evict(const void* memory, size_t bytes);

}  // namespace lathe::support
