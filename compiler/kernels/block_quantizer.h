// Quantising f32 to q8_0 inside a program: d = max|x| / 127, 32 codes round(x / d).
//
// Bit for bit what ir::quantize() makes: the codes come from the unrounded d, halves go away from
// zero, and a block with a NaN or an infinity gets a NaN for d and zeros for codes.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "compiler/kernels/code_writer.h"

namespace lathe::compiler::kernels {

class BlockQuantizer {
 public:
  static constexpr int64_t kBlock = 32;
  static constexpr int kTogether = 4;  ///< blocks whose scales are lanes of one vector
  // A block in GGUF's layout: its scale, then its codes.
  static constexpr int64_t kScaleBytes = 2;
  static constexpr int64_t kBlockBytes = kScaleBytes + kBlock;
  /// Operations an element: magnitude and maximum, quotient and rounding.
  static constexpr double kFlops = 4;

  /// Where blocks go.
  struct Sink {
    ir::program::Pointer codes{};  ///< block b's are at b * block_bytes + codes_offset
    int64_t codes_offset = 0;
    int64_t block_bytes = kBlock;
    bool as_pairs = false;  ///< CodeWriter::Place's; `block_bytes` are those of the pairs
    /// Takes d, unrounded, in every lane.
    std::function<void(int64_t block, ir::program::Vec d)> scale{};
    /// Where set, takes the sum of the codes as f32 in every lane, after `scale`.
    std::function<void(int64_t block, ir::program::Vec sum)> sum{};
  };

  explicit BlockQuantizer(ir::program::Builder& b) : b_(b), writer_(b) {}

  /// Blocks first … first + count - 1 of x; count is 1 or kTogether.
  void write(ir::program::Pointer x, int64_t first, int count, const Sink& sink);

  /// A row as GGUF lays it out, `together` blocks in one trip (1 or kTogether).
  void write_row(ir::program::Pointer x, ir::program::Pointer y, int64_t blocks, int together);
  /// Likewise, of a number of blocks known at run time.
  void write_row(ir::program::Pointer x, ir::program::Pointer y, ir::program::Scalar blocks);

  /// How many blocks share their divisions on this target, where there are as many.
  static int together(const ir::Target& target, int64_t blocks) {
    return target.lanes >= kTogether && blocks >= kTogether ? kTogether : 1;
  }

 private:
  Sink gguf_sink(ir::program::Pointer y);
  void write_blocks(ir::program::Pointer x, int64_t first, int count, ir::program::Vec largest,
                    const Sink& sink);
  void write_codes(ir::program::Pointer x, int64_t block, ir::program::Vec inverse,
                   ir::program::Vec kept, const Sink& sink);

  ir::program::Builder& b_;
  CodeWriter writer_;
};

/// Quantises rows of a block of f32: buffers x, y, parameters rows, blocks of a row, and the bytes
/// from row to row of x and of y.
ir::program::Program quantise_block_program(const std::string& name, const ir::Target& target);

}  // namespace lathe::compiler::kernels
