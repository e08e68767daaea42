// Where the state of rows lies in a plan's scratch.
#pragma once

#include <string>

#include "ir/plan/plan.h"

namespace lathe::compiler::kernels::attention {

/// Largest scores, sums and values of rows, one row after the other.
struct RowState {
  ir::plan::Place maximum, sum, values;
  int64_t value_bytes = 4;  ///< from row to row of values

  /// The state's places from `row` on, under the names that programs have for them behind `prefix`.
  void bind(ir::plan::Bindings& names, const ir::plan::Expr& row,
            const std::string& prefix = "") const {
    names.at(prefix + "maximum", maximum + row * 4).at(prefix + "sum", sum + row * 4);
    names.at(prefix + "values", values + row * ir::plan::Expr(value_bytes));
  }
};

/// Scratch for the state of so many rows, named after `prefix`.
inline RowState add_row_state(ir::plan::Plan& plan, const std::string& prefix,
                              const ir::plan::Expr& rows, int64_t value_bytes, bool per_worker) {
  RowState state;
  state.maximum = plan.add_scratch({prefix + "maximum", rows * 4, per_worker});
  state.sum = plan.add_scratch({prefix + "sum", rows * 4, per_worker});
  state.values =
      plan.add_scratch({prefix + "values", rows * ir::plan::Expr(value_bytes), per_worker});
  state.value_bytes = value_bytes;
  return state;
}

}  // namespace lathe::compiler::kernels::attention
