// The op table: every op of the graph IR in one explicit order.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ir/graph/graph.h"
#include "ir/graph/op.h"

namespace lathe::ir::graph {

/// All ops, by family in the order of the design's table. The same storage on every call.
std::span<const Op> op_table();

/// not_found names the op whose name is nearest.
Result<const Op*> find_op(std::string_view name);

/// The table as Markdown: the content of docs/graph_ops.md.
std::string describe_ops();

/// `given` completed with defaults, in the op's order, each value of its attribute's kind. Errors
/// (verify_error) name the unknown (with the nearest name), missing or ill-typed attribute.
Result<Attributes> complete_attributes(const Op& op, const Attributes& given);

/// Result types of a node whose operand types are `operands` (null where omitted): checks the count
/// and element types of the operands against the signature, then runs the op's shape inference.
/// verify_error, prefixed with the op's name.
Result<std::vector<TensorType>> infer_node(const Op& op,
                                           std::span<const TensorType* const> operands,
                                           const Attributes& attributes, int results);

/// The name in `names` with the least edit distance to `text`, or "" if none is near.
std::string_view nearest_name(std::string_view text, std::span<const std::string_view> names);

}  // namespace lathe::ir::graph
