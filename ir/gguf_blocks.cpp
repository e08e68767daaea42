// Quantisation and dequantisation of GGUF blocks, written from the format's definition.
#include "ir/gguf_blocks.h"

#include <cassert>
#include <cmath>
#include <cstring>
#include <limits>

#include "ir/gguf_bytes.h"
#include "ir/gguf_q4_k.h"

namespace lathe::ir {
namespace {

constexpr int kBlock = 32;

// The element that is largest in magnitude (the first of equals), or NaN if any is not finite.
float extreme(const float* x) {
  float result = 0;
  for (int i = 0; i < kBlock; ++i) {
    if (!std::isfinite(x[i])) return std::numeric_limits<float>::quiet_NaN();
    if (std::fabs(x[i]) > std::fabs(result)) result = x[i];
  }
  return result;
}

// 1/d overflows for the smallest d, whose f16 form is zero: the codes no longer matter then.
float finite_or_zero(float value) { return std::isfinite(value) ? value : 0.0F; }

void quantize_q8_0(const float* x, std::byte* block) {
  const float d = std::fabs(extreme(x)) / 127.0F;
  const float inverse = d != 0 ? 1.0F / d : 0.0F;
  store_f16(block, d);
  for (int i = 0; i < kBlock; ++i) {
    const float q = std::round(finite_or_zero(x[i] * inverse));
    block[2 + i] = static_cast<std::byte>(static_cast<int8_t>(q));
  }
}

void quantize_q4_0(const float* x, std::byte* block) {
  const float d = extreme(x) / -8.0F;
  const float inverse = d != 0 ? 1.0F / d : 0.0F;
  store_f16(block, d);
  const auto code = [&](int i) {
    const int q = static_cast<int>(finite_or_zero(x[i] * inverse) + 8.5F);
    return q < 15 ? q : 15;
  };
  for (int i = 0; i < kBlock / 2; ++i) {
    block[2 + i] = static_cast<std::byte>(code(i) | code(i + kBlock / 2) << 4);
  }
}

}  // namespace

float dequantize_element(Type type, const std::byte* block, int index) {
  assert(index >= 0 && index < info(type).block_elements);
  switch (type) {
    case Type::q8_0:
      return static_cast<float>(static_cast<int8_t>(block[2 + index])) * load_f16(block);
    case Type::q4_0: {
      const uint8_t packed = byte_at(block, 2 + index % (kBlock / 2));
      const int q = index < kBlock / 2 ? packed & 15 : packed >> 4;
      return static_cast<float>(q - 8) * load_f16(block);
    }
    case Type::q4_K: return dequantize_q4_k(block, index);
    default: assert(false && "not a block-quantised type"); return 0;
  }
}

void quantize(Type type, std::span<const float> x, std::byte* blocks) {
  const auto block_elements = static_cast<size_t>(info(type).block_elements);
  assert(x.size() % block_elements == 0 && "a partial block");
  for (size_t i = 0; i < x.size(); i += block_elements, blocks += info(type).block_bytes) {
    switch (type) {
      case Type::q8_0: quantize_q8_0(x.data() + i, blocks); break;
      case Type::q4_0: quantize_q4_0(x.data() + i, blocks); break;
      case Type::q4_K: quantize_q4_k(x.data() + i, blocks); break;
      default: assert(false && "not a block-quantised type");
    }
  }
}

void dequantize(Type type, const std::byte* blocks, std::span<float> out) {
  const auto block_elements = static_cast<size_t>(info(type).block_elements);
  assert(out.size() % block_elements == 0 && "a partial block");
  for (size_t i = 0; i < out.size(); ++i) {
    out[i] = dequantize_element(type, blocks + i / block_elements * info(type).block_bytes,
                                static_cast<int>(i % block_elements));
  }
}

}  // namespace lathe::ir
