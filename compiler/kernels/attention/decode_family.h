// What families beside attention_decode take over from it: parameters, rules, what is checked.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "compiler/kernels/attention/attention.h"

namespace lathe::compiler::kernels::attention {

/// A family of a few tokens against a cache of another form than attention_decode's: its parameters
/// without masks and windows, causal at the end of the cache or not at all, and `lengths`. It is
/// asked for by its problem alone: no graph's node becomes a call of it.
Family family_of_decode(std::string name);

/// The rules of all such families.
Status validate_decode_family(const Problem& problem);

/// What a check at true size looks at: the first and the last head of k, the heads of q that share
/// them, and the last tokens.
struct SampledHeads {
  SampledHeads(const Attention& attention, const Sizes& sizes);

  std::vector<int64_t> kv_heads, heads, tokens;
  /// The problem with so many heads.
  Result<Problem> problem(const Problem& whole) const;
};

}  // namespace lathe::compiler::kernels::attention
