// f16 and bf16 conversions by integer arithmetic, the same on every host.
#include "ir/half.h"

#include <cmath>
#include <limits>

namespace lathe::ir {
namespace {

// Rounds a finite double to a format of `mantissa_bits` stored bits whose least exponent is
// `min_exponent` (of the smallest normal), to nearest even; the result is exact in double.
double round_to_format(double value, int mantissa_bits, int min_exponent) {
  int exponent = 0;
  std::frexp(value, &exponent);
  exponent = std::max(exponent - 1, min_exponent);
  const double ulp = std::ldexp(1.0, exponent - mantissa_bits);
  return std::nearbyint(value / ulp) * ulp;  // exact: ulp is a power of two
}

}  // namespace

float f16_to_float(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000u) << 16;
  const uint32_t exponent = (bits >> 10) & 0x1Fu;
  const uint32_t mantissa = bits & 0x3FFu;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7F800000u | (mantissa << 13));
  if (exponent != 0)
    return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
  const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
  return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(magnitude));
}

uint16_t double_to_f16(double value) {
  const uint16_t sign = std::signbit(value) ? 0x8000u : 0;
  if (std::isnan(value)) return sign | 0x7E00u;
  const double magnitude = std::fabs(value);
  if (magnitude >= 65520.0) return sign | 0x7C00u;
  const double rounded = round_to_format(magnitude, 10, -14);
  if (rounded < 0x1p-14) return sign | static_cast<uint16_t>(rounded * 0x1p24);
  const auto wide = std::bit_cast<uint32_t>(static_cast<float>(rounded));
  return sign | static_cast<uint16_t>(((wide >> 23) - 112) << 10) |
         static_cast<uint16_t>((wide >> 13) & 0x3FFu);
}

uint16_t float_to_f16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = bits >> 16 & 0x8000u;
  uint32_t magnitude = bits & 0x7FFFFFFFu;
  if (magnitude > 0x7F800000u) return static_cast<uint16_t>(sign | 0x7E00u);
  if (magnitude >= 0x47800000u) return static_cast<uint16_t>(sign | 0x7C00u);  // 65536 and above
  if (magnitude < 0x38800000u) {
    // Below 2^-14: the last bit of a float in [0.5, 1) is that of an f16 denormal, so the sum
    // rounds.
    const float rounded = std::bit_cast<float>(magnitude) + 0.5F;
    return static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(rounded) - 0x3F000000u));
  }
  magnitude += 0xFFFu + (magnitude >> 13 & 1u);  // carries into the exponent, up to infinity
  return static_cast<uint16_t>(sign | (magnitude - 0x38000000u) >> 13);
}

uint16_t float_to_bf16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  if (std::isnan(value)) return static_cast<uint16_t>((bits >> 16) | 0x40u);
  return static_cast<uint16_t>((bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16);
}

uint16_t double_to_bf16(double value) {
  if (std::isnan(value) || std::isinf(value)) return float_to_bf16(static_cast<float>(value));
  if (std::fabs(value) >= 0x1.FFp127) return std::signbit(value) ? 0xFF80u : 0x7F80u;
  return float_to_bf16(static_cast<float>(round_to_format(value, 7, -126)));
}

}  // namespace lathe::ir
