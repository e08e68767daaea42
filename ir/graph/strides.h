// Walking a row-major result while following where each element lies in an operand.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace lathe::ir::graph {

/// Row-major strides of a shape, in elements.
inline std::vector<int64_t> row_major_strides(std::span<const int64_t> shape) {
  std::vector<int64_t> strides(shape.size());
  int64_t stride = 1;
  for (size_t i = shape.size(); i-- > 0;) {
    strides[i] = stride;
    stride *= shape[i];
  }
  return strides;
}

/// Strides that read `from` as if broadcast to `to`: 0 where a dimension repeats.
inline std::vector<int64_t> broadcast_strides(std::span<const int64_t> from,
                                              std::span<const int64_t> to) {
  const auto own = row_major_strides(from);
  std::vector<int64_t> strides(to.size(), 0);
  const size_t skipped = to.size() - from.size();
  for (size_t i = 0; i < from.size(); ++i) {
    if (from[i] != 1) strides[skipped + i] = own[i];
  }
  return strides;
}

/// The operand's offset for each element of the result, in the result's row-major order.
class StridedCursor {
 public:
  StridedCursor(std::span<const int64_t> shape, std::vector<int64_t> strides, int64_t start = 0)
      : shape_(shape.begin(), shape.end()),
        strides_(std::move(strides)),
        index_(shape.size(), 0),
        offset_(start) {}

  size_t offset() const { return static_cast<size_t>(offset_); }

  void advance() {
    for (size_t i = shape_.size(); i-- > 0;) {
      offset_ += strides_[i];
      if (++index_[i] < shape_[i]) return;
      offset_ -= strides_[i] * shape_[i];
      index_[i] = 0;
    }
  }

 private:
  std::vector<int64_t> shape_;
  std::vector<int64_t> strides_;
  std::vector<int64_t> index_;
  int64_t offset_;
};

/// A cursor over `to` that reads an operand of shape `from` by broadcasting.
inline StridedCursor broadcast_cursor(std::span<const int64_t> from, std::span<const int64_t> to) {
  return {to, broadcast_strides(from, to)};
}

}  // namespace lathe::ir::graph
