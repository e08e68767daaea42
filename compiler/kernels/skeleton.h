// The smallest kernel family, compiled and tested but in no catalogue: docs/add_a_kernel.md walks
// through it.
#pragma once

#include "compiler/family.h"

namespace lathe::compiler::kernels {

/// y = x * by.
const Family& scale();

}  // namespace lathe::compiler::kernels
