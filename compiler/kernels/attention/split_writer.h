// What plans of a few rows against a long cache have in common: threads go over parts of it, whose
// results are merged in order.
#pragma once

#include <string>

#include "compiler/kernels/attention/plan_writer.h"
#include "compiler/kernels/attention/row_state.h"

namespace lathe::compiler::kernels::attention {

/// The rows of a head of k are all tokens of its query heads, head after head.
class SplitWriter : protected PlanWriter {
 protected:
  SplitWriter(std::string name, const Attention& attention, const DecodeBlocking& blocking,
              const ir::Target& target)
      : PlanWriter(std::move(name), attention, target), s_(blocking) {}

  /// Names rows and splits, and declares the state of all parts, and of a head's rows. `splits` is
  /// of inputs alone, as sizes of scratch are.
  void add_parts(const Expr& splits);
  Expr scratch_rows() const { return tokens_ * Expr(attention_.group()); }
  /// Of a part of a head.
  Expr first_row(const Expr& batch, const Expr& head, const Expr& part) const {
    return ((batch * Expr(attention_.kv_heads) + head) * splits_ + part) * rows_;
  }
  /// Appends the parts of each head together, and y.
  void merge_parts(Body& body);

  const DecodeBlocking& s_;
  Expr rows_, splits_;
  RowState parts_;
  /// Programs that begin a head's rows, merge a part into them, and end them.
  int start_ = -1, merge_ = -1, finish_ = -1;

 private:
  RowState whole_;
};

}  // namespace lathe::compiler::kernels::attention
