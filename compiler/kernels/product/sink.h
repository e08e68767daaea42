// Where the sums of a tile go: to y, to scratch between blocks of k within a panel, or to scratch
// and from there through the epilogue.
#pragma once

#include "compiler/kernels/product/arithmetic.h"

namespace lathe::compiler::kernels::product {

class Sink {
 public:
  /// `columns`: how many of each panel's columns exist.
  Sink(ir::program::Builder& b, const Product& product, int64_t columns)
      : b_(b), product_(product), plain_(product.has_plain_epilogue()), columns_(columns) {}

  /// Asks for the lines of y that the tile will write.
  void prefetch(const Tile& tile) const;
  /// Whether anything becomes of the sums of the tile's part.
  bool takes(const Tile& tile) const;
  /// Adds what earlier blocks of k left, and leaves the sums where the next finds them or, of the
  /// last block, where they go.
  void take(RegisterTile& sums, const Tile& tile) const;
  /// Once all parts are taken: of the last block of k, sends the sums through the epilogue.
  void finish(const Tile& tile) const;

 private:
  /// Columns of y that the tile's panels make.
  int64_t columns(const Tile& tile) const { return tile.streams * columns_; }
  int stored_vectors(const Tile& tile) const;
  ir::program::Span in_y(const Tile& tile, int v) const;
  ir::program::Span in_scratch(const Tile& tile, int row, int v) const;
  void over_rows(const Tile& tile, const std::function<void(int, ir::program::Pointer)>& row) const;

  void add_y(RegisterTile& sums, const Tile& tile) const;
  void add_scratch(RegisterTile& sums, const Tile& tile) const;
  void to_y(const RegisterTile& sums, const Tile& tile, ir::program::Pointer bias) const;
  void to_scratch(const RegisterTile& sums, const Tile& tile) const;
  void last(const RegisterTile& sums, const Tile& tile) const;
  void epilogue(const Tile& tile) const;

  ir::program::Builder& b_;
  const Product& product_;
  const bool plain_;
  const int64_t columns_;
};

}  // namespace lathe::compiler::kernels::product
