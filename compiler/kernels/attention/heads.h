// Fewer heads: what a miniature has, and what a check at true size looks at.
#pragma once

#include <cstdint>
#include <vector>

#include "compiler/family.h"

namespace lathe::compiler::kernels::attention {

/// A problem of grouped heads with two heads of k at most, and as many of q for each as before.
Result<Problem> with_few_heads(const Problem& problem);

/// The first and the last head of k, and the heads of q that share them.
struct OuterHeads {
  explicit OuterHeads(const Problem& problem);

  std::vector<int64_t> kv_heads, heads;
  /// The problem with so many heads.
  Result<Problem> problem(const Problem& whole) const;
};

}  // namespace lathe::compiler::kernels::attention
