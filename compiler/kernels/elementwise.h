// Building a kernel that is one elementwise fragment: `elementwise` itself and the activations.
#pragma once

#include "compiler/family.h"
#include "compiler/fragment.h"

namespace lathe::compiler::kernels {

/// The problem has rows, width, type, out and weight_type; the fragment's inputs are the operands,
/// the output is `y`.
Status validate_chain(const Problem& problem, const Fragment& fragment);
Signature chain_signature(const Problem& problem, const Fragment& fragment);
Result<ir::graph::Graph> chain_reference(const Problem& problem, const Fragment& fragment);
SearchSpace chain_space(const Problem& problem, const Fragment& fragment, const ir::Target& target);
Result<ir::plan::Plan> build_chain(const Problem& problem, const Fragment& fragment,
                                   const Schedule& schedule, const ir::Target& target);
Work chain_work(const Problem& problem, const Fragment& fragment, const Sizes& sizes);

}  // namespace lathe::compiler::kernels
