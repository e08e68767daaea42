// The little-endian fields of GGUF blocks.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ir/half.h"

namespace lathe::ir {

inline uint8_t byte_at(const std::byte* p, int i) { return std::to_integer<uint8_t>(p[i]); }

inline float load_f16(const std::byte* p) {
  return f16_to_float(static_cast<uint16_t>(byte_at(p, 0) | byte_at(p, 1) << 8));
}

inline void store_f16(std::byte* p, float value) {
  const uint16_t bits = float_to_f16(value);
  p[0] = static_cast<std::byte>(bits & 0xff);
  p[1] = static_cast<std::byte>(bits >> 8);
}

}  // namespace lathe::ir
