// Attention problems that between them reach every variant, and lengths that fill no tile.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "compiler/problem.h"

namespace lathe::tests {

struct AttentionCase {
  std::string line;
  compiler::Sizes sizes;
  /// Operands that are not drawn: bounds of packed sequences, lengths.
  std::map<std::string, std::vector<int64_t>> given{};
};

/// Every variant of attention_prefill at a length or two, and causal attention at every one.
std::vector<AttentionCase> attention_prefill_cases();

/// Packed sequences of every form, some of them without tokens or keys; and limited memory.
std::vector<AttentionCase> attention_packed_cases();

/// Every variant of attention_decode, with a few tokens and contexts of one to several parts.
std::vector<AttentionCase> attention_decode_cases();

}  // namespace lathe::tests
