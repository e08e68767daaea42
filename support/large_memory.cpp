// Aligned allocation with advice to the kernel about its pages.
#include "support/large_memory.h"

#include <cstdlib>

#include <sys/mman.h>

namespace lathe::support {
namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kHugePage = size_t{2} << 20;

}  // namespace

void* allocate_large(size_t bytes) noexcept {
  const bool large = bytes >= kLargeBytes;
  const size_t alignment = large ? kHugePage : kAlignment;
  if (bytes > SIZE_MAX - alignment) return nullptr;
  // A huge page that the array fills only in part is shared with nobody: whole ones.
  void* memory = std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
  // Advice: where it is refused, small pages serve as well.
  if (memory != nullptr && large)
    (void)madvise(memory, bytes / kHugePage * kHugePage, MADV_HUGEPAGE);
  return memory;
}

void free_large(void* memory) noexcept { std::free(memory); }

}  // namespace lathe::support
