// The families of this folder, in the catalogue's order: a line for each, and a function of its
// name in a file of its own. Of several that compute a graph's node the first takes it: attention
// that reads less stands before attention that reads all.
#pragma once

#include "compiler/family.h"

// clang-format off
#define LATHE_KERNEL_FAMILIES(F) \
  F(rms_norm)                    \
  F(layer_norm)                  \
  F(normalize)                   \
  F(softmax)                     \
  F(log_softmax)                 \
  F(gelu)                        \
  F(silu)                        \
  F(relu)                        \
  F(swiglu)                      \
  F(rope)                        \
  F(elementwise)                 \
  F(embedding)                   \
  F(quantize)                    \
  F(write_cache)                 \
  F(linear)                      \
  F(batched_matmul)              \
  F(attention_low_rank)          \
  F(attention_token_sparse)      \
  F(attention_block_sparse)      \
  F(attention_decode)            \
  F(attention_prefill)           \
  F(attention_page_bounds)       \
  F(attention_page_scores)       \
  F(attention_router)
// clang-format on

namespace lathe::compiler::kernels {

#define LATHE_DECLARE_FAMILY(name) const Family& name();
LATHE_KERNEL_FAMILIES(LATHE_DECLARE_FAMILY)
#undef LATHE_DECLARE_FAMILY

}  // namespace lathe::compiler::kernels
