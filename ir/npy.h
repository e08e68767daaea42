// NumPy's .npy files: host tensors to and from bytes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "ir/tensor.h"
#include "support/error.h"

namespace lathe::ir {

/// Reads format version 1 or 2: little endian, C order, f2 f4 f8 b1 i1 i2 i4 i8 u1 u2 u4 u8; f8 is
/// rounded to f32. Anything else is `unsupported` or `corrupt`, saying what was found; the header
/// must account for every byte, so a damaged one never allocates more than the file holds (f8:
/// half).
Result<Tensor> parse_npy(std::string_view bytes);
Result<Tensor> read_npy(const std::filesystem::path& path);

/// The same with every element widened to double; f8 stays exact.
struct DoubleArray {
  std::vector<int64_t> shape;
  std::vector<double> values;
};
Result<DoubleArray> parse_npy_doubles(std::string_view bytes);

/// Version 1 bytes. bf16 travels as its bits (u2); block-quantised tensors as bytes (u1) with the
/// last dimension counting bytes.
std::string format_npy(const Tensor& tensor);
Status write_npy(const std::filesystem::path& path, const Tensor& tensor);

/// The tensor with its bytes read as `type`, undoing what format_npy does to types that NumPy
/// lacks: u16 as bf16 (or f16), u8 as a block-quantised type. The same type passes through;
/// anything else is an invalid_argument.
Result<Tensor> reinterpret(Tensor tensor, Type type);

}  // namespace lathe::ir
