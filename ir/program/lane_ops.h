// What instructions do to one lane: exact, and independent of the host's vector unit.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "ir/program/program.h"

namespace lathe::ir::program::lane {

inline float as_float(uint32_t bits) { return std::bit_cast<float>(bits); }
inline uint32_t as_bits(float value) { return std::bit_cast<uint32_t>(value); }
inline int32_t as_int(uint32_t bits) { return static_cast<int32_t>(bits); }

inline float min(float a, float b) { return a < b ? a : b; }
inline float max(float a, float b) { return a > b ? a : b; }

/// To an integral value, nearest even; the sign of zero is kept.
inline float round_even(float a) {
  const float magnitude = std::fabs(a);
  if (!(magnitude < 0x1p23F)) return a;  // already integral, infinite or NaN
  return std::copysign((magnitude + 0x1p23F) - 0x1p23F, a);
}

/// To an integral value, towards zero; the sign of zero is kept.
inline float truncate(float a) {
  if (!(std::fabs(a) < 0x1p23F)) return a;
  return std::copysign(static_cast<float>(static_cast<int32_t>(a)), a);
}

/// To i32, nearest even; 0x80000000 when out of range or NaN.
inline uint32_t to_int(float a) {
  if (!(a >= -0x1p31F && a < 0x1p31F)) return 0x80000000U;
  return static_cast<uint32_t>(static_cast<int32_t>(round_even(a)));
}

inline uint32_t shift_left(uint32_t a, int64_t bits) { return a << bits; }
inline uint32_t shift_right(uint32_t a, int64_t bits) { return a >> bits; }
inline uint32_t shift_right_signed(uint32_t a, int64_t bits) {
  return static_cast<uint32_t>(as_int(a) >> bits);
}

/// a * 2^b, rounded once. Meets the table's contract only for valid_exponent(b).
float scale(float a, float b);
inline bool valid_exponent(float b) {
  return std::isnan(b) || (b >= -252 && b <= 254 && b == truncate(b));
}

/// The approximations: the exact value rounded to 12 significant bits (a relative error of at most
/// 2^-12), and exactly rounded to f32 where the result is a denormal. An emitter's low bits differ.
float reciprocal(float a);
float reciprocal_sqrt(float a);

float round_f16(float a);
float round_bf16(float a);

/// The narrow integer instructions on one 32-bit lane. They set `overflow` (and never clear it)
/// where an intermediate result does not fit, which verify() has proven impossible.
uint32_t add16(uint32_t a, uint32_t b, bool& overflow);
uint32_t dot2_u8s8(uint32_t a, uint32_t b, bool& overflow);
uint32_t dot2_s16(uint32_t a, uint32_t b, bool& overflow);
uint32_t dot4_u8s8(uint32_t a, uint32_t b, uint32_t c);
uint32_t abs8(uint32_t a);
uint32_t sign8(uint32_t a, uint32_t b, bool& overflow);

template <typename T>
bool holds(Compare compare, T a, T b) {
  switch (compare) {
    case Compare::lt: return a < b;
    case Compare::le: return a <= b;
    case Compare::eq: return a == b;
    case Compare::ne: return a != b;
    case Compare::ge: return a >= b;
    case Compare::gt: return a > b;
  }
  return false;
}

/// Widens `count` consecutive elements of memory to lanes, and back (MemoryType says how).
void load(MemoryType type, const std::byte* from, int count, uint32_t* lanes);
void store(MemoryType type, std::byte* to, int count, const uint32_t* lanes);

}  // namespace lathe::ir::program::lane
