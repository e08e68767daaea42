// Rows whose even elements lie before the odd ones: bf16 is widened so by one instruction for a
// vector, where its order costs two.
#pragma once

#include <cstdint>

#include "ir/program/builder.h"

namespace lathe::compiler::kernels::attention {

enum class Half : uint8_t { even, odd };

/// The even or the odd elements, as f32, of the pairs `at` of a row of bf16.
ir::program::Vec load_half(ir::program::Builder& b, ir::program::Pointer row, ir::program::Span at,
                           Half half);

/// Writes pairs `at` to `to`, each element in its place.
void store_pairs(ir::program::Builder& b, ir::program::Pointer to, const ir::program::Span& at,
                 ir::program::Vec even, ir::program::Vec odd);

/// Reads pairs `at` of `from`, and writes their even elements to `to`, the odd ones `half` elements
/// behind them.
void copy_halves(ir::program::Builder& b, ir::program::Pointer from, const ir::program::Span& at,
                 ir::program::Pointer to, int64_t half);

/// The same place so many elements further on.
inline ir::program::Span behind(ir::program::Span at, int64_t elements) {
  at.offset += elements;
  return at;
}

}  // namespace lathe::compiler::kernels::attention
