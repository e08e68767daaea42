// Rules every graph obeys, shape inference over a whole graph, and fixing named dimensions.
#pragma once

#include "ir/graph/graph.h"
#include "support/error.h"

namespace lathe::ir::graph {

/// Checks that names are well-formed and unique, each value has one definition before its uses,
/// operands and attributes fit their op, and every type is the one inference gives. verify_error
/// naming the node (and its line and column if it came from text).
Status verify(const Graph& graph);

/// Checks one type: rank and sizes within the limits of dim.h, well-formed names, whole blocks.
Status check_type(const TensorType& type);

/// Sets the type of every computed value from the inputs' types. verify_error naming the node.
Status infer(Graph& graph);

/// The graph with named dimensions replaced by numbers, in types and attributes, inferred again.
/// Names absent from `bindings` stay, but where an op finds a number for one (of blocks that so
/// many tokens make). verify_error if the sizes do not fit (a slice beyond the end).
Result<Graph> bind_dims(const Graph& graph, const DimBindings& bindings);

}  // namespace lathe::ir::graph
