// Tensors whose dimensions lie in memory in another order than in their shape, or with gaps between
// rows; a row is the last dimension, which lies together.
#pragma once

#include <cstdint>
#include <vector>

#include <lathe/tensor_view.h>

#include "ir/tensor.h"

namespace lathe::tuner {

/// The strides, in elements, of dimensions that lie in this order from the outermost to the
/// innermost, the last of the shape; an empty order is that of the shape. Of rank 2 and more rows
/// are `padding` elements apart.
std::vector<int64_t> strides_in(const std::vector<int>& order, const std::vector<int64_t>& shape,
                                int64_t padding = 0);

/// The tensor's memory as one of the same shape in this order.
TensorView view_in(const std::vector<int>& order, ir::Tensor& memory);

/// A copy of what a view sees, row-major.
ir::Tensor row_major(const TensorView& view);

/// A tensor's elements laid out anew; `view` looks at them.
struct LaidOut {
  std::vector<std::byte> storage;
  TensorView view;
};
LaidOut lay_out(const ir::Tensor& tensor, const std::vector<int>& order, int64_t padding);

}  // namespace lathe::tuner
