// What callers' views of a graph's inputs and outputs must be.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include <lathe/error.h>
#include <lathe/tensor_view.h>

#include "ir/graph/graph.h"
#include "ir/graph/reference.h"

namespace lathe::runtime {

/// Types and shapes of views of the graph's inputs, which must outlive them. invalid_argument
/// naming the input whose rank or type is none.
Result<std::vector<ir::graph::InputShape>> shapes_of(const ir::graph::Graph& graph,
                                                     std::span<const TensorView> inputs);

/// Whether a view is one of a value whose dimensions are all numbers: of its type and shape, dense,
/// aligned to its elements, not null but where it is empty. invalid_argument naming `role`, the
/// value, what was found and what was expected.
Status check_graph_view(std::string_view role, const ir::graph::Graph& graph, ir::graph::ValueId id,
                        const TensorView& view);

/// Whether two dense views have a byte in common.
bool share_memory(const TensorView& a, const TensorView& b);

}  // namespace lathe::runtime
