// What a kernel must not have touched in an operand that it updates.
#pragma once

#include <cstdint>

#include "ir/graph/reference.h"
#include "ir/tensor.h"

namespace lathe::compiler {

/// The first element that `found` does not hold bit by bit as `before` did although the oracle
/// leaves it as it was, or of a block-quantised tensor the first of such a block; -1: there is
/// none. `expected` is what the oracle makes of `before`; where it replaces an element by an equal
/// number, a kernel has to write the same bits, or none.
int64_t changed_element(const ir::Tensor& found, const ir::Tensor& before,
                        const ir::graph::DoubleTensor& expected);

}  // namespace lathe::compiler
