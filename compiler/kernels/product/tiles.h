// Which register tiles a product may have: what fits the registers and reuses what it loads.
#pragma once

#include <memory>
#include <vector>

#include "compiler/kernels/product/arithmetic.h"

namespace lathe::compiler::kernels::product {

/// The tiles that a schedule chooses from.
struct Tiles {
  std::shared_ptr<const Arithmetic> arithmetic;  ///< as constraints of a search space keep it
  std::vector<int64_t> mr, nr;                   ///< numbers of rows and of vectors
  TileShape usual;                               ///< the one that is worth most
  bool reuse = false;  ///< whether rows are so many that a tile must reuse what it loads

  bool fits(int64_t rows, int64_t vectors) const { return arithmetic->fits({rows, vectors}); }
};

/// Tiles of one of `vectors`. Of `columns` those that fill no whole number of vectors count as what
/// they cost; 0: they always do. `expanded`: whether the usual tile reads widened elements;
/// `may_expand`: whether any does.
Tiles choose_tiles(const Product& product, const Target& target,
                   const std::vector<int64_t>& vectors, int64_t columns = 0, bool expanded = false,
                   bool may_expand = false);

}  // namespace lathe::compiler::kernels::product
