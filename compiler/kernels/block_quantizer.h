// Quantising f32 to q8_0 inside a program: d = max|x| / 127, 32 codes round(x / d).
//
// Bit for bit what ir::quantize() makes: the codes come from the unrounded d, halves go away from
// zero, and a block with a NaN or an infinity gets a NaN for d and zeros for codes.
#pragma once

#include <cstdint>
#include <functional>

#include "ir/program/builder.h"

namespace lathe::compiler::kernels {

class BlockQuantizer {
 public:
  static constexpr int64_t kBlock = 32;
  static constexpr int kTogether = 4;  ///< blocks whose scales are lanes of one vector

  /// Where blocks go.
  struct Sink {
    ir::program::Pointer codes{};  ///< block b's are at b * block_bytes + codes_offset
    int64_t codes_offset = 0;
    int64_t block_bytes = kBlock;
    /// Codes as i16 instead, 32 in a row, of each four in the order 0, 2, 1, 3: what meets the even
    /// and the odd bytes of a group of four.
    bool as_pairs = false;
    /// Takes d, unrounded, in every lane.
    std::function<void(int64_t block, ir::program::Vec d)> scale{};
    /// Where set, takes the sum of the codes as f32 in every lane, after `scale`.
    std::function<void(int64_t block, ir::program::Vec sum)> sum{};
  };

  explicit BlockQuantizer(ir::program::Builder& b);

  /// Blocks first … first + count - 1 of x; count is 1 or kTogether.
  void write(ir::program::Pointer x, int64_t first, int count, const Sink& sink);

 private:
  // Where a store of narrowed lanes is many instructions, four vectors of codes become one of
  // bytes.
  bool packs_bytes() const { return b_.lanes() == 4 || b_.lanes() == 8; }
  void write_blocks(ir::program::Pointer x, int64_t first, int count, ir::program::Vec largest,
                    const Sink& sink);
  void write_codes(ir::program::Pointer x, int64_t block, ir::program::Vec inverse,
                   ir::program::Vec kept, const Sink& sink);
  void write_pairs(int64_t block, const std::function<ir::program::Vec(int64_t)>& code,
                   const Sink& sink);
  ir::program::Vec packed(const std::function<ir::program::Vec(int64_t)>& code, int64_t i);

  ir::program::Builder& b_;
  ir::program::Vec order_;
};

}  // namespace lathe::compiler::kernels
