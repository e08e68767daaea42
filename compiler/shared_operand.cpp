// Names and problems of layouts.
#include "compiler/shared_operand.h"

#include <fmt/format.h>

#include "compiler/family.h"

namespace lathe::compiler {

std::string LayoutCandidates::name() const { return fmt::format("{} {}", operand->kind, identity); }

std::string LayoutCandidates::text(std::string_view layout) const {
  return fmt::format("{}={}", operand->parameter, layout);
}

std::optional<LayoutCandidates> shared_by(const Problem& problem, const ir::Target& target) {
  const SharedOperand* operand = problem.family().shared;
  if (operand == nullptr) return std::nullopt;
  std::string identity = operand->identity(problem);
  if (identity.empty()) return std::nullopt;
  return LayoutCandidates{operand, std::move(identity), operand->layouts(problem, target)};
}

std::string layout_named_by(const Problem& problem) {
  const Value& value = problem.value(problem.family().shared->parameter);
  if (const auto* number = std::get_if<int64_t>(&value)) return std::to_string(*number);
  return std::get<std::string>(value);
}

Result<Problem> with_layout(const Problem& problem, std::string_view layout) {
  ProblemBuilder builder(problem.family());
  for (const ParameterSpec& spec : problem.family().parameters)
    builder.set(spec.name, problem.value(spec.name));
  return builder.set_text(problem.family().shared->parameter, layout).build();
}

std::vector<int> order_in_memory(const Problem& problem, std::string_view operand) {
  const SharedOperand* shared = problem.family().shared;
  if (shared == nullptr || shared->order == nullptr) return {};
  return shared->order(problem, operand);
}

}  // namespace lathe::compiler
