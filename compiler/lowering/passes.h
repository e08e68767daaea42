// The passes from a graph to kernel calls, in order; each a function that a test shows before and
// after.
#pragma once

#include <span>
#include <string_view>

#include "compiler/lowering/lowered_graph.h"

namespace lathe::compiler::lowering {

/// One call a node, in the graph's order: a kernel where a family computes it, a view for a
/// reshape, the host for the rest. Nodes that nothing reads are left out. The graph's dimensions
/// are numbers. The weight of a product is packed as `layouts` says, by a step before its first
/// one.
Result<LoweredGraph> select_kernels(const ir::graph::Graph& graph,
                                    const LayoutRule& layouts = default_layouts({}));

/// Joins an elementwise kernel with the one elementwise kernel that reads its result.
void fuse_elementwise(LoweredGraph& lowered);

/// Joins two products of the same x whose results one elementwise kernel alone reads (a gate and
/// what it gates) into one product with a pair of weights.
void fuse_linear_pair(LoweredGraph& lowered);

/// Pulls the elementwise kernel that alone reads a product into its epilogue: activation, residual.
void fuse_linear_epilogue(LoweredGraph& lowered);

/// Pulls the elementwise kernel that computes a norm's input into the norm; where others read that
/// value, too, the norm hands it out (residual add + norm with both results).
void fuse_norm_prologue(LoweredGraph& lowered);

/// Pulls the elementwise kernel that alone reads a norm's result into the norm.
void fuse_norm_epilogue(LoweredGraph& lowered);

/// Joins a per-head rms_norm with the rotation that alone reads it.
void fuse_norm_rope(LoweredGraph& lowered);

/// Lets the norm or product whose result is quantised, and else not read, write q8_0 itself.
void fuse_quantize(LoweredGraph& lowered);

/// Lets what makes the rows of a cache write them there: a rotation with its norm, and a cast or
/// quantisation of its result; the rows are not made otherwise.
void fuse_write_cache(LoweredGraph& lowered);

struct Pass {
  std::string_view name;
  void (*run)(LoweredGraph&);
  std::string_view what;
};
/// The passes after select_kernels, in order.
std::span<const Pass> passes();

/// select_kernels and all passes, or those up to and including the one named. not_found naming the
/// known passes for another name. "select_kernels" stops after the first step.
Result<LoweredGraph> lower(const ir::graph::Graph& graph, std::string_view last_pass = {},
                           const LayoutRule& layouts = default_layouts({}));

}  // namespace lathe::compiler::lowering
