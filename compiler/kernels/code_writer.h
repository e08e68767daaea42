// 8-bit codes inside a program: what a scale they have, and 32 of them written to memory.
#pragma once

#include <cstdint>
#include <functional>

#include "ir/program/builder.h"

namespace lathe::compiler::kernels {

/// Bits of |value|. As integers they compare as the magnitudes do, and a NaN lies above infinity.
ir::program::Vec magnitude_bits(ir::program::Builder& b, ir::program::Vec value);

/// In every lane the largest magnitude bits of any; a NaN counts as infinity.
ir::program::Vec largest_lane(ir::program::Builder& b, ir::program::Vec bits);

/// What values of up to a largest magnitude become in 8 bits.
struct CodeScale {
  ir::program::Vec d;        ///< largest / 127, NaN where it is none or infinite
  ir::program::Vec inverse;  ///< 1 / d
  ir::program::Vec kept;     ///< all bits where 1 / d is finite; else 0, as all codes are
};
/// Lane by lane, of magnitude bits.
CodeScale code_scale(ir::program::Builder& b, ir::program::Vec largest);

class CodeWriter {
 public:
  static constexpr int64_t kCodes = 32;

  explicit CodeWriter(ir::program::Builder& b);

  /// Where 32 codes go, and how.
  struct Place {
    ir::program::Pointer to{};
    int64_t offset = 0;  ///< in bytes
    /// As i16 instead of i8, of each four in the order 0, 2, 1, 3: what meets the even and the odd
    /// bytes of a group of four.
    bool as_pairs = false;
  };
  /// `whole` gives vector i of them as whole numbers in f32; it is called in order, once for each.
  /// `each`, where set, takes them as written, in f32.
  void write(const Place& place, ir::program::Vec kept,
             const std::function<ir::program::Vec(int64_t)>& whole,
             const std::function<void(ir::program::Vec)>& each = {});

 private:
  using Codes = std::function<ir::program::Vec(int64_t)>;
  // Where a store of narrowed lanes is many instructions, four vectors of codes become one of
  // bytes.
  bool packs_bytes() const { return b_.lanes() == 4 || b_.lanes() == 8; }
  void write_pairs(const Place& place, const Codes& code);
  ir::program::Vec packed(const Codes& code, int64_t i);

  ir::program::Builder& b_;
  ir::program::Vec order_;
};

}  // namespace lathe::compiler::kernels
