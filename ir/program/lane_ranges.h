// The abstract value of a vector register: what its bytes, 16-bit and 32-bit lanes may be.
#pragma once

#include <cstdint>
#include <optional>

#include "ir/program/program.h"

namespace lathe::ir::program {

struct Interval {
  int64_t low = 0, high = 0;
  bool within(const Interval& other) const { return low >= other.low && high <= other.high; }
  bool operator==(const Interval&) const = default;
};

inline constexpr Interval kU8{0, 255}, kS8{-128, 127}, kS16{-32768, 32767};
inline constexpr Interval kS32{INT32_MIN, INT32_MAX};

Interval hull(const Interval& a, const Interval& b);
Interval operator+(const Interval& a, const Interval& b);
Interval operator*(const Interval& a, const Interval& b);

/// Holds for every lane of a register at once. The default is: anything.
struct LaneRange {
  uint32_t ones = ~0U;  ///< bits of the 32-bit lane that may be set
  Interval u8 = kU8, s8 = kS8, s16 = kS16, s32 = kS32;
  std::optional<uint32_t> constant;  ///< every lane is this

  static LaneRange of_constant(uint32_t bits);
  static LaneRange of_u8(const Interval& range);
  static LaneRange of_s8(const Interval& range);
  /// Nothing where the range exceeds the lanes.
  static LaneRange of_s16(const Interval& range);
  static LaneRange of_s32(const Interval& range);
  static LaneRange of_bits(uint32_t ones);

  bool operator==(const LaneRange&) const = default;
};

/// Either of the two.
LaneRange hull(const LaneRange& a, const LaneRange& b);

/// What a load of memory type `memory` from a buffer gives; `partial`: some lanes may be zero.
LaneRange loaded(const Buffer& buffer, MemoryType memory, bool partial);

/// The result of a bitwise or i32 instruction; anything for those it does not know.
LaneRange bitwise(const Instr& instr, const LaneRange& a, const LaneRange& b);

}  // namespace lathe::ir::program
