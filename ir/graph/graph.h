// The graph IR: values, nodes that compute them in order, inputs and outputs.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ir/graph/attributes.h"
#include "ir/graph/dim.h"

namespace lathe::ir::graph {

struct Op;

/// Index of a value in its graph. kNoValue stands for an omitted optional operand.
using ValueId = int32_t;
inline constexpr ValueId kNoValue = -1;

/// Where a value or node stood in its text; line 0 means it came from a builder.
struct Location {
  int line = 0;
  int column = 0;
};

struct Value {
  std::string name;  ///< without the leading %; unique in the graph
  TensorType type;
  int32_t producer = -1;  ///< index of the node that computes it; -1 for an input
  int32_t result = 0;     ///< which of the producer's results it is
  Location location;
};

struct Node {
  const Op* op = nullptr;         ///< an entry of the op table; never owned
  std::vector<ValueId> operands;  ///< trailing omitted operands are dropped
  Attributes attributes;          ///< every attribute of the op, defaults included
  std::vector<ValueId> results;
  Location location;
};

/// A function from tensors to tensors. Nodes stand in an order in which every operand is defined
/// before its use. A plain value: copies are independent; const use from several threads is safe.
struct Graph {
  std::string name;
  std::vector<Value> values;
  std::vector<Node> nodes;
  std::vector<ValueId> inputs;
  std::vector<ValueId> outputs;

  const Value& value(ValueId id) const { return values[static_cast<size_t>(id)]; }
  Value& value(ValueId id) { return values[static_cast<size_t>(id)]; }
  const TensorType& type(ValueId id) const { return value(id).type; }
  /// The operand's type, or null where it is omitted.
  const TensorType* operand_type(const Node& node, size_t index) const;
  /// The value of that name (without %), or kNoValue.
  ValueId find(std::string_view value_name) const;
  /// Every node (by index) that reads `id`, in order.
  std::vector<int32_t> users(ValueId id) const;
  /// Names of the dimensions that appear in the inputs' types, in order of appearance.
  std::vector<std::string> dim_names() const;
};

/// True if the node's op has that name; false for a node without op.
bool is_op(const Node& node, std::string_view op_name);

/// "%h = rms_norm" with line and column where known: how errors name a node.
std::string describe(const Graph& graph, const Node& node);

/// Names of values: letters, digits, '_' and '.', at least one character.
bool is_value_name(std::string_view text);
/// Names of graphs, ops, attributes, dimensions: as above, not starting with a digit or '.', and
/// not "_".
bool is_word(std::string_view text);

}  // namespace lathe::ir::graph
