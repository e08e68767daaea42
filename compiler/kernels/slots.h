// Rows written through slots: a cache as the operand of which each row of a problem replaces the
// entry that its slot names.
#pragma once

#include <functional>

#include "compiler/kernels/row_kernel.h"

namespace lathe::compiler::kernels {

/// How slots name the entries of a cache, an entry being the heads of one token.
enum class Slots : uint8_t {
  off,      ///< there are none: y has rows
  flat,     ///< y [capacity, heads, dim]: entry `slot`
  paged,    ///< y [pages, page, heads, dim]: entry slot mod page of page slot / page
  batched,  ///< y [batch, capacity, heads, dim]: entry `slot` of the row's own item of the batch
};

/// y as a cache, whose heads may lie before its tokens or beside each other: strides say so.
struct SlotCache {
  /// Of the parameters slots, page, slots_type, heads, dim and out.
  explicit SlotCache(const Problem& problem);

  Slots slots;
  int64_t page, heads, dim;
  Type type, slots_type;

  bool is_off() const { return slots == Slots::off; }
  /// The dimensions that operands with rows begin with: [rows], or [batch, rows].
  ir::graph::Shape leading() const;
  /// Where the heads stand in the shape of an operand [rows, heads, dim], and in that of y.
  int heads_in_rows() const { return slots == Slots::batched ? 2 : 1; }
  int heads_in_cache() const;

  Port port() const;        ///< y
  Port slots_port() const;  ///< a slot for each row

  /// Within the rows' code: `body` gets the row's entry of y. A row whose slot is -1 is left out.
  void at_entry(RowKernel& kernel, const std::function<void(Pointer entry)>& body) const;

  /// y with these rows in it, [rows, heads, dim] of y's type.
  ir::graph::Var written(ir::graph::GraphBuilder& graph, ir::graph::Var y, ir::graph::Var rows,
                         ir::graph::Var slots) const;
};

/// `slots`, `off` unless the family writes through slots only; and what goes with it.
ParameterSpec slots_parameter(bool may_be_off);
ParameterSpec page_parameter();
ParameterSpec slots_type_parameter();

/// A page for pages alone; whole blocks of an out that is quantised.
Status check_slots(const Problem& problem);

/// Room for 4096 tokens or as many as the rows, where nobody says how much there is.
Status derive_slot_sizes(const Problem& problem, Sizes& sizes);

}  // namespace lathe::compiler::kernels
