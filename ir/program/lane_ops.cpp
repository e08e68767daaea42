// The lane arithmetic that is more than one expression.
#include "ir/program/lane_ops.h"

#include <algorithm>

#include "ir/half.h"

namespace lathe::ir::program::lane {
namespace {

// Keeps 12 significant bits of a normal value, to nearest (ties away from zero).
float keep_12_bits(float value) {
  if (!std::isnormal(value)) return value;
  return as_float((as_bits(value) + 0x800U) & ~0xFFFU);
}

int32_t byte_s(uint32_t lane, int i) { return static_cast<int8_t>(lane >> (8 * i)); }
int32_t byte_u(uint32_t lane, int i) { return static_cast<uint8_t>(lane >> (8 * i)); }
int32_t half_s(uint32_t lane, int i) { return static_cast<int16_t>(lane >> (16 * i)); }

uint32_t pack16(int32_t low, int32_t high, bool& overflow) {
  const auto fits = [](int32_t value) { return value >= INT16_MIN && value <= INT16_MAX; };
  overflow |= !fits(low) || !fits(high);
  return (static_cast<uint32_t>(low) & 0xFFFFU) | (static_cast<uint32_t>(high) << 16);
}

// Elements of type T as lanes through `widen`, and lanes as elements through `narrow`.
template <typename T, typename F>
void load_each(const std::byte* from, int count, uint32_t* lanes, F widen) {
  for (int i = 0; i < count; ++i) {
    T element;
    std::memcpy(&element, from + i * sizeof(T), sizeof(T));
    lanes[i] = widen(element);
  }
}

template <typename T, typename F>
void store_each(std::byte* to, int count, const uint32_t* lanes, F narrow) {
  for (int i = 0; i < count; ++i) {
    const T element = narrow(lanes[i]);
    std::memcpy(to + i * sizeof(T), &element, sizeof(T));
  }
}

template <typename T>
void store_saturated(std::byte* to, int count, const uint32_t* lanes) {
  store_each<T>(to, count, lanes, [](uint32_t lane) {
    const int32_t low = std::numeric_limits<T>::min(), high = std::numeric_limits<T>::max();
    return static_cast<T>(std::clamp(as_int(lane), low, high));
  });
}

}  // namespace

float scale(float a, float b) {
  if (std::isnan(b)) return a + b;
  // Exact in double: 24 bits, and an exponent that stays far above double's least. One rounding.
  return static_cast<float>(std::ldexp(static_cast<double>(a), static_cast<int>(b)));
}

float reciprocal(float a) { return keep_12_bits(1.0F / a); }

float reciprocal_sqrt(float a) {
  return keep_12_bits(static_cast<float>(1.0 / std::sqrt(static_cast<double>(a))));
}

float round_f16(float a) { return f16_to_float(float_to_f16(a)); }
float round_bf16(float a) { return bf16_to_float(float_to_bf16(a)); }

uint32_t add16(uint32_t a, uint32_t b, bool& overflow) {
  return pack16(half_s(a, 0) + half_s(b, 0), half_s(a, 1) + half_s(b, 1), overflow);
}

uint32_t dot2_u8s8(uint32_t a, uint32_t b, bool& overflow) {
  const auto pair = [&](int i) {
    return byte_u(a, i) * byte_s(b, i) + byte_u(a, i + 1) * byte_s(b, i + 1);
  };
  return pack16(pair(0), pair(2), overflow);
}

uint32_t dot2_s16(uint32_t a, uint32_t b, bool& overflow) {
  const int64_t sum = int64_t{half_s(a, 0)} * half_s(b, 0) + int64_t{half_s(a, 1)} * half_s(b, 1);
  overflow |= sum > INT32_MAX;
  return static_cast<uint32_t>(sum);
}

uint32_t dot4_u8s8(uint32_t a, uint32_t b, uint32_t c) {
  int32_t sum = 0;
  for (int i = 0; i < 4; ++i) sum += byte_u(a, i) * byte_s(b, i);
  return static_cast<uint32_t>(sum) + c;
}

uint32_t abs8(uint32_t a) {
  uint32_t result = 0;
  for (int i = 0; i < 4; ++i)
    result |= (static_cast<uint32_t>(std::abs(byte_s(a, i))) & 0xFFU) << (8 * i);
  return result;
}

uint32_t sign8(uint32_t a, uint32_t b, bool& overflow) {
  uint32_t result = 0;
  for (int i = 0; i < 4; ++i) {
    const int32_t value = byte_s(a, i);
    const int32_t by = byte_s(b, i);
    overflow |= value == -128;
    const int32_t signed_value = by < 0 ? -value : by == 0 ? 0 : value;
    result |= (static_cast<uint32_t>(signed_value) & 0xFFU) << (8 * i);
  }
  return result;
}

void load(MemoryType type, const std::byte* from, int count, uint32_t* lanes) {
  switch (type) {
    case MemoryType::raw32:
      if (count > 0) std::memcpy(lanes, from, static_cast<size_t>(count) * 4);
      return;
    case MemoryType::f16:
      return load_each<uint16_t>(from, count, lanes,
                                 [](uint16_t e) { return as_bits(f16_to_float(e)); });
    case MemoryType::bf16:
      return load_each<uint16_t>(from, count, lanes, [](uint16_t e) { return uint32_t{e} << 16; });
    case MemoryType::i8:
      return load_each<int8_t>(from, count, lanes,
                               [](int8_t e) { return static_cast<uint32_t>(int32_t{e}); });
    case MemoryType::u8:
      return load_each<uint8_t>(from, count, lanes, [](uint8_t e) { return uint32_t{e}; });
    case MemoryType::i16:
      return load_each<int16_t>(from, count, lanes,
                                [](int16_t e) { return static_cast<uint32_t>(int32_t{e}); });
    case MemoryType::u16:
      return load_each<uint16_t>(from, count, lanes, [](uint16_t e) { return uint32_t{e}; });
  }
}

void store(MemoryType type, std::byte* to, int count, const uint32_t* lanes) {
  switch (type) {
    case MemoryType::raw32:
      if (count > 0) std::memcpy(to, lanes, static_cast<size_t>(count) * 4);
      return;
    case MemoryType::f16:
      return store_each<uint16_t>(to, count, lanes,
                                  [](uint32_t lane) { return float_to_f16(as_float(lane)); });
    case MemoryType::bf16:
      return store_each<uint16_t>(to, count, lanes,
                                  [](uint32_t lane) { return float_to_bf16(as_float(lane)); });
    case MemoryType::i8: return store_saturated<int8_t>(to, count, lanes);
    case MemoryType::u8: return store_saturated<uint8_t>(to, count, lanes);
    case MemoryType::i16: return store_saturated<int16_t>(to, count, lanes);
    case MemoryType::u16: return store_saturated<uint16_t>(to, count, lanes);
  }
}

}  // namespace lathe::ir::program::lane
