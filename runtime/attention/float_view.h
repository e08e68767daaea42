// Reading elements of views of floats.
#pragma once

#include <cstddef>
#include <cstring>

#include <lathe/tensor_view.h>

#include "ir/half.h"

namespace lathe::runtime {

inline bool is_float(DataType type) {
  return type == DataType::f32 || type == DataType::f16 || type == DataType::bf16;
}

/// The element at `offset`, counted in elements, of a view of f32, f16 or bf16.
inline double number_at(const TensorView& x, int64_t offset) {
  const auto* bytes = static_cast<const std::byte*>(x.data);
  if (x.type == DataType::f32) {
    float value = 0;
    std::memcpy(&value, bytes + offset * 4, sizeof value);
    return static_cast<double>(value);
  }
  uint16_t bits = 0;
  std::memcpy(&bits, bytes + offset * 2, sizeof bits);
  return static_cast<double>(x.type == DataType::f16 ? ir::f16_to_float(bits)
                                                     : ir::bf16_to_float(bits));
}

}  // namespace lathe::runtime
