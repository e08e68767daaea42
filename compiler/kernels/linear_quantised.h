// linear with block-quantised weights: x quantised to q8_0 once, products of codes exact in
// integers, each block's scaled and added up in f32. And what linear_int8.h shares with it.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "compiler/kernels/linear.h"
#include "compiler/kernels/register_tile.h"
#include "ir/program/builder.h"

namespace lathe::compiler::kernels {

SearchSpace quantised_linear_space(const Linear& linear, const ir::Target& target);

/// Whether the registers hold a tile: f32 sums and the block's dots, a group's codes of w taken
/// apart, one of x and a product. A single row takes w's codes apart vector by vector.
bool quantised_tile_fits(const ir::Target& target, int64_t tile, int64_t vectors, int64_t streams);

/// How x lies in scratch. Codes: k of each row, i8 or, for q8_0 and i8 without vnni, i16 (as
/// CodeWriter's pairs). Factors: for each block of 32 its scale (a value of f16, as f32) and, where
/// the weight's codes are not centred, what that costs: for q4_0 and q8_0 as i32, -offset · sum of
/// codes; for q4_K as f32, -scale · sum of codes. For an i8 weight the whole row is one block.
struct QuantisedRows {
  QuantisedRows(const Linear& linear, const ir::Target& target);

  ir::Type codes;
  int64_t words;         ///< of each block's factors
  int64_t offset;        ///< what the weight's codes lie above their values; 0 for q4_K
  int64_t code_bytes;    ///< from row to row
  int64_t factor_bytes;  ///< from row to row
};

/// Where a tile's operands begin.
struct QuantisedOperands {
  ir::program::Pointer codes, factors;  ///< of x's first row
  ir::program::Count code_bytes = 0;    ///< from row to row of x's codes
  std::vector<ir::program::Pointer> w;  ///< the weight's parts, of the first panel
  ir::program::Pointer expanded{};      ///< scratch for what a panel's tiles share
  int streams = 1;                      ///< panels side by side
  int part = 0;                         ///< which vectors of their width
};

/// The same place as a row of 32-bit words.
inline ir::program::Pointer as_words(ir::program::Pointer p) {
  p.type = ir::Type::i32;
  return p;
}

/// Quantises rows of x.
ir::program::Program linear_quantise_program(const Linear& linear, const ir::Target& target);

/// The same from rows of x that are q8_0 already.
ir::program::Program linear_regroup_program(const Linear& linear, const ir::Target& target);

/// Writes the code of register tiles.
class QuantisedTile {
 public:
  QuantisedTile(ir::program::Builder& b, const Linear& linear, const LinearBlocking& blocking);

  /// The sums of `rows` rows over all of k. `every_block` writes code that runs once in every
  /// block.
  RegisterTile multiply(int rows, const QuantisedOperands& at,
                        const std::function<void()>& every_block);

  /// Multiplies out q4_K's scales and minima of a whole panel, where all tiles share them.
  void expand_panel(const QuantisedOperands& at);

 private:
  struct Block;
  void dots(Block& block);
  void dots_of_bytes(Block& block);
  void dots_of_unsigned_bytes(Block& block);
  void dots_of_nibbles(Block& block);
  void add_products(RegisterTile& sums, Block& block);
  void expand(const std::vector<ir::program::Pointer>& scales,
              const std::vector<ir::program::Pointer>& factors, ir::program::Pointer to);
  ir::program::Vec codes_of_w(const Block& block, int vector, int group) const;
  std::vector<ir::program::Pointer> panels(ir::program::Pointer first, size_t part,
                                           int streams) const;
  void prefetch(const Block& block) const;

  ir::program::Builder& b_;
  const Linear& linear_;
  const LinearBlocking& s_;
  QuantisedRows rows_;
};

}  // namespace lathe::compiler::kernels
