// A dense tensor in host memory: the currency of the reference interpreter, tests and tools.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "ir/types.h"
#include "support/large_memory.h"

namespace lathe::ir {

/// Row-major and contiguous. Block-quantised tensors have a last dimension that is a multiple of
/// the block. Storage is aligned to 64 bytes, large ones
/// in huge pages where the system grants them, as packed weights are. Not thread-safe for writers.
class Tensor {
 public:
  Tensor() = default;
  /// Zero-filled. Every dimension must be >= 0.
  Tensor(Type type, std::vector<int64_t> shape);

  Type type() const { return type_; }
  const std::vector<int64_t>& shape() const { return shape_; }
  int rank() const { return static_cast<int>(shape_.size()); }
  int64_t elements() const { return elements_; }
  int64_t bytes() const { return bytes_of(type_, elements_); }

  std::byte* data() { return storage_.empty() ? nullptr : storage_.front().bytes; }
  const std::byte* data() const { return storage_.empty() ? nullptr : storage_.front().bytes; }
  template <typename T>
  std::span<T> as() {
    return {reinterpret_cast<T*>(data()), static_cast<size_t>(bytes()) / sizeof(T)};
  }
  template <typename T>
  std::span<const T> as() const {
    return {reinterpret_cast<const T*>(data()), static_cast<size_t>(bytes()) / sizeof(T)};
  }

  /// Element `index` (row-major) as a double; dequantises the block-quantised types. i64/u64 beyond
  /// 2^53 lose their low bits here: read those through as<int64_t>().
  double at(int64_t index) const;
  /// Rounds to the element type (to nearest even; integers saturate). Not for block-quantised
  /// types.
  void set(int64_t index, double value);

 private:
  struct alignas(64) Line {
    std::byte bytes[64];
  };
  Type type_ = Type::f32;
  std::vector<int64_t> shape_;
  int64_t elements_ = 0;
  std::vector<Line, support::LargeAllocator<Line>> storage_;
};

}  // namespace lathe::ir
