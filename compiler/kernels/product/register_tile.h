// The register tile of a matrix product: rows × vectors of sums, and where its rows of x are read.
#pragma once

#include <functional>
#include <vector>

#include "compiler/kernels/product/product.h"

namespace lathe::compiler::kernels::product {

/// Sums of rows × vectors: x[r] * w[v] is added to sums[r][v], step by step.
class RegisterTile {
 public:
  /// Sums of 0. With several `chains` each sum is kept in that many parts until fold_chains().
  RegisterTile(Builder& b, int rows, int vectors, int chains);

  /// One step of k, into part `chain`: `w` loads vector v, `x` splats row r, `add` makes a new sum
  /// of both and a sum.
  using Add = std::function<Vec(Vec x, Vec w, Vec sum)>;
  void step(int chain, const std::function<Vec(int)>& w, const std::function<Vec(int)>& x,
            const Add& add);
  void fold_chains();

  Vec at(int row, int vector, int chain = 0) const {
    return sums_[static_cast<size_t>((chain * rows_ + row) * vectors_ + vector)];
  }

 private:
  Builder& b_;
  int rows_, vectors_, chains_;
  std::vector<Vec> sums_;
};

/// Rows at a distance, each reachable in one address: compile-time distances become offsets, others
/// a pointer for each three rows with the distance as index.
class RowPointers {
 public:
  RowPointers(Builder& b, Pointer first, int rows,
              ir::program::Count distance);  ///< in bytes
  /// Element `offset` of the row, in every lane.
  Vec load_splat(int row, int64_t offset) const;
  void advance(int64_t elements) const;

 private:
  Builder& b_;
  std::vector<Pointer> pointers_;
  ir::program::Count distance_;
};

}  // namespace lathe::compiler::kernels::product
