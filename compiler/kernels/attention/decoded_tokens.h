// Which of the attention families is for how many tokens.
#pragma once

#include <cstdint>

namespace lathe::compiler::kernels::attention {

/// The most new tokens of a sequence that attention_decode is for; attention_prefill is for more.
inline constexpr int64_t kMostDecodedTokens = 16;

}  // namespace lathe::compiler::kernels::attention
