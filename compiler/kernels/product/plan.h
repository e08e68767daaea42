// The plans of products: how blocks are shared out to threads, and what is packed when.
//
// There are two nests, for they differ in every loop. Where w lies packed, the rows of x are packed
// once for all threads, and each thread takes blocks of columns × rows. Where w is variable, a
// thread packs both sides of its own block itself, block of k by block of k, so that those are the
// outer loop. They share what a program is given.
#pragma once

#include <functional>
#include <string>

#include "compiler/kernels/product/product.h"
#include "ir/plan/plan.h"

namespace lathe::compiler::kernels::product {

/// Of a product whose w lies packed. The operands are its signature's.
ir::plan::Plan packed_plan(const Product& product, const Blocking& blocking,
                           const ir::Target& target);

/// Matrices that are multiplied one by one, both sides variable.
struct Batches {
  Signature signature;  ///< x and y of [group·batch, rows, …], w of [batch, …]; as the product's
  int64_t group = 1;    ///< matrices of x and y, one after the other, that share one of w
  bool transposed_x = false;  ///< x lies as [k, rows] rather than [rows, k]
  bool transposed_w = false;  ///< w lies as [n, k] rather than [k, n]
};

/// Of products whose w is packed as it is used.
ir::plan::Plan packing_plan(const Product& product, const Blocking& blocking,
                            const Batches& batches, const ir::Target& target);

/// What both nests are written with.
class PlanWriter {
 protected:
  using Expr = ir::plan::Expr;
  using Body = ir::plan::Body;

  PlanWriter(const Product& product, const Blocking& blocking, const Signature& signature,
             const ir::Target& target);

  /// Declares the strides, the threads and the operands, `packed` first … last-1 of which have no
  /// strides; to programs each operand is a matrix, whatever it is one of.
  void declare_operands(size_t first_packed, size_t last_packed);
  Expr stride(const Port& port, size_t dimension);
  /// Where an element of matrix `batch` lies, which lies as [rows, columns] or the other way about.
  ir::plan::Place at(const Port& port, const Expr& batch, const Expr& row, const Expr& column,
                     bool transposed = false);
  /// Offers the epilogue's inputs and y, from an element of y on.
  void offer_epilogue(ir::plan::Bindings& names, const Expr& batch, const Expr& row,
                      const Expr& column);
  /// Offers the block of k that begins at `k`, `depth` deep.
  void offer_depth(ir::plan::Bindings& names, const Expr& k, const Expr& depth) const;

  /// Visits the blocks of k that the plan walks: where each begins, and how deep it is.
  using VisitDepth = std::function<void(Body&, const Expr& k, const Expr& depth)>;
  void over_depth(Body& body, const std::string& name, const VisitDepth& visit);

  /// Panels all of whose columns exist, and columns of the last if they are fewer.
  int64_t whole_panels() const { return product_.n / product_.panel_columns(); }
  int64_t rest_columns() const { return product_.n % product_.panel_columns(); }

  const Product& product_;
  const Blocking& s_;
  const Signature& signature_;
  const ir::Target& target_;
  ir::plan::Plan plan_;
  ir::plan::Bindings names_;  ///< what all calls may use
  Expr rows_, threads_;
};

}  // namespace lathe::compiler::kernels::product
