// Which buffer every pointer register points into: static, because a pointer never changes buffer.
#pragma once

#include <vector>

#include "ir/program/program.h"

namespace lathe::ir::program {

/// Indexed by pointer register id: the index of its buffer, or -1 for a register that nothing
/// writes. verify_error naming the pmov where one register would point into two buffers.
Result<std::vector<int>> pointer_buffers(const Program& program);

}  // namespace lathe::ir::program
