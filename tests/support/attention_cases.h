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

/// Every variant of attention_token_sparse: pages of one key and more, lists that reach behind the
/// keys or repeat a page, several parts; and of what makes the lists.
std::vector<AttentionCase> attention_token_sparse_cases();

/// All of them.
std::vector<AttentionCase> attention_cases();

}  // namespace lathe::tests
