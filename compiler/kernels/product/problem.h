// What families of products share as problems: their epilogue.
#pragma once

#include <string_view>
#include <vector>

#include "compiler/kernels/product/product.h"
#include "compiler/problem.h"
#include "ir/graph/builder.h"

namespace lathe::compiler::kernels::product {

/// invalid_argument unless the parameter `epilogue` is an expression of y, [rows, n], and of a
/// `pair` of z, too, whose other inputs have none of the names `taken`.
Status check_epilogue(const Problem& problem, bool pair,
                      const std::vector<std::string_view>& taken);

/// The epilogue of y (and z) on its other inputs, which are those of the graph from `first` on.
ir::graph::Var epilogue_graph(ir::graph::GraphBuilder& graph, const Fragment& epilogue,
                              const Signature& signature, const std::vector<ir::graph::Var>& inputs,
                              size_t first, ir::graph::Var y, ir::graph::Var z, ir::Type out);

}  // namespace lathe::compiler::kernels::product
