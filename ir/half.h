// f16 and bf16 as bit patterns: exact conversions, round to nearest even.
#pragma once

#include <bit>
#include <cstdint>

namespace lathe::ir {

/// IEEE 754 binary16 bits to float; exact, denormals and NaN payloads kept.
float f16_to_float(uint16_t bits);

/// Rounds to nearest even; overflow gives infinity; a NaN stays a (quiet) NaN.
uint16_t float_to_f16(float value);

/// bfloat16 bits to float; exact.
inline float bf16_to_float(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

/// Rounds to nearest even; overflow gives infinity; a NaN stays a (quiet) NaN.
uint16_t float_to_bf16(float value);

/// As above from double, rounding once (no double rounding through float).
uint16_t double_to_f16(double value);
uint16_t double_to_bf16(double value);

}  // namespace lathe::ir
