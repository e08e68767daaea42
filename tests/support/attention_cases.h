// Attention problems that between them reach every variant, and lengths that fill no tile.
#pragma once

#include <string>
#include <vector>

#include "compiler/problem.h"

namespace lathe::tests {

struct AttentionCase {
  std::string line;
  compiler::Sizes sizes;
};

/// Every variant of attention_prefill at a length or two, and causal attention at every one.
std::vector<AttentionCase> attention_prefill_cases();

/// Every variant of attention_decode, with a few tokens and contexts of one to several parts.
std::vector<AttentionCase> attention_decode_cases();

/// Every variant of attention_low_rank: ranks below, at and above the size of a head, windows of
/// one to several parts.
std::vector<AttentionCase> attention_low_rank_cases();

/// All of them.
std::vector<AttentionCase> attention_cases();

}  // namespace lathe::tests
