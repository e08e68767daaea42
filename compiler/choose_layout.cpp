// The width of panels by target, and layouts as text.
#include "compiler/choose_layout.h"

#include <algorithm>

#include <fmt/format.h>

namespace lathe::compiler {

WeightLayout choose_layout(ir::Type type, int64_t n, int64_t k, bool pair,
                           const ir::Target& target) {
  // 16 columns are two vectors of AVX2, one of AVX-512 and four of SSE: tiles of every target are
  // whole vectors of a panel, and a packed file serves them all.
  constexpr int64_t kPanel = 16;
  return {type, n, k, std::max<int64_t>(kPanel, target.lanes), pair};
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
