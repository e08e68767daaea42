// Selection of families that takes more than one call.
#pragma once

#include <string>
#include <string_view>

#include "compiler/lowering/lowered_graph.h"
#include "ir/graph/op.h"

namespace lathe::compiler::lowering {

/// A `linear` or `matmul` node as the call, of the family that it has, that multiplies; adds the
/// steps that it needs (packing the weight, the bias as f32) to the calls before it. False, with
/// the reason, for what the family does not compute; nothing is added then.
bool select_linear(LoweredGraph& lowered, const ir::graph::Node& node, Call& call,
                   std::string& reason);

/// A `matmul` node of which neither side is a matrix that can be packed once, as the call that
/// multiplies. False, with the reason, for what batched_matmul does not compute.
bool select_batched_matmul(const LoweredGraph& lowered, const ir::graph::Node& node, Call& call,
                           std::string& reason);

/// An `attention` node, as a call of call.family. False, with the reason, for what that does not
/// compute.
bool select_attention(const LoweredGraph& lowered, const ir::graph::Node& node, Call& call,
                      std::string& reason);

/// A `write_cache` node. False, with the reason, for what write_cache does not compute.
bool select_write_cache(const LoweredGraph& lowered, const ir::graph::Node& node, Call& call,
                        std::string& reason);

/// Attention whose keys and values are products with rows of factors, alone or merged with
/// attention of whole keys, as a call of attention_low_rank. False, with the reason, for other
/// attention.
bool select_low_rank(const LoweredGraph& lowered, const ir::graph::Node& node, Call& call,
                     std::string& reason);

/// A node whose operands and results are those of call.family: scores of blocks or pages, or bounds
/// of pages. False, with the reason, for what that does not compute.
bool select_scores(const LoweredGraph& lowered, const ir::graph::Node& node, Call& call,
                   std::string& reason);

/// Whether plain functions of the runtime compute nodes of the op: those that choose by scores.
bool is_function(std::string_view op);
/// Such a node as a call of its function. False, with the reason, for types that it does not take.
bool select_function(const LoweredGraph& lowered, const ir::graph::Node& node, Call& call,
                     std::string& reason);

/// Whether a call without rows is a problem of its family; if not, why.
bool is_problem(const Call& call, std::string& reason);

/// The family whose calls have that form, of the forms that are one family's.
const Family& family_of(CallForm form);
/// Whether nodes of the op become calls of the family.
bool computes(const Family& family, std::string_view op);

/// Where `value` is a transpose of just the last two dimensions of another: that other; else -1.
/// Products read it the other way about, and the transpose is dropped if nothing else reads it.
ValueId untransposed(const LoweredGraph& lowered, ValueId value);

/// Elements of a tensor whose dimensions are numbers.
inline int64_t elements(const ir::graph::TensorType& type) {
  int64_t product = 1;
  for (const auto& dim : type.shape) product *= dim.number();
  return product;
}

/// Values for the parts of a packing step's layout, as its outputs.
void add_parts(LoweredGraph& lowered, Call& pack);

}  // namespace lathe::compiler::lowering
