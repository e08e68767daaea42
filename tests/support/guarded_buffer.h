// Memory with a page on each side that faults on any access.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace lathe::tests {

/// `bytes` of zeroed memory whose one end touches a page that faults on any access; the other end
/// is followed by filler bytes up to the page, which intact() watches. An access past either end
/// within a page is found: by a fault, or as damage where it was a write.
class GuardedBuffer {
 public:
  enum class Side : uint8_t {
    after,   ///< the byte after the last faults
    before,  ///< the byte before the first faults
  };
  /// The start is aligned to `alignment` (a power of two up to 4096); Side::after then needs
  /// `bytes` to be a multiple of it for the end to touch the page, and leaves a gap otherwise.
  explicit GuardedBuffer(size_t bytes, Side side = Side::after, size_t alignment = 1);
  GuardedBuffer(GuardedBuffer&& other) noexcept;
  GuardedBuffer& operator=(GuardedBuffer&&) = delete;
  ~GuardedBuffer();

  std::byte* data() { return data_; }
  size_t size() const { return bytes_; }
  std::span<std::byte> span() { return {data_, bytes_}; }

  /// Whether nobody wrote into the filler around the data.
  bool intact() const;

 private:
  std::byte* mapping_ = nullptr;
  size_t mapped_ = 0, usable_ = 0;
  std::byte* data_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace lathe::tests
