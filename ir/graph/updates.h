// Outputs that are inputs with some of their elements replaced: what a call may do in one memory.
#pragma once

#include <vector>

#include "ir/graph/graph.h"

namespace lathe::ir::graph {

/// For each output of the graph, the place among its inputs of the one that it is but for some of
/// its elements, through ops that say so (Op::updates) and reshapes; -1 where there is none. No
/// input stands twice: of two outputs the first has it.
std::vector<int> updated_inputs(const Graph& graph);

/// An operand of a call of the graph.
struct CallOperand {
  ValueId value = kNoValue;
  bool output = false;
  bool updated = false;  ///< an output that is an input, too: given once
};

/// The operands as a kernel's call has them: inputs that no output updates, then outputs.
std::vector<CallOperand> call_operands(const Graph& graph);

}  // namespace lathe::ir::graph
