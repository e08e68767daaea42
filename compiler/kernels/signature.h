// Making signatures: operands of row kernels, fragments' inputs, graph inputs, traffic.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "compiler/family.h"
#include "compiler/fragment.h"
#include "compiler/signature.h"
#include "ir/graph/builder.h"
#include "ir/types.h"

namespace lathe::compiler::kernels {

Port matrix(std::string name, ir::Type type, int64_t width);      ///< input [rows, width]
Port row_vector(std::string name, ir::Type type, int64_t width);  ///< input [width]
Port output(Port port);

/// A fragment's inputs as operands: [rows, width] of `type`, [width] of `weight_type`, [rows, 1] of
/// f32. Leaves out `bound` (the value a chain continues) and names that the signature has.
void add_inputs(Signature& signature, const Fragment& fragment, ir::Type type, ir::Type weight_type,
                int64_t width, std::string_view bound = {});

/// invalid_argument where a fragment's input has a name of `taken`, or is in the signature with
/// another shape: `parameter` names the fragment.
Status check_inputs(const Signature& signature, const Fragment& fragment, int64_t width,
                    std::string_view parameter, const std::vector<std::string_view>& taken);

/// The inputs as graph inputs, in order; then the outputs that are updated.
std::vector<ir::graph::Var> add_graph_inputs(ir::graph::GraphBuilder& graph,
                                             const Signature& signature);

/// The same, found by their operands' names.
class NamedInputs {
 public:
  /// Both live as long as this.
  NamedInputs(ir::graph::GraphBuilder& graph, const Signature& signature)
      : graph_(graph), signature_(signature), inputs_(add_graph_inputs(graph, signature)) {}

  /// No value where the signature has no such operand.
  ir::graph::Var operator[](std::string_view name) const;
  /// As f32.
  ir::graph::Var wide(std::string_view name) const;

 private:
  ir::graph::GraphBuilder& graph_;
  const Signature& signature_;
  std::vector<ir::graph::Var> inputs_;
};

/// A fragment of f32 values on graph inputs of any float type (given in the order of the fragment's
/// inputs), rounded to `out` at its end.
ir::graph::Var fragment_graph(ir::graph::GraphBuilder& graph, const Fragment& fragment,
                              std::vector<ir::graph::Var> inputs, ir::Type out);
/// `x` as `type`, be it q8_0.
ir::graph::Var cast_to(ir::graph::GraphBuilder& graph, ir::graph::Var x, ir::Type type);

/// The size of a named dimension, 1 where `sizes` has none.
int64_t size_named(const Sizes& sizes, const std::string& name);

/// Compulsory traffic, and `flops` for each row.
Work work_of(const Signature& signature, const Sizes& sizes, double flops_per_row);

}  // namespace lathe::compiler::kernels
