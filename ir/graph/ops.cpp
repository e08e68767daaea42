// The op table, and the checks that every node passes before its op's own.
#include "ir/graph/ops.h"

#include <algorithm>
#include <numeric>

#include "ir/graph/op_families.h"

namespace lathe::ir::graph {
namespace {

std::vector<Op> make_table() {
  std::vector<Op> table;
  add_matmul_ops(table);
  add_attention_ops(table);
  add_merge_ops(table);
  add_block_ops(table);
  add_page_ops(table);
  add_selection_ops(table);
  add_norm_ops(table);
  add_activation_ops(table);
  add_position_ops(table);
  add_arithmetic_ops(table);
  add_conversion_ops(table);
  add_data_ops(table);
  add_cache_ops(table);
  add_shape_ops(table);
  return table;
}

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replace = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replace});
    }
  }
  return row.back();
}

std::string did_you_mean(std::string_view text, std::span<const std::string_view> names) {
  const std::string_view nearest = nearest_name(text, names);
  return nearest.empty() ? "" : fmt::format("; did you mean '{}'?", nearest);
}

Status check_operands(const Op& op, std::span<const TensorType* const> operands) {
  const bool variadic = !op.operands.empty() && op.operands.back().arity == Arity::variadic;
  const auto required = static_cast<size_t>(
      std::count_if(op.operands.begin(), op.operands.end(),
                    [](const OperandSpec& spec) { return spec.arity != Arity::optional; }));
  if (operands.size() < required || (!variadic && operands.size() > op.operands.size())) {
    std::string expected = std::to_string(required);
    if (variadic) expected += " or more";
    if (!variadic && required != op.operands.size()) {
      expected += fmt::format(" to {}", op.operands.size());
    }
    return fail(ErrorCode::verify_error, "found {} operands, expected {}", operands.size(),
                expected);
  }
  for (size_t i = 0; i < operands.size(); ++i) {
    const OperandSpec& spec = op.operands[std::min(i, op.operands.size() - 1)];
    if (operands[i] == nullptr) {
      if (spec.arity == Arity::optional) continue;
      return fail(ErrorCode::verify_error, "operand '{}' is omitted, but it is required",
                  spec.name);
    }
    if (!contains(spec.types, operands[i]->element)) {
      return fail(ErrorCode::verify_error, "operand '{}': found {}, expected {}", spec.name,
                  to_string(*operands[i]), to_string(spec.types));
    }
  }
  return {};
}

Status check_results(const Op& op, int results) {
  const auto least = std::count_if(op.results.begin(), op.results.end(),
                                   [](const ResultSpec& spec) { return !spec.optional; });
  const auto most = static_cast<int64_t>(op.results.size());
  if (results >= least && results <= most) return {};
  return fail(ErrorCode::verify_error, "found {} results, expected {}", results,
              least == most ? std::to_string(most) : fmt::format("{} to {}", least, most));
}

// What inference gives must itself be a type: rank and sizes in bounds, whole blocks in a row.
Status check_result_type(const TensorType& type) {
  if (type.rank() > kMaxRank) {
    return fail(ErrorCode::verify_error, "found a result of rank {}, expected at most {}",
                type.rank(), kMaxRank);
  }
  for (const Dim& dim : type.shape) {
    if (dim.factor < 0 || dim.factor > kMaxDim) {
      return fail(ErrorCode::verify_error, "found result dimension {}, expected 0 to {}",
                  to_string(dim), kMaxDim);
    }
  }
  LATHE_CHECK(product(type.shape));
  return {};
}

}  // namespace

std::span<const Op> op_table() {
  static const std::vector<Op> table = make_table();
  return table;
}

std::string_view nearest_name(std::string_view text, std::span<const std::string_view> names) {
  std::string_view best;
  size_t best_distance = std::max<size_t>(2, text.size() / 3) + 1;
  if (text.size() > 64) return best;  // no name is that long
  for (const std::string_view name : names) {
    const size_t distance = edit_distance(text, name);
    if (distance < best_distance) {
      best_distance = distance;
      best = name;
    }
  }
  return best;
}

Result<const Op*> find_op(std::string_view name) {
  std::vector<std::string_view> names;
  for (const Op& op : op_table()) {
    if (op.name == name) return &op;
    names.push_back(op.name);
  }
  return fail(ErrorCode::not_found, "unknown op '{}'{}", name, did_you_mean(name, names));
}

Result<Attributes> complete_attributes(const Op& op, const Attributes& given) {
  std::vector<std::string_view> names;
  for (const AttributeSpec& spec : op.attributes) names.push_back(spec.name);
  for (const NamedAttribute& attribute : given) {
    if (std::find(names.begin(), names.end(), attribute.name) == names.end()) {
      return fail(ErrorCode::verify_error, "{}: unknown attribute '{}'{}", op.name, attribute.name,
                  did_you_mean(attribute.name, names));
    }
  }
  Attributes complete;
  for (const AttributeSpec& spec : op.attributes) {
    const AttributeValue* value = given.find(spec.name);
    if (value == nullptr) {
      if (!spec.default_value) {
        return fail(ErrorCode::verify_error, "{}: attribute '{}' ({}) is missing", op.name,
                    spec.name, to_string(spec.kind));
      }
      value = &*spec.default_value;
    }
    auto converted = value->as(spec.kind);
    if (!converted) {
      return fail(ErrorCode::verify_error, "{}: attribute '{}': {}", op.name, spec.name,
                  converted.error().message);
    }
    if (spec.kind == AttributeKind::word && std::find(spec.choices.begin(), spec.choices.end(),
                                                      converted->word()) == spec.choices.end()) {
      return fail(ErrorCode::verify_error, "{}: attribute '{}': found '{}', expected one of {}",
                  op.name, spec.name, converted->word(), fmt::join(spec.choices, ", "));
    }
    complete.set(std::string(spec.name), std::move(*converted));
  }
  return complete;
}

Result<std::vector<TensorType>> infer_node(const Op& op,
                                           std::span<const TensorType* const> operands,
                                           const Attributes& attributes, int results) {
  const auto run = [&]() -> Result<std::vector<TensorType>> {
    LATHE_CHECK(check_operands(op, operands));
    LATHE_CHECK(check_results(op, results));
    LATHE_TRY(auto types, op.infer(InferContext{operands, attributes, results}));
    types.resize(static_cast<size_t>(results));
    for (const TensorType& type : types) LATHE_CHECK(check_result_type(type));
    return types;
  };
  auto types = run();
  if (!types) {
    return fail(ErrorCode::verify_error, "{}: {}", op.name, types.error().message);
  }
  return types;
}

}  // namespace lathe::ir::graph
