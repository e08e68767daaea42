// A kernel's operands as callers must pass them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "compiler/signature.h"
#include "ir/plan/plan.h"

namespace lathe::runtime {

/// One operand as callers must pass it.
struct OperandRule {
  std::string name;
  ir::Type type = ir::Type::f32;
  bool output = false;
  bool updated = false;  ///< an output that is an input, too: what is not written stays
  std::optional<ir::plan::ElementRule> elements{};  ///< over the plan's inputs
  bool finite = false;                              ///< no NaN and no infinity, of f32
  /// For each dimension: `factor` times variable `variable`, or the number `factor` if variable <
  /// 0.
  struct Dimension {
    int64_t factor = 0;
    int variable = -1;
    std::string symbol;
    bool operator==(const Dimension&) const = default;
  };
  std::vector<Dimension> shape;
  std::vector<int>
      stride_variables;  ///< of every dimension but the last; -1 where the plan has none

  /// Of indices into tables: the plan's variable that counts the entries. -1 of other operands.
  int table_variable() const;
  bool operator==(const OperandRule&) const = default;
};

/// What calls of a plan are checked against: types and shapes from the problem's signature,
/// variables and rules for elements from the plan. verify_error where the two do not fit each
/// other: other operands, or an input of the plan that no operand of a call gives a value.
Result<std::vector<OperandRule>> operand_rules(const compiler::Signature& signature,
                                               const ir::plan::Plan& plan);

/// How many of them, the first ones, are inputs.
int count_inputs(const std::vector<OperandRule>& rules);

}  // namespace lathe::runtime
