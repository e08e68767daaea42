// linear with 8-bit weights of one scale a channel: x quantised with one scale a row, products of
// codes added up over all of k in integers, and one multiplication by both scales at the end.
#pragma once

#include <functional>

#include "compiler/kernels/linear_quantised.h"

namespace lathe::compiler::kernels {

SearchSpace int8_linear_space(const Linear& linear, const ir::Target& target);

/// Whether the registers hold a tile: its sums, a step's vectors of w and one of x; the product,
/// and where codes are widened in the tile, not `expanded` ahead of it, the two constants that do
/// it, or with vnni the one for the signs.
bool int8_tile_fits(const ir::Target& target, int64_t tile, int64_t vectors, int64_t streams,
                    bool expanded);

/// Quantises rows of x.
ir::program::Program int8_quantise_program(const Linear& linear, const ir::Target& target);

/// Writes the code of register tiles.
class Int8Tile {
 public:
  Int8Tile(ir::program::Builder& b, const Linear& linear, const LinearBlocking& blocking)
      : b_(b), linear_(linear), s_(blocking), rows_(linear, b.target()) {}

  /// The sums of `rows` rows over all of k, scaled. `every_trip` writes code that runs once for
  /// every kInt8Unit of k.
  RegisterTile multiply(int rows, const QuantisedOperands& at,
                        const std::function<void()>& every_trip);

  /// Widens a panel's codes to 16 bits for all tiles: for each group of four k words with the even
  /// and words with the odd ones, of every column.
  void expand_panel(const QuantisedOperands& at);

 private:
  ir::program::Vec widened(ir::program::Vec codes, int half);
  void prefetch(ir::program::Pointer w, int64_t bytes);
  void scale(RegisterTile& sums, const QuantisedOperands& at);
  int64_t column(int vector, int part) const {
    return (part * s_.vectors + vector % s_.vectors) * int64_t{b_.lanes()};
  }

  ir::program::Builder& b_;
  const Linear& linear_;
  const LinearBlocking& s_;
  QuantisedRows rows_;
};

}  // namespace lathe::compiler::kernels
