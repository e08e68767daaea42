// The width of panels by target, and layouts as text.
#include "compiler/choose_layout.h"

#include <algorithm>

#include <fmt/format.h>

namespace lathe::compiler {
namespace {

// By measurement over 1 to 128 rows (docs/kernels.md): what is multiplied as floats wants a tile's
// rows to share what they load, and 16-bit columns want to be widened for many rows.
int64_t panel_width(ir::Type type, bool pair, const ir::Target& target) {
  constexpr int64_t kUsual = 16;  // two vectors of AVX2: tiles of every target are whole vectors
  const ir::TypeInfo& info = ir::info(type);
  if (info.block_elements > 1) return std::max<int64_t>(kUsual, target.lanes);
  if (target.lanes == 16) return 32;
  // Half a pair's panel must be whole vectors, too.
  const bool sixteen_bits = type == ir::Type::f16 || type == ir::Type::bf16;
  return target.lanes == 8 && sixteen_bits && !pair ? 24 : kUsual;
}

}  // namespace

WeightLayout choose_layout(ir::Type type, int64_t n, int64_t k, bool pair,
                           const ir::Target& target) {
  return {type, n, k, panel_width(type, pair, target), pair};
}

std::string print(const WeightLayout& layout) {
  return fmt::format("panels{} {} {}{}x{}", layout.panel, ir::name(layout.type),
                     layout.pair ? "2x" : "", layout.n, layout.k);
}

std::string layout_parameters(const WeightLayout& layout) {
  return fmt::format("n={} k={} weight={} panel={}{}", layout.n, layout.k, ir::name(layout.type),
                     layout.panel, layout.pair ? " pair=true" : "");
}

}  // namespace lathe::compiler
