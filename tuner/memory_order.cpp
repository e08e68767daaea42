// Strides by order, and copies row by row.
#include "tuner/memory_order.h"

#include <algorithm>
#include <cstring>
#include <functional>

namespace lathe::tuner {
namespace {

constexpr uintptr_t kAlignment = 64;

// Calls visit(row, place): rows count up in the shape's order, `place` is the row's first element.
void for_each_row(const TensorView& view, const std::function<void(int64_t, int64_t)>& visit) {
  int64_t rows = 1;
  for (int k = 0; k + 1 < view.rank; ++k) rows *= view.shape[k];
  std::vector<int64_t> index(static_cast<size_t>(view.rank));
  int64_t place = 0;
  for (int64_t row = 0; row < rows; ++row) {
    visit(row, place);
    for (int k = view.rank - 2; k >= 0; --k) {
      int64_t& here = index[static_cast<size_t>(k)];
      place += view.strides[k];
      if (++here < view.shape[k]) break;
      place -= here * view.strides[k];
      here = 0;
    }
  }
}

}  // namespace

std::vector<int64_t> strides_in(const std::vector<int>& order, const std::vector<int64_t>& shape,
                                int64_t padding) {
  const auto rank = shape.size();
  std::vector<int64_t> strides(rank);
  int64_t step = 1;
  for (size_t i = rank; i-- > 0;) {
    const size_t dimension = order.empty() ? i : static_cast<size_t>(order[i]);
    strides[dimension] = step;
    step *= shape[dimension];
    if (i + 1 == rank && rank > 1) step += padding;
  }
  return strides;
}

TensorView view_in(const std::vector<int>& order, ir::Tensor& memory) {
  TensorView view(memory.data(), static_cast<DataType>(memory.type()), memory.shape().data(),
                  memory.rank());
  const std::vector<int64_t> strides = strides_in(order, memory.shape());
  std::copy(strides.begin(), strides.end(), view.strides);
  return view;
}

ir::Tensor row_major(const TensorView& view) {
  const auto type = static_cast<ir::Type>(view.type);
  ir::Tensor tensor(type, std::vector<int64_t>(view.shape, view.shape + view.rank));
  const int64_t row_bytes = ir::bytes_of(type, view.rank == 0 ? 1 : view.shape[view.rank - 1]);
  if (row_bytes == 0) return tensor;
  const auto* from = static_cast<const std::byte*>(view.data);
  for_each_row(view, [&](int64_t row, int64_t place) {
    std::memcpy(tensor.data() + row * row_bytes, from + ir::bytes_of(type, place),
                static_cast<size_t>(row_bytes));
  });
  return tensor;
}

LaidOut lay_out(const ir::Tensor& tensor, const std::vector<int>& order, int64_t padding) {
  LaidOut result;
  const ir::Type type = tensor.type();
  result.view =
      TensorView(nullptr, static_cast<DataType>(type), tensor.shape().data(), tensor.rank());
  const std::vector<int64_t> strides = strides_in(order, tensor.shape(), padding);
  std::copy(strides.begin(), strides.end(), result.view.strides);
  const int64_t row = tensor.rank() == 0 ? 1 : tensor.shape().back();
  const int64_t rows = row == 0 ? 0 : tensor.elements() / row;
  const int64_t row_bytes = ir::bytes_of(type, row);
  const int64_t each = ir::bytes_of(type, tensor.rank() < 2 ? row : row + padding);
  result.storage.resize(static_cast<size_t>(rows * each) + kAlignment);
  std::byte* start = result.storage.data();
  start += (kAlignment - reinterpret_cast<uintptr_t>(start) % kAlignment) % kAlignment;
  result.view.data = start;
  if (rows == 0) return result;
  for_each_row(result.view, [&](int64_t number, int64_t place) {
    std::memcpy(start + ir::bytes_of(type, place), tensor.data() + number * row_bytes,
                static_cast<size_t>(row_bytes));
  });
  return result;
}

}  // namespace lathe::tuner
