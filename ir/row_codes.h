// Rows of 8-bit codes with one scale each: symmetric quantisation of a token's activations or of an
// output channel's weights.
#pragma once

#include <cstdint>
#include <span>

namespace lathe::ir {

/// Writes a code for each element of `row` and returns what one step of them is worth:
/// d = max|x| / 127, codes x * (1/d) rounded to nearest even, all in f32. Where 1/d is no finite
/// number the codes are 0. With a NaN or an infinity in the row d is NaN.
float quantize_row(std::span<const float> row, int8_t* codes);

}  // namespace lathe::ir
