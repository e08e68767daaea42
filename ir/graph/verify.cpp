// The verifier, whole-graph inference, and binding of named dimensions.
#include "ir/graph/verify.h"

#include <algorithm>
#include <unordered_set>

#include "ir/graph/ops.h"

namespace lathe::ir::graph {
namespace {

// The rest of an inference error, with the node's place in front.
tl::unexpected<Error> at(const Graph& graph, const Node& node, const Error& error) {
  return fail(ErrorCode::verify_error, "{}: {}", describe(graph, node), error.message);
}

std::string describe_input(const Graph& graph, ValueId id) {
  const Value& value = graph.value(id);
  std::string place;
  if (value.location.line > 0) {
    place = fmt::format("{}:{}: ", value.location.line, value.location.column);
  }
  return fmt::format("{}input %{}", place, value.name);
}

bool is_valid_id(const Graph& graph, ValueId id) {
  return id >= 0 && static_cast<size_t>(id) < graph.values.size();
}

Status check_names(const Graph& graph) {
  if (!is_word(graph.name)) {
    return fail(ErrorCode::verify_error,
                "found graph name '{}', expected a letter, then letters, digits, '_' and '.'",
                graph.name);
  }
  std::unordered_set<std::string_view> names;
  for (const Value& value : graph.values) {
    if (!is_value_name(value.name)) {
      return fail(ErrorCode::verify_error,
                  "found value name '{}', expected letters, digits, '_' and '.'", value.name);
    }
    if (!names.insert(value.name).second) {
      return fail(ErrorCode::verify_error, "two values are named '%{}'", value.name);
    }
  }
  return {};
}

// A node's types as inference sees them: null where an operand is omitted.
std::vector<const TensorType*> operand_types(const Graph& graph, const Node& node) {
  std::vector<const TensorType*> types;
  for (size_t i = 0; i < node.operands.size(); ++i) types.push_back(graph.operand_type(node, i));
  return types;
}

Status check_node(const Graph& graph, int32_t index, std::vector<bool>& defined) {
  const Node& node = graph.nodes[static_cast<size_t>(index)];
  if (node.op == nullptr) {
    return at(graph, node,
              {ErrorCode::verify_error, "found a node without op, expected one of the table"});
  }
  for (const ValueId id : node.operands) {
    if (id == kNoValue) continue;
    if (!is_valid_id(graph, id) || !defined[static_cast<size_t>(id)]) {
      return at(
          graph, node,
          {ErrorCode::verify_error,
           fmt::format("operand {} is used before its definition",
                       is_valid_id(graph, id) ? "%" + graph.value(id).name : std::to_string(id))});
    }
  }
  const auto complete = complete_attributes(*node.op, node.attributes);
  if (!complete) return at(graph, node, complete.error());
  if (*complete != node.attributes) {
    return at(graph, node,
              {ErrorCode::verify_error,
               "its attributes are not complete and in order; use complete_attributes()"});
  }
  const auto types = infer_node(*node.op, operand_types(graph, node), node.attributes,
                                static_cast<int>(node.results.size()));
  if (!types) return at(graph, node, types.error());
  for (size_t i = 0; i < node.results.size(); ++i) {
    const ValueId id = node.results[i];
    if (!is_valid_id(graph, id) || defined[static_cast<size_t>(id)] ||
        graph.value(id).producer != index || graph.value(id).result != static_cast<int32_t>(i)) {
      return at(graph, node,
                {ErrorCode::verify_error,
                 fmt::format("result {} is not a value that this node alone defines", i)});
    }
    if (graph.type(id) != (*types)[i]) {
      return at(graph, node,
                {ErrorCode::verify_error,
                 fmt::format("%{} has type {}, expected {}", graph.value(id).name,
                             to_string(graph.type(id)), to_string((*types)[i]))});
    }
    defined[static_cast<size_t>(id)] = true;
  }
  return {};
}

}  // namespace

Status check_type(const TensorType& type) {
  if (type.rank() > kMaxRank) {
    return fail(ErrorCode::verify_error, "found rank {}, expected at most {}", type.rank(),
                kMaxRank);
  }
  for (const Dim& dim : type.shape) {
    const int64_t least = dim.is_number() ? 0 : 1;
    if (dim.factor < least || dim.factor > kMaxDim || (!dim.is_number() && !is_word(dim.symbol))) {
      return fail(ErrorCode::verify_error,
                  "found dimension '{}' in {}, expected a number up to {} or a name",
                  to_string(dim), to_string(type), kMaxDim);
    }
  }
  LATHE_CHECK(product(type.shape));
  const int block = info(type.element).block_elements;
  if (block > 1 && (type.rank() == 0 || type.shape.back().factor % block != 0)) {
    return fail(ErrorCode::verify_error,
                "found {}, expected a last dimension that is a multiple of the block of {}",
                to_string(type), block);
  }
  return {};
}

Status verify(const Graph& graph) {
  LATHE_CHECK(check_names(graph));
  std::vector<bool> defined(graph.values.size(), false);
  for (const ValueId id : graph.inputs) {
    if (!is_valid_id(graph, id) || defined[static_cast<size_t>(id)] ||
        graph.value(id).producer != -1) {
      return fail(ErrorCode::verify_error, "input {} is not a value that only the inputs define",
                  id);
    }
    if (const auto checked = check_type(graph.type(id)); !checked) {
      return fail(ErrorCode::verify_error, "{}: {}", describe_input(graph, id),
                  checked.error().message);
    }
    defined[static_cast<size_t>(id)] = true;
  }
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    LATHE_CHECK(check_node(graph, static_cast<int32_t>(i), defined));
  }
  if (const auto missing = std::find(defined.begin(), defined.end(), false);
      missing != defined.end()) {
    return fail(ErrorCode::verify_error, "value %{} has no definition",
                graph.values[static_cast<size_t>(missing - defined.begin())].name);
  }
  if (graph.outputs.empty()) {
    return fail(ErrorCode::verify_error, "found a graph without outputs, expected one or more");
  }
  for (const ValueId id : graph.outputs) {
    if (!is_valid_id(graph, id)) {
      return fail(ErrorCode::verify_error, "output {} is not a value of the graph", id);
    }
  }
  return {};
}

Status infer(Graph& graph) {
  for (const Node& node : graph.nodes) {
    auto types = infer_node(*node.op, operand_types(graph, node), node.attributes,
                            static_cast<int>(node.results.size()));
    if (!types) return at(graph, node, types.error());
    for (size_t i = 0; i < node.results.size(); ++i) {
      graph.value(node.results[i]).type = std::move((*types)[i]);
    }
  }
  return {};
}

namespace {

// A name that stayed one has the size that its first value has, as the number of blocks that so
// many tokens make.
bool keeps_promise(const TensorType& promised, const TensorType& type, DimBindings& found) {
  if (promised.element != type.element || promised.rank() != type.rank()) return false;
  for (size_t i = 0; i < type.shape.size(); ++i) {
    const Dim& expected = promised.shape[i];
    const Dim& dim = type.shape[i];
    if (dim == expected) continue;
    if (expected.is_number() || !dim.is_number() || dim.number() % expected.factor != 0)
      return false;
    const int64_t size = dim.number() / expected.factor;
    if (found.emplace(expected.symbol, size).first->second != size) return false;
  }
  return true;
}

}  // namespace

Result<Graph> bind_dims(const Graph& graph, const DimBindings& bindings) {
  Graph bound = graph;
  for (Value& value : bound.values) {
    LATHE_TRY(value.type.shape, bind_shape(value.type.shape, bindings));
  }
  for (Node& node : bound.nodes) {
    Attributes attributes = node.attributes;
    for (const NamedAttribute& attribute : node.attributes) {
      if (attribute.value.kind() != AttributeKind::dims) continue;
      LATHE_TRY(Shape dims, bind_shape(attribute.value.dims(), bindings));
      attributes.set(attribute.name, std::move(dims));
    }
    node.attributes = std::move(attributes);
  }
  // What inference finds for the numbers must be what the names promised: a slice of five needs
  // five.
  const Graph promised = bound;
  LATHE_CHECK(infer(bound));
  DimBindings found;
  for (const Node& node : bound.nodes) {
    for (const ValueId id : node.results) {
      if (keeps_promise(promised.type(id), bound.type(id), found)) continue;
      return fail(ErrorCode::verify_error, "{}: found {} for these sizes, expected {}",
                  describe(bound, node), to_string(bound.type(id)), to_string(promised.type(id)));
    }
  }
  return bound;
}

}  // namespace lathe::ir::graph
