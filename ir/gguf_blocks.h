// Block-quantised types in GGUF's layout: q8_0, q4_0 and q4_K, bit for bit.
//
// Each block starts with an f16 scale d (little endian).
//   q8_0   32 elements, 34 bytes: d, 32 x i8                 value = q * d
//   q4_0   32 elements, 18 bytes: d, 16 bytes of nibbles     value = (q - 8) * d
//          (low nibbles are elements 0..15, high nibbles 16..31)
//   q4_K  256 elements, 144 bytes: d, f16 dmin, 12 bytes with eight 6-bit scales and eight 6-bit
//          minima, 128 bytes of nibbles. Sub-block s of 32 elements: value = d*scale[s]*q -
//          dmin*min[s]; sub-blocks 2i and 2i+1 are the low and high nibbles of bytes 32i..32i+31.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "ir/types.h"

namespace lathe::ir {

/// Quantises whole blocks (x.size() a multiple of the block); `blocks` has bytes_of(type, x.size())
/// bytes. The codes are those of ggml's reference quantisers, bit for bit where their arithmetic
/// stays in range:
///   q8_0  d = max|x| / 127, q = x/d rounded half away from zero;
///   q4_0  d = (the element largest in magnitude) / -8, q = min(15, trunc(x/d + 8.5));
///         both use d in f32 and store it as f16;
///   q4_K  for each part of 32 the scale and minimum of least squared error, weighted by
///         sqrt(mean x²) + |x|, among 21 stretchings of its range; these in 6 bits below d and
///         dmin; then codes for the factors as stored.
/// A block with a NaN or infinity reads back as NaN throughout.
void quantize(Type type, std::span<const float> x, std::byte* blocks);

/// Reads whole blocks of any of the three types.
void dequantize(Type type, const std::byte* blocks, std::span<float> out);

/// Element `index` of one block.
float dequantize_element(Type type, const std::byte* block, int index);

/// Scale and minimum of sub-block 0..7 from the 12 packed bytes of a q4_K block (0..63 each).
struct ScaleMin {
  uint8_t scale;
  uint8_t min;
};
ScaleMin q4_k_scale_min(const std::byte* packed, int sub_block);

}  // namespace lathe::ir
