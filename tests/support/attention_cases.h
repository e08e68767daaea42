// Attention problems that between them reach every variant, and lengths that fill no tile.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "compiler/check_inputs.h"
#include "compiler/problem.h"

namespace lathe::tests {

struct AttentionCase {
  std::string line;
  compiler::Sizes sizes;
  /// Operands that are not drawn: bounds of packed sequences, lengths.
  std::map<std::string, std::vector<int64_t>> given{};
  compiler::InputPattern pattern = compiler::InputKind::normal;
};

/// Every variant of attention_prefill at a length or two, and causal attention at every one.
std::vector<AttentionCase> attention_prefill_cases();

/// Packed sequences of every form, some of them without tokens or keys; and limited memory.
std::vector<AttentionCase> attention_packed_cases();

/// Every variant of attention_decode, with a few tokens and contexts of one to several parts.
std::vector<AttentionCase> attention_decode_cases();

/// attention_decode against a paged cache, with pages shorter and longer than blocks of keys.
std::vector<AttentionCase> attention_paged_cases();
/// One of them: the first sequence has all keys that `context` asks for, the last none; where there
/// are fewer pages than the sequences have together, they share some.
AttentionCase paged_case(const std::string& rest, int64_t page, int64_t tokens, int64_t context,
                         int64_t batch = 3, int64_t spare_pages = 2);

/// attention_decode against caches in blocks of q8_0, contiguous and paged.
std::vector<AttentionCase> attention_block_cases();

/// Every variant of attention_block_sparse, with lists of every length in any order of lengths.
std::vector<AttentionCase> attention_block_sparse_cases();

/// Every variant of attention_router.
std::vector<AttentionCase> attention_router_cases();

/// Every variant of attention_low_rank: ranks below, at and above the size of a head, windows of
/// one to several parts.
std::vector<AttentionCase> attention_low_rank_cases();

/// Every variant of attention_token_sparse: pages of one key and more, lists that reach behind the
/// keys or repeat a page, several parts; and of what makes the lists.
std::vector<AttentionCase> attention_token_sparse_cases();

/// All of them.
std::vector<AttentionCase> attention_cases();

}  // namespace lathe::tests
