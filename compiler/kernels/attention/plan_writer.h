// What the plans of attention have in common: operands, heads, names.
#pragma once

#include <functional>
#include <string>

#include "compiler/kernels/attention/attention.h"

namespace lathe::compiler::kernels::attention {

using ir::plan::Bindings;
using ir::plan::Body;
using ir::plan::Expr;
using ir::plan::Loop;
using ir::plan::Place;

/// A sequence as a plan's expressions: the items of the batches of q and of k that hold it, and
/// where in these its tokens and keys lie.
struct Sequence {
  Expr q_batch, k_batch;
  Expr first_token, tokens;
  Expr first_key, keys;
};

/// Declares the operands of the signature, and finds rows of theirs.
class PlanWriter {
 protected:
  PlanWriter(std::string name, const Attention& attention, const ir::Target& target);

  Expr stride(const std::string& operand, int k);
  /// Names a value in `body`.
  Expr named(Body& body, const std::string& name, const Expr& value);
  Expr loop_variable(const std::string& name) { return Expr::variable(plan_.loop_variable(name)); }

  /// The sequence of that number. Its values read elements where bounds or lengths are operands;
  /// named() gives those names.
  Sequence sequence(const Expr& index) const;
  Sequence named(Body& body, const std::string& prefix, const Sequence& sequence);

  /// Where a head's row of q, k, v, y or lse lies.
  Place row_of(const std::string& operand, const Expr& batch, const Expr& row, const Expr& head);
  /// Where a query head's mask lies, and bytes from one of its keys to the next.
  Place mask_of(const Expr& batch, const Expr& head);
  int64_t mask_bytes() const {
    return attention_.mask_of_rows ? 0 : ir::size_of(attention_.mask_type);
  }

  /// Visits the query heads that share a head of k.
  void over_members(Body& body, const std::string& name,
                    const std::function<void(Body&, const Expr&)>& visit);
  Expr query_head(const Expr& head, const Expr& member) const {
    return head * Expr(attention_.group()) + member;
  }
  /// Appends `each` for every sequence and head of k, in parallel; their variables are there
  /// already.
  void over_heads(Body& body, const std::string& batch, const std::string& head, Body each);
  void over_batches(Body& body, const std::string& batch, Loop loop);

  /// Appends what packs the rows of a head of k, all tokens of its query heads, head after head.
  void pack_queries(Body& body, int program, const Expr& batch, const Expr& head,
                    const Place& packed, int64_t query_bytes);
  /// Appends the calls that begin and end the rows of a query head whose state `names` have.
  void start_rows(Body& body, Bindings names, int program, const Expr& head);
  void finish_rows(Body& body, Bindings names, int program, const Expr& batch, const Expr& row,
                   const Expr& head);

  const Attention& attention_;
  const ir::Target& target_;
  ir::plan::Plan plan_;
  Expr batch_;             ///< sequences: items of the batch, or packed ones
  Expr tokens_, context_;  ///< of an item, which is one sequence or has all that are packed
  Expr pages_;             ///< of the pool, of a paged cache
};

}  // namespace lathe::compiler::kernels::attention
