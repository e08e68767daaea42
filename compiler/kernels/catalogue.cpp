// The catalogue: every family in order, and what reads names in problem lines by it.
#include <algorithm>

#include "compiler/kernels/families.h"
#include "ir/graph/ops.h"

namespace lathe::compiler {
namespace {

std::string describe(const ParameterSpec& spec) {
  std::string text = "`" + spec.name + "`";
  if (spec.required) text += " (required)";
  if (!spec.choices.empty()) text += fmt::format(" ({})", fmt::join(spec.choices, ", "));
  return text;
}

std::vector<std::string_view> words(std::string_view line) {
  std::vector<std::string_view> found;
  while (true) {
    const size_t start = line.find_first_not_of(" \t");
    if (start == std::string_view::npos) return found;
    line.remove_prefix(start);
    found.push_back(line.substr(0, line.find_first_of(" \t")));
    line.remove_prefix(found.back().size());
  }
}

}  // namespace

const std::vector<const Family*>& catalogue() {
#define LATHE_FAMILY_ADDRESS(name) &kernels::name(),
  static const std::vector<const Family*> families = {LATHE_KERNEL_FAMILIES(LATHE_FAMILY_ADDRESS)};
#undef LATHE_FAMILY_ADDRESS
  return families;
}

const std::vector<const SharedOperand*>& shared_operands() {
  static const std::vector<const SharedOperand*> operands = [] {
    std::vector<const SharedOperand*> found;
    for (const Family* family : catalogue()) {
      const SharedOperand* shared = family->shared;
      if (shared != nullptr && std::find(found.begin(), found.end(), shared) == found.end())
        found.push_back(shared);
    }
    return found;
  }();
  return operands;
}

const SharedOperand* find_shared_operand(std::string_view kind) {
  for (const SharedOperand* operand : shared_operands())
    if (operand->kind == kind) return operand;
  return nullptr;
}

Result<int> current_revision(std::string_view family_or_kind) {
  if (const SharedOperand* operand = find_shared_operand(family_or_kind); operand != nullptr)
    return revision_of(*operand);
  LATHE_TRY(const Family* family, find_family(family_or_kind));
  return family->revision;
}

int revision_of(const SharedOperand& operand) {
  int revision = 0;
  for (const Family* family : catalogue())
    if (family->shared == &operand) revision += family->revision;
  return revision;
}

Result<const Family*> find_family(std::string_view name) {
  std::vector<std::string_view> names;
  for (const Family* family : catalogue()) {
    if (family->name == name) return family;
    names.push_back(family->name);
  }
  const std::string_view nearest = ir::graph::nearest_name(name, names);
  return fail(ErrorCode::not_found, "unknown kernel family '{}'; {}", name,
              nearest.empty() ? fmt::format("expected one of {}", fmt::join(names, ", "))
                              : fmt::format("did you mean '{}'?", nearest));
}

Result<Problem> parse_problem(std::string_view line) {
  const auto parts = words(line);
  if (parts.empty()) {
    return fail(ErrorCode::invalid_argument,
                "found an empty problem line, expected one such as '{}'",
                catalogue().front()->example);
  }
  LATHE_TRY(const Family* family, find_family(parts.front()));
  ProblemBuilder builder(*family);
  std::vector<std::string_view> seen;
  for (size_t i = 1; i < parts.size(); ++i) {
    const size_t equals = parts[i].find('=');
    if (equals == std::string_view::npos) {
      return fail(ErrorCode::invalid_argument, "{}: found '{}', expected parameter=value",
                  family->name, parts[i]);
    }
    const std::string_view key = parts[i].substr(0, equals);
    if (std::find(seen.begin(), seen.end(), key) != seen.end()) {
      return fail(ErrorCode::invalid_argument, "{}: {} is given twice", family->name, key);
    }
    seen.push_back(key);
    builder.set_text(key, parts[i].substr(equals + 1));
  }
  return builder.build();
}

std::string describe_catalogue() {
  std::string text = "| family | formula | parameters | example |\n|---|---|---|---|\n";
  for (const Family* family : catalogue()) {
    std::vector<std::string> parameters;
    for (const ParameterSpec& spec : family->parameters) parameters.push_back(describe(spec));
    text += fmt::format("| `{}` | {} | {} | `{}` |\n", family->name, family->summary,
                        fmt::join(parameters, ", "), family->example);
  }
  return text;
}

}  // namespace lathe::compiler
