// Storage and element access of host tensors.
#include "ir/tensor.h"

#include <bit>
#include <cassert>
#include <cmath>
#include <limits>
#include <utility>

#include "ir/gguf_blocks.h"
#include "ir/half.h"

namespace lathe::ir {
namespace {

template <typename T>
T saturate(double value) {
  if (std::isnan(value)) return 0;
  const double rounded = std::nearbyint(value);
  // 2^digits is exact in double for every type, also where max() itself is not.
  if (rounded >= std::ldexp(1.0, std::numeric_limits<T>::digits)) {
    return std::numeric_limits<T>::max();
  }
  if (rounded <= static_cast<double>(std::numeric_limits<T>::min())) {
    return std::numeric_limits<T>::min();
  }
  return static_cast<T>(rounded);
}

}  // namespace

Tensor::Tensor(Type type, std::vector<int64_t> shape)
    : type_(type), shape_(std::move(shape)), elements_(1) {
  for ([[maybe_unused]] int64_t dim : shape_) {
    assert(dim >= 0 && "a dimension below zero");
    elements_ *= dim;
  }
  assert((info(type).block_elements == 1 || shape_.empty() ||
          shape_.back() % info(type).block_elements == 0) &&
         "a row that ends inside a block");
  storage_.resize(static_cast<size_t>((bytes() + 63) / 64));
}

double Tensor::at(int64_t index) const {
  assert(index >= 0 && index < elements_);
  const auto i = static_cast<size_t>(index);
  switch (type_) {
    case Type::f32: return static_cast<double>(as<float>()[i]);
    case Type::f16: return static_cast<double>(f16_to_float(as<uint16_t>()[i]));
    case Type::bf16: return static_cast<double>(bf16_to_float(as<uint16_t>()[i]));
    case Type::boolean: return as<uint8_t>()[i] != 0 ? 1.0 : 0.0;
    case Type::i8: return as<int8_t>()[i];
    case Type::u8: return as<uint8_t>()[i];
    case Type::i16: return as<int16_t>()[i];
    case Type::u16: return as<uint16_t>()[i];
    case Type::i32: return as<int32_t>()[i];
    case Type::u32: return as<uint32_t>()[i];
    case Type::i64: return static_cast<double>(as<int64_t>()[i]);
    case Type::u64: return static_cast<double>(as<uint64_t>()[i]);
    case Type::q8_0:
    case Type::q4_0:
    case Type::q4_K: {
      const int block = info(type_).block_elements;
      return static_cast<double>(
          dequantize_element(type_, data() + index / block * info(type_).block_bytes,
                             static_cast<int>(index % block)));
    }
  }
  return 0;
}

void Tensor::set(int64_t index, double value) {
  assert(index >= 0 && index < elements_);
  const auto i = static_cast<size_t>(index);
  switch (type_) {
    case Type::f32: as<float>()[i] = static_cast<float>(value); return;
    case Type::f16: as<uint16_t>()[i] = double_to_f16(value); return;
    case Type::bf16: as<uint16_t>()[i] = double_to_bf16(value); return;
    case Type::boolean: as<uint8_t>()[i] = value != 0 ? 1 : 0; return;
    case Type::i8: as<int8_t>()[i] = saturate<int8_t>(value); return;
    case Type::u8: as<uint8_t>()[i] = saturate<uint8_t>(value); return;
    case Type::i16: as<int16_t>()[i] = saturate<int16_t>(value); return;
    case Type::u16: as<uint16_t>()[i] = saturate<uint16_t>(value); return;
    case Type::i32: as<int32_t>()[i] = saturate<int32_t>(value); return;
    case Type::u32: as<uint32_t>()[i] = saturate<uint32_t>(value); return;
    case Type::i64: as<int64_t>()[i] = saturate<int64_t>(value); return;
    case Type::u64: as<uint64_t>()[i] = saturate<uint64_t>(value); return;
    case Type::q8_0:
    case Type::q4_0:
    case Type::q4_K: assert(false && "elements of a block-quantised tensor cannot be set alone");
  }
}

}  // namespace lathe::ir
