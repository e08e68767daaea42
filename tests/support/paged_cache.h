// Inputs of kernels that read pages of a cache: entries that nothing needs, and pages that nothing
// may read.
#pragma once

#include "tests/support/kernel_cases.h"

namespace lathe::tests {

/// Of the block table of a case whose earlier inputs are there: which entries its lengths need.
void describe_pages(const ir::graph::Graph& reference, const KernelCase& kernel_case,
                    compiler::ElementRange& entries);

/// Makes NaN of all in the pools that is no key of a sequence: whole pages, and the rest of those
/// that are not full. Nothing of cases without pages.
void spoil_unused_pages(const ir::graph::Graph& reference, KernelCase& kernel_case);

}  // namespace lathe::tests
