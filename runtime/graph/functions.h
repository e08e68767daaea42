// Steps of a graph that plain functions compute: lists of blocks and pages from their scores.
#pragma once

#include <span>

#include <lathe/error.h>
#include <lathe/tensor_view.h>

#include "ir/graph/graph.h"

namespace lathe::runtime {

/// Computes a node of select_blocks or select_pages on the calling thread: the operands that it
/// has, in order, to its results; all are dense, scores f32, lengths and lists i32. Time grows with
/// the scores. invalid_argument naming what is out of range, and scores to choose by that are NaN;
/// nothing is written then. internal for another op.
Status run_function(const ir::graph::Node& node, std::span<const TensorView> inputs,
                    std::span<const TensorView> outputs);

}  // namespace lathe::runtime
