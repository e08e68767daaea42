// How operands of attention lie, and what reads them: for the selections of attention's families.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "ir/graph/graph.h"
#include "ir/graph/head_layout.h"

namespace lathe::compiler::lowering {

/// Operands of `attention` by their places in the op's table.
enum AttentionOperand : size_t {
  kQ,
  kK,
  kV,
  kMask,
  kCuSeqlens,
  kCuSeqlensK,
  kLengths,
  kOffset,
  kSinks
};

/// The operand of that place, -1 where it is left out.
ir::graph::ValueId operand_of(const ir::graph::Node& node, size_t index);

/// The node that computes the value; null for an input.
const ir::graph::Node* producer_of(const ir::graph::Graph& graph, ir::graph::ValueId value);

/// The same where it is of that op; else null.
const ir::graph::Node* producer_of(const ir::graph::Graph& graph, ir::graph::ValueId value,
                                   std::string_view op);

/// A shape of numbers.
std::vector<int64_t> sizes_of(const ir::graph::TensorType& type);

/// Of a tensor of heads, as [batch, tokens, heads, size]; without a size, as if it were 1.
std::vector<int64_t> strides_of_heads(const ir::graph::TensorType& type,
                                      const ir::graph::HeadLayout& layout, bool has_size);

/// Whether a node other than `reader` reads the value, or whoever runs the graph does.
bool is_read_elsewhere(const ir::graph::Graph& graph, ir::graph::ValueId value,
                       const ir::graph::Node& reader);

/// How many results, from the first, somebody reads.
size_t results_read(const ir::graph::Graph& graph, const ir::graph::Node& node);

/// Whether a value, or none, is one i32 for each of so many sequences: as kernels read lengths.
bool is_one_each(const ir::graph::Graph& graph, ir::graph::ValueId value, int64_t sequences);

}  // namespace lathe::compiler::lowering
