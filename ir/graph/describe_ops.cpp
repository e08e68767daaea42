// The op table as a page of Markdown.
#include "ir/graph/ops.h"

namespace lathe::ir::graph {
namespace {

template <typename List, typename Print>
std::string join(const List& list, std::string_view separator, Print print) {
  std::string text;
  for (const auto& item : list) {
    if (!text.empty()) text += separator;
    text += print(item);
  }
  return text;
}

std::string describe_operand(const OperandSpec& spec) {
  const std::string_view mark = spec.arity == Arity::optional   ? "?"
                                : spec.arity == Arity::variadic ? "..."
                                                                : "";
  return fmt::format("{}{}", spec.name, mark);
}

// A short word for a type class; the page explains it.
std::string_view short_name(TypeClass types) {
  switch (types) {
    case TypeClass::real: return "real";
    case TypeClass::integer: return "integer";
    case TypeClass::index: return "index";
    case TypeClass::boolean: return "bool";
    case TypeClass::number: return "number";
    case TypeClass::plain: return "plain";
    case TypeClass::quantised: return "quantised";
    case TypeClass::weight: return "weight";
    case TypeClass::any: return "any";
  }
  return "unknown";
}

std::string describe_attribute(const AttributeSpec& spec) {
  std::string text = fmt::format("- `{}`: {}", spec.name, to_string(spec.kind));
  if (!spec.choices.empty())
    text = fmt::format("- `{}`: {}", spec.name, fmt::join(spec.choices, " or "));
  text += spec.default_value ? fmt::format(", default `{}`", to_string(*spec.default_value))
                             : ", required";
  return fmt::format("{}; {}\n", text, spec.doc);
}

// A line for each operand or result that has a text of its own.
template <typename Spec>
std::string describe_specs(const std::vector<Spec>& specs, std::string_view what) {
  return join(specs, "", [&](const Spec& spec) {
    return spec.doc.empty() ? "" : fmt::format("- {} `{}`: {}\n", what, spec.name, spec.doc);
  });
}

std::string describe_op(const Op& op) {
  std::string signature = join(op.results, ", ", [](const ResultSpec& spec) {
    return fmt::format("{}{}", spec.name, spec.optional ? "?" : "");
  });
  signature += fmt::format(" = {}({})", op.name, join(op.operands, ", ", describe_operand));
  const std::string types = join(op.operands, ", ", [](const OperandSpec& spec) {
    return fmt::format("{} {}", spec.name, short_name(spec.types));
  });
  const std::string list = describe_specs(op.operands, "operand") +
                           describe_specs(op.results, "result") +
                           join(op.attributes, "", describe_attribute);
  return fmt::format("\n### `{}`\n\n{}.{}\n{}{}", signature, op.doc,
                     types.empty() ? "" : fmt::format(" Types: {}.", types),
                     list.empty() ? "" : "\n", list);
}

}  // namespace

std::string describe_ops() {
  std::string page =
      "# Ops of the graph IR\n\n"
      "Printed from the op table (`ir/graph/ops.cpp` and the `ops_*.cpp` beside it); a test "
      "compares the two.\n"
      "`?` marks operands and results that may be left out, `...` one that takes one or more "
      "values.\n"
      "Types: ";
  constexpr TypeClass kClasses[] = {TypeClass::real,     TypeClass::index,  TypeClass::number,
                                    TypeClass::plain,    TypeClass::weight, TypeClass::boolean,
                                    TypeClass::quantised};
  page += join(kClasses, "; ", [](TypeClass types) {
    return fmt::format("*{}* is {}", short_name(types), to_string(types));
  });
  page += ".\n";
  for (size_t i = 0; i < op_table().size(); ++i) {
    const Op& op = op_table()[i];
    if (i == 0 || op_table()[i - 1].family != op.family)
      page += fmt::format("\n## {}\n", to_string(op.family));
    page += describe_op(op);
  }
  return page;
}

}  // namespace lathe::ir::graph
