// Views of tensors that somebody else owns: the arguments of every kernel call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>

namespace lathe {

/// What one element is. The numbers are part of the C interface. Block-quantised types are laid out
/// as in GGUF; their shapes count values, not blocks.
enum class DataType : uint8_t {
  f32 = 0,
  f16 = 1,
  bf16 = 2,
  boolean = 3,
  i8 = 4,
  u8 = 5,
  i16 = 6,
  u16 = 7,
  i32 = 8,
  u32 = 9,
  i64 = 10,
  u64 = 11,
  q8_0 = 12,
  q4_0 = 13,
  q4_K = 14,
};

/// Pointer, type, shape and strides (in elements; of the last dimension 1). Cheap to copy; owns
/// nothing. A shape of more than kMaxRank dimensions sets rank to -1, which every call refuses.
struct TensorView {
  static constexpr int kMaxRank = 6;

  void* data = nullptr;
  DataType type = DataType::f32;
  int rank = 0;
  int64_t shape[kMaxRank] = {};
  int64_t strides[kMaxRank] = {};

  TensorView() = default;

  /// Contiguous, row-major.
  TensorView(void* pointer, DataType element, std::initializer_list<int64_t> sizes)
      : TensorView(pointer, element, sizes.begin(), static_cast<int>(sizes.size())) {}
  TensorView(const float* pointer, std::initializer_list<int64_t> sizes)
      : TensorView(const_cast<float*>(pointer), DataType::f32, sizes) {}
  TensorView(const int32_t* pointer, std::initializer_list<int64_t> sizes)
      : TensorView(const_cast<int32_t*>(pointer), DataType::i32, sizes) {}

  TensorView(void* pointer, DataType element, const int64_t* sizes, int dimensions)
      : data(pointer), type(element), rank(dimensions) {
    if (dimensions < 0 || dimensions > kMaxRank) {
      rank = -1;
      return;
    }
    // Wraps around where no memory has so many elements, which calls refuse.
    uint64_t stride = 1;
    for (int i = dimensions - 1; i >= 0; --i) {
      shape[i] = sizes[i];
      strides[i] = static_cast<int64_t>(stride);
      stride *= static_cast<uint64_t>(sizes[i]);
    }
  }
};

}  // namespace lathe
