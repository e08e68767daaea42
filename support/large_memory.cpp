// Large arrays as mappings of their own, small ones from malloc.
#include "support/large_memory.h"

#include <cstdlib>
#include <mutex>
#include <utility>

#include <sys/mman.h>

namespace lathe::support {
namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kHugePage = size_t{2} << 20;

size_t rounded(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }

// A mapping begins at any page: one longer by a huge page holds an aligned one, and the rest goes
// back.
void* map_huge(size_t bytes) noexcept {
  const size_t size = rounded(bytes, kHugePage);
  void* base =
      ::mmap(nullptr, size + kHugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base == MAP_FAILED) return nullptr;
  const auto address = reinterpret_cast<uintptr_t>(base);
  const size_t before = rounded(address, kHugePage) - address;
  auto* memory = static_cast<std::byte*>(base) + before;
  if (before > 0) (void)::munmap(base, before);
  if (before < kHugePage) (void)::munmap(memory + size, kHugePage - before);
  // Advice: where it is refused, small pages serve as well.
  (void)::madvise(memory, size, MADV_HUGEPAGE);
  return memory;
}

// Arrays one after the other in a mapping.
struct Slab {
  LargeBytes memory;
  size_t used = 0;
};

}  // namespace

void* allocate_large(size_t bytes) noexcept {
  if (bytes > SIZE_MAX - 2 * kHugePage) return nullptr;
  if (bytes >= kLargeBytes) return map_huge(bytes);
  return std::aligned_alloc(kAlignment, rounded(bytes, kAlignment));
}

void free_large(void* memory, size_t bytes) noexcept {
  if (memory != nullptr && bytes >= kLargeBytes) {
    (void)::munmap(memory, rounded(bytes, kHugePage));
  } else {
    std::free(memory);
  }
}

std::shared_ptr<void> share_large(size_t bytes) {
  if (bytes < kLeastSlabArray || bytes > kSlabBytes / 4) return large_bytes(bytes);
  static std::mutex mutex;
  static std::weak_ptr<Slab> current;
  const std::lock_guard lock(mutex);
  std::shared_ptr<Slab> slab = current.lock();
  const size_t size = rounded(bytes, kAlignment);
  if (!slab || kSlabBytes - slab->used < size) {
    slab = std::make_shared<Slab>(Slab{large_bytes(kSlabBytes)});
    if (!slab->memory) return nullptr;
    current = slab;
  }
  std::byte* array = slab->memory.get() + slab->used;
  slab->used += size;
  return {std::move(slab), array};
}

}  // namespace lathe::support
