// Some rows at a time, where the distance between them is known when the program runs.
#pragma once

#include <functional>
#include <vector>

#include "ir/program/builder.h"

namespace lathe::compiler::kernels::attention {

/// Rows one after the other.
class FarRows {
 public:
  FarRows(ir::program::Builder& b, ir::program::Pointer first, int count,
          ir::program::Scalar stride)
      : b_(b) {
    rows_.push_back(b.copy(first));
    for (int i = 1; i < count; ++i) rows_.push_back(b.offset(rows_.back(), stride));
  }
  ir::program::Pointer at(int row) const { return rows_[static_cast<size_t>(row)]; }
  const std::vector<ir::program::Pointer>& all() const { return rows_; }
  /// Moves all of them.
  void advance(ir::program::Count bytes) const {
    for (const ir::program::Pointer& row : rows_) b_.advance(row, bytes);
  }

 private:
  ir::program::Builder& b_;
  std::vector<ir::program::Pointer> rows_;
};

/// Calls `some` for as many as `most` of `count` at once, then for what is left, one by one.
inline void some_at_once(ir::program::Builder& b, ir::program::Scalar count, int most,
                         const std::function<void(int)>& some) {
  const ir::program::Scalar whole = b.div(count, most);
  b.loop(0, whole, 1, [&](ir::program::Scalar) { some(most); });
  if (most > 1)
    b.loop(0, b.sub(count, b.mul(whole, most)), 1, [&](ir::program::Scalar) { some(1); });
}

}  // namespace lathe::compiler::kernels::attention
