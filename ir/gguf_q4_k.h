// One block of q4_K: reading an element, and choosing scales, minima and codes for 256 values.
#pragma once

#include <cstddef>

namespace lathe::ir {

inline constexpr int kQ4KBlock = 256;  ///< values of a block
inline constexpr int kQ4KPart = 32;    ///< values that share a scale and a minimum

float dequantize_q4_k(const std::byte* block, int index);

/// The choice of ggml's reference quantiser, bit for bit where its arithmetic stays in range; see
/// ir/gguf_blocks.h.
void quantize_q4_k(const float* x, std::byte* block);

}  // namespace lathe::ir
