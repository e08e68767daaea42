// Keys and values that lie in memory from call to call, as an operand that kernels share.
#pragma once

#include "compiler/problem.h"
#include "compiler/shared_operand.h"

namespace lathe::compiler::kernels::attention {

/// How k and v, or their factors, lie when a kernel is timed and checked. Kernels take any strides.
ParameterSpec kv_layout_parameter();

/// A cache: prefill and decode of every length, whole or listed, read the one copy of keys and
/// values of so many heads of one size and type. Its layouts are tokens before heads (nhd) and
/// heads before tokens (hnd). Of attention_prefill and attention_block_sparse the problems that are
/// causal at the end read one, unless keys are packed; of one head both layouts are the same bytes,
/// and nothing is to be chosen.
const SharedOperand& cache_operand();

}  // namespace lathe::compiler::kernels::attention
