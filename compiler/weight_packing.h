// Packed weights: a constant matrix in the order in which matmul kernels read it.
//
// A weight [n, k] is cut into panels of `panel` rows; within a panel the elements of one k lie side
// by side: packed[i][j][c] = w[i * panel + c][j], zero where the row does not exist. With `pair`
// the weight is [2n, k] and a panel holds panel/2 rows of its first half, then the same of its
// second. Packed weights are ordinary tensors, so that what a kernel computes on them is an
// ordinary graph.
//
// A weight of codes has several tensors, its parts. Codes lie in groups of four consecutive
// k, the four bytes of each column side by side, so that one vector holds four k of as many columns
// as it has lanes:
//   i8    w         i8  [panels, k/4, panel, 4], k rounded up to 16 with zeros: byte i of group g
//   is
//                       the code of element 4g + i
//         w_scales  f32 [panels, panel]: what one step of a row's codes is worth
//   q8_0  w         i8  [panels, k/32, 8, panel, 4]: byte i of group g is the code of element 4g +
//   i
//         w_scales  f16 [panels, k/32, panel]: d
//   q4_0  w         u8  [panels, k/32, 4, panel, 4]: byte i of group g has the code of element 4g +
//   i
//                       in its low nibble, that of 16 + 4g + i in its high one
//         w_scales  f16 [panels, k/32, panel]: d
//   q4_K  w         u8  [panels, k/32, 4, panel, 4]: as q4_0, for each sub-block of 32
//         w_scales  f16 [panels, k/256, 2, panel]: d, dmin
//         w_factors u32 [panels, k/256, 3, panel]: the block's 12 bytes of scales and minima, as
//         words
// Blocks take as many bytes as in GGUF.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ir/graph/builder.h"
#include "ir/tensor.h"
#include "ir/types.h"
#include "support/error.h"

namespace lathe::compiler {

inline constexpr int64_t kInt8Unit = 16;  ///< k of an i8 weight are packed in whole ones
inline int64_t int8_padded(int64_t k) { return (k + kInt8Unit - 1) / kInt8Unit * kInt8Unit; }

/// What a weight is and how it is packed.
struct WeightLayout {
  ir::Type type = ir::Type::f32;
  int64_t n = 1, k = 1;  ///< of one half, where `pair`
  int64_t panel = 16;
  bool pair = false;

  int64_t rows_per_panel() const { return pair ? panel / 2 : panel; }  ///< of each half
  int64_t panels() const { return (n + rows_per_panel() - 1) / rows_per_panel(); }
};

/// One tensor of a packed weight.
struct PackedPart {
  std::string name;  ///< of the kernel's operand: w, w_scales, w_factors
  ir::Type type = ir::Type::f32;
  std::vector<int64_t> shape;
};
std::vector<PackedPart> packed_parts(const WeightLayout& layout);

/// invalid_argument where k is no multiple of the type's block, or for i8 so large that a sum of
/// products of codes could leave 32 bits.
Status check_layout(const WeightLayout& layout);

/// The weight's values from its parts, as f32 [n, k] or, with `pair`, [2n, k].
ir::graph::Var unpacked(ir::graph::GraphBuilder& graph, const WeightLayout& layout,
                        const std::vector<ir::graph::Var>& parts);

/// Where a weight's rows lie: [n, k], in the layout's type but where that is i8.
struct WeightRows {
  const std::byte* data = nullptr;
  int64_t row_bytes = 0;    ///< from one row to the next
  bool transposed = false;  ///< it is [k, n]; pack_panels reads none such
  /// Of an i8 layout's rows: i8, or f32, f16 or bf16 to be quantised as ir::quantize_row does.
  ir::Type type = ir::Type::i8;
  const float* scales = nullptr;  ///< of rows of i8: what one step of each row's codes is worth
};

/// Packs panels first … last-1 to the parts' storage. Thread-safe for disjoint panels.
/// invalid_argument naming row and element where a q8_0 code is -128: no quantiser writes it (d =
/// max|x| / 127), and kernels count on its absence; naming the row where what is to be quantised or
/// a scale is not finite.
Status pack_panels(const WeightLayout& layout, const WeightRows& rows, int64_t first, int64_t last,
                   const std::vector<std::byte*>& parts);

}  // namespace lathe::compiler
