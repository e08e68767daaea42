// Packing of float weights: the order of elements, once for packing and once as a graph.
#include "compiler/weight_packing.h"

#include <algorithm>
#include <cstring>

namespace lathe::compiler {
namespace {

// The row of w that column `column` of panel `panel` holds, or -1 where there is none.
int64_t row_of(const WeightLayout& layout, int64_t panel, int64_t column) {
  const int64_t half = layout.rows_per_panel();
  const int64_t row = panel * half + column % half;
  if (row >= layout.n) return -1;
  return column < half ? row : layout.n + row;
}

template <typename T>
void pack_floats(const WeightLayout& layout, const std::byte* rows, int64_t row_bytes,
                 int64_t panel, T* packed) {
  // Blocks of k that keep the panel's part in the first cache.
  constexpr int64_t kBlock = 64;
  for (int64_t start = 0; start < layout.k; start += kBlock) {
    const int64_t end = std::min(start + kBlock, layout.k);
    for (int64_t column = 0; column < layout.panel; ++column) {
      const int64_t row = row_of(layout, panel, column);
      T* to = packed + start * layout.panel + column;
      const std::byte* from = rows + (row < 0 ? 0 : row * row_bytes);
      for (int64_t j = start; j < end; ++j, to += layout.panel) {
        T value{};
        if (row >= 0)
          std::memcpy(&value, from + j * static_cast<int64_t>(sizeof(T)), sizeof(T));
        *to = value;
      }
    }
  }
}

}  // namespace

std::vector<PackedPart> packed_parts(const WeightLayout& layout) {
  return {{"w", layout.type, {layout.panels(), layout.k, layout.panel}}};
}

ir::graph::Var unpacked(ir::graph::GraphBuilder& graph, const WeightLayout& layout,
                        const std::vector<ir::graph::Var>& parts) {
  using ir::graph::Var;
  const int64_t half = layout.rows_per_panel();
  Var w = parts.front();
  if (layout.type != ir::Type::f32) w = graph.op("cast", {w}, {{"type", ir::Type::f32}});
  // [panels, k, halves, half] -> [halves, panels, half, k] -> [halves, panels * half, k]
  const int64_t halves = layout.panel / half;
  w = graph.op("reshape", {w}, {{"shape", ir::graph::Shape{layout.panels(), layout.k, halves, half}}});
  w = graph.op("transpose", {w}, {{"perm", std::vector<int64_t>{2, 0, 3, 1}}});
  w = graph.op("reshape", {w},
               {{"shape", ir::graph::Shape{halves, layout.panels() * half, layout.k}}});
  w = graph.op("slice", {w}, {{"axis", 1}, {"end", layout.n}});
  return graph.op("reshape", {w}, {{"shape", ir::graph::Shape{halves * layout.n, layout.k}}});
}

void pack_panels(const WeightLayout& layout, const std::byte* rows, int64_t row_bytes,
                 int64_t first, int64_t last, const std::vector<std::byte*>& parts) {
  for (int64_t panel = first; panel < last; ++panel) {
    const int64_t offset = panel * layout.k * layout.panel;
    if (layout.type == ir::Type::f32) {
      pack_floats(layout, rows, row_bytes, panel, reinterpret_cast<float*>(parts[0]) + offset);
    } else {
      pack_floats(layout, rows, row_bytes, panel, reinterpret_cast<uint16_t*>(parts[0]) + offset);
    }
  }
}

}  // namespace lathe::compiler
