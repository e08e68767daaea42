// The reference interpreter's own tensors: doubles for floats, 64-bit integers for integers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "ir/tensor.h"
#include "ir/types.h"
#include "support/error.h"

namespace lathe::ir::graph {

/// A dense row-major tensor whose floats have not been rounded to their element type.
struct Array {
  Type type = Type::f32;
  std::vector<int64_t> shape;
  std::vector<double> reals;      ///< float types, and dequantised values of block-quantised types
  std::vector<int64_t> integers;  ///< bool and integer types, wrapped to the type; u64 as its bits
  std::vector<std::byte> blocks;  ///< block-quantised types: the GGUF blocks

  /// Zero-filled storage of the kind that `type` uses (none for blocks).
  static Array zeros(Type type, std::vector<int64_t> shape);
  int64_t elements() const;
  bool is_real() const { return info(type).is_float; }
};

/// Widens; exact for every type.
Array to_array(const Tensor& tensor);

/// Rounds floats to the element type (once, to nearest even); exact for integers and blocks.
Tensor to_tensor(const Array& array);

/// `value` rounded to a float type and widened again.
double round_to(Type type, double value);

/// The low bits of `value` as an integer type sees them (two's complement), widened to 64 bits;
/// bool becomes 0 or 1.
int64_t wrap_to(Type type, int64_t value);

/// Copies `count` elements of `from`, the first at `first`, to `to` from `target` on: values, and
/// blocks where both arrays have them, whose elements are then whole blocks.
void copy_elements(const Array& from, size_t first, size_t count, Array& to, size_t target);

/// Values as doubles, whatever the type.
std::vector<double> to_doubles(const Array& array);

}  // namespace lathe::ir::graph
