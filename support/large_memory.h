// Memory for large arrays, in huge pages where the system grants them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

namespace lathe::support {

/// From this size on huge pages are asked for: a walk through 4 KiB pages costs a matrix-vector
/// product a fifth of the bandwidth, and smaller arrays stay within what the TLB knows.
inline constexpr size_t kLargeBytes = size_t{4} << 20;

/// At least 64-byte aligned, uninitialised; nullptr where there is none. Large arrays are mappings
/// of their own: memory that malloc hands out again keeps the small pages it was first touched in.
/// Thread-safe.
void* allocate_large(size_t bytes) noexcept;
/// `bytes`: what was asked for.
void free_large(void* memory, size_t bytes) noexcept;

struct FreeLarge {
  size_t bytes = 0;
  void operator()(void* memory) const noexcept { free_large(memory, bytes); }
};
using LargeBytes = std::unique_ptr<std::byte, FreeLarge>;

/// Owned; empty where there is no memory.
inline LargeBytes large_bytes(size_t bytes) noexcept {
  return {static_cast<std::byte*>(allocate_large(bytes)), FreeLarge{bytes}};
}

/// For arrays that live long, as a model's weights do: those too small for huge pages of their own
/// lie side by side in mappings of kSlabBytes, each of which goes with the last of its arrays. At
/// least 64-byte aligned, uninitialised, not touched yet; empty where there is no memory.
/// Thread-safe.
std::shared_ptr<void> share_large(size_t bytes);
inline constexpr size_t kSlabBytes = size_t{32} << 20;
inline constexpr size_t kLeastSlabArray = size_t{256} << 10;  ///< smaller ones come from malloc

/// allocate_large() for standard containers. Throws std::bad_alloc.
template <typename T>
struct LargeAllocator {
  using value_type = T;
  LargeAllocator() = default;
  template <typename U>
  LargeAllocator(const LargeAllocator<U>&) {}  // NOLINT: containers convert allocators
  T* allocate(size_t count) {
    if (count > SIZE_MAX / sizeof(T)) throw std::bad_array_new_length();
    void* memory = allocate_large(count * sizeof(T));
    if (memory == nullptr) throw std::bad_alloc();
    return static_cast<T*>(memory);
  }
  void deallocate(T* memory, size_t count) { free_large(memory, count * sizeof(T)); }
  template <typename U>
  bool operator==(const LargeAllocator<U>&) const {
    return true;
  }
};

}  // namespace lathe::support
