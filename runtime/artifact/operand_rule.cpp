// Rules from a signature and the variables of a plan.
#include "runtime/artifact/operand_rule.h"

#include <algorithm>

namespace lathe::runtime {
namespace {

using ir::plan::Plan;

template <typename... Args>
tl::unexpected<Error> unfit(const Plan& plan, fmt::format_string<Args...> format, Args&&... args) {
  return fail(ErrorCode::verify_error, "plan '{}': {}", plan.name,
              fmt::format(format, std::forward<Args>(args)...));
}

Status check_operand(const compiler::Port& port, const ir::plan::Operand& operand,
                     const Plan& plan) {
  if (operand.name != port.name || operand.type != port.type)
    return unfit(plan, "found operand '{}' of {}, expected '{}' of {}", operand.name,
                 ir::name(operand.type), port.name, ir::name(port.type));
  if (operand.updated != port.updated())
    return unfit(plan, "operand '{}' is {}, in the signature it is {}", operand.name,
                 operand.updated ? "updated" : "not updated",
                 port.updated() ? "updated" : "not updated");
  const bool is_written = operand.access != ir::program::BufferAccess::read;
  if (is_written == port.output) return {};
  return unfit(plan, "operand '{}' is {}, in the signature an {}", operand.name,
               is_written ? "written" : "only read", port.output ? "output" : "input");
}

// A value that calls give: one of the plan's inputs, or none.
int input_named(const Plan& plan, const std::string& name) {
  const int variable = plan.find(name);
  return variable < plan.inputs ? variable : -1;
}

// Every input is a size or a stride of some operand, or the number of threads.
Status check_inputs(const std::vector<OperandRule>& rules, const Plan& plan) {
  std::vector<bool> given(static_cast<size_t>(plan.inputs));
  const auto give = [&](int variable) {
    if (variable >= 0) given[static_cast<size_t>(variable)] = true;
  };
  give(input_named(plan, "threads"));
  for (const OperandRule& rule : rules) {
    for (const OperandRule::Dimension& dimension : rule.shape) give(dimension.variable);
    for (const int variable : rule.stride_variables) give(variable);
  }
  for (size_t i = 0; i < given.size(); ++i) {
    if (!given[i])
      return unfit(plan,
                   "input '{}' is no dimension of an operand, none's stride, nor the number of "
                   "threads",
                   plan.variables[i]);
  }
  return {};
}

}  // namespace

int OperandRule::table_variable() const {
  if (!elements || elements->ascending || elements->least != ir::plan::Expr(0)) return -1;
  const auto& below = elements->below.tokens();
  const bool is_count = below.size() == 1 && below[0].kind == ir::plan::Expr::Kind::variable;
  return is_count ? static_cast<int>(below[0].value) : -1;
}

int count_inputs(const std::vector<OperandRule>& rules) {
  const auto is_input = [](const OperandRule& rule) { return !rule.output; };
  return static_cast<int>(std::count_if(rules.begin(), rules.end(), is_input));
}

Result<std::vector<OperandRule>> operand_rules(const compiler::Signature& signature,
                                               const Plan& plan) {
  if (signature.size() != plan.operands.size())
    return unfit(plan, "found {} operands, expected {}", plan.operands.size(), signature.size());
  std::vector<OperandRule> rules;
  for (size_t i = 0; i < signature.size(); ++i) {
    const compiler::Port& port = signature[i];
    const ir::plan::Operand& operand = plan.operands[i];
    LATHE_CHECK(check_operand(port, operand, plan));
    OperandRule& rule = rules.emplace_back();
    rule.name = port.name;
    rule.type = port.type;
    rule.output = port.output;
    rule.updated = port.updated();
    rule.elements = operand.elements;
    rule.finite = operand.finite;
    for (const ir::graph::Dim& dim : port.shape)
      rule.shape.push_back(
          {dim.factor, dim.is_number() ? -1 : input_named(plan, dim.symbol), dim.symbol});
    for (size_t k = 0; k + 1 < port.shape.size(); ++k)
      rule.stride_variables.push_back(input_named(plan, fmt::format("{}.stride{}", rule.name, k)));
  }
  LATHE_CHECK(check_inputs(rules, plan));
  return rules;
}

}  // namespace lathe::runtime
