// The widths of panels by target, and layouts as text.
#include "compiler/choose_layout.h"

#include <algorithm>

#include <fmt/format.h>

namespace lathe::compiler {
namespace {

// Wider panels gain nothing (docs/kernels.md).
constexpr int64_t kWidest = 48;

// By measurement over 1 to 128 rows (docs/kernels.md): what is multiplied as floats wants a tile's
// rows to share what they load, and 16-bit columns want to be widened for many rows.
int64_t usual_panel(ir::Type type, bool pair, const ir::Target& target) {
  constexpr int64_t kUsual = 16;  // two vectors of AVX2: tiles of every target are whole vectors
  const ir::TypeInfo& info = ir::info(type);
  if (info.block_elements > 1) return std::max<int64_t>(kUsual, target.lanes);
  if (target.lanes == 16) return 32;
  // Half a pair's panel must be whole vectors, too.
  const bool sixteen_bits = type == ir::Type::f16 || type == ir::Type::bf16;
  return target.lanes == 8 && sixteen_bits && !pair ? 24 : kUsual;
}

}  // namespace

std::vector<WeightLayout> candidate_layouts(ir::Type type, int64_t n, int64_t k, bool pair,
                                            const ir::Target& target) {
  std::vector<WeightLayout> layouts = {{type, n, k, usual_panel(type, pair, target), pair}};
  for (const int64_t vectors : {2, 3, 4}) {
    const int64_t panel = vectors * target.lanes;
    if (panel % 8 == 0 && panel <= kWidest && panel != layouts.front().panel)
      layouts.push_back({type, n, k, panel, pair});
  }
  return layouts;
}

LayoutRule default_layouts(const ir::Target& target) {
  return [target](ir::Type type, int64_t n, int64_t k, bool pair) {
    return candidate_layouts(type, n, k, pair, target).front();
  };
}

std::string print(const WeightLayout& layout) {
  return fmt::format("panels{} {} {}{}x{}", layout.panel, ir::name(layout.type),
                     layout.pair ? "2x" : "", layout.n, layout.k);
}

std::string layout_parameters(const WeightLayout& layout) {
  return fmt::format("n={} k={} weight={} panel={}{}", layout.n, layout.k, ir::name(layout.type),
                     layout.panel, layout.pair ? " pair=true" : "");
}

std::string weight_parameters(const WeightLayout& layout) {
  return fmt::format("n={} k={} weight={}{}", layout.n, layout.k, ir::name(layout.type),
                     layout.pair ? " pair=true" : "");
}

WeightLayout layout_of(const Problem& linear) {
  return {linear.type("weight"), linear.integer("n"), linear.integer("k"), linear.integer("panel"),
          linear.flag("pair")};
}

const SharedOperand& weight_operand() {
  static const SharedOperand operand = {
      .kind = "weight",
      .parameter = "panel",
      .sizes = {"rows"},
      .identity = [](const Problem& linear) { return weight_parameters(layout_of(linear)); },
      .layouts =
          [](const Problem& linear, const ir::Target& target) {
            return candidates_of(layout_of(linear), target).layouts;
          },
  };
  return operand;
}

LayoutCandidates candidates_of(const WeightLayout& weight, const ir::Target& target) {
  LayoutCandidates candidates{&weight_operand(), weight_parameters(weight), {}};
  for (const WeightLayout& layout :
       candidate_layouts(weight.type, weight.n, weight.k, weight.pair, target))
    candidates.layouts.push_back(std::to_string(layout.panel));
  return candidates;
}

}  // namespace lathe::compiler
