// Matching of patterns, the cheapest form first.
#include "codegen/x86/shuffle_plan.h"

#include <algorithm>
#include <optional>

namespace lathe::codegen::x86 {
namespace {

using Kind = ShufflePlan::Kind;
using Pattern = std::vector<uint8_t>;

// If lanes 4q … 4q+3 all do the same within the 128-bit piece q of their sources: that pattern over
// eight (0-3 from a, 4-7 from b).
std::optional<Pattern> per_quad(const Pattern& pattern) {
  const size_t lanes = pattern.size();
  if (lanes < 4) return std::nullopt;
  Pattern quad(4);
  for (size_t i = 0; i < lanes; ++i) {
    const size_t source = pattern[i] / lanes, lane = pattern[i] % lanes;
    if (lane / 4 != i / 4) return std::nullopt;
    const auto within = static_cast<uint8_t>(source * 4 + lane % 4);
    if (i < 4)
      quad[i] = within;
    else if (quad[i % 4] != within)
      return std::nullopt;
  }
  return quad;
}

int two_bits_each(const Pattern& four) {
  return four[0] % 4 | four[1] % 4 << 2 | four[2] % 4 << 4 | four[3] % 4 << 6;
}

// The pattern in units of `unit` lanes, if it moves such units whole.
std::optional<Pattern> in_units(const Pattern& pattern, size_t unit) {
  Pattern units;
  for (size_t i = 0; i < pattern.size(); i += unit) {
    if (pattern[i] % unit != 0) return std::nullopt;
    for (size_t j = 1; j < unit; ++j)
      if (pattern[i + j] != pattern[i] + j) return std::nullopt;
    units.push_back(static_cast<uint8_t>(pattern[i] / unit));
  }
  return units;
}

std::optional<ShufflePlan> plan_in_quads(const Pattern& quad, bool one, int first) {
  if (one) return ShufflePlan{Kind::in_quads, first, first, two_bits_each(quad)};
  const auto from = [&](size_t i) { return quad[i] / 4; };
  for (int a = 0; a < 2; ++a) {
    const auto low = [&](int source, int lane) { return static_cast<uint8_t>(source * 4 + lane); };
    if (quad == Pattern{low(a, 0), low(1 - a, 0), low(a, 1), low(1 - a, 1)})
      return ShufflePlan{Kind::unpack_low, a, 1 - a, 0};
    if (quad == Pattern{low(a, 2), low(1 - a, 2), low(a, 3), low(1 - a, 3)})
      return ShufflePlan{Kind::unpack_high, a, 1 - a, 0};
  }
  if (from(0) == from(1) && from(2) == from(3))
    return ShufflePlan{Kind::two_in_quads, from(0), from(2), two_bits_each(quad)};
  return std::nullopt;
}

std::optional<ShufflePlan> plan_blend(const Pattern& pattern) {
  ShufflePlan plan{Kind::blend, 0, 1, 0};
  const size_t lanes = pattern.size();
  for (size_t i = 0; i < lanes; ++i) {
    if (pattern[i] % lanes != i) return std::nullopt;
    plan.imm |= static_cast<int>(pattern[i] / lanes) << i;
  }
  return plan;
}

std::optional<ShufflePlan> plan_quads(const Pattern& pattern) {
  const auto quads = in_units(pattern, 4);
  if (!quads) return std::nullopt;
  if (quads->size() == 2) return ShufflePlan{Kind::quads, 0, 1, (*quads)[0] | (*quads)[1] << 4};
  if (quads->size() == 4) {
    const auto from = [&](size_t i) { return (*quads)[i] / 4; };
    if (from(0) == from(1) && from(2) == from(3))
      return ShufflePlan{Kind::quads, from(0), from(2), two_bits_each(*quads)};
  }
  return std::nullopt;
}

}  // namespace

ShufflePlan plan_shuffle(const std::vector<uint8_t>& pattern, const ir::Target& target) {
  const size_t lanes = pattern.size();
  const bool has_a = std::any_of(pattern.begin(), pattern.end(),
                                 [&](int p) { return p < static_cast<int>(lanes); });
  const bool has_b = std::any_of(pattern.begin(), pattern.end(),
                                 [&](int p) { return p >= static_cast<int>(lanes); });
  const bool one = !has_a || !has_b;
  const int first = has_a ? 0 : 1;
  Pattern within = pattern;
  for (uint8_t& lane : within) lane %= lanes;
  if (one) {
    bool same = true;
    for (size_t i = 0; i < lanes; ++i) same &= within[i] == i;
    if (same) return {Kind::copy, first, first, 0};
    if (std::all_of(within.begin(), within.end(), [](int lane) { return lane == 0; }) && lanes > 4)
      return {Kind::splat, first, first, 0};
  }
  if (!one && target.isa != ir::Isa::avx512)
    if (const auto plan = plan_blend(pattern)) return *plan;
  if (const auto quad = per_quad(pattern))
    if (const auto plan = plan_in_quads(*quad, one, first)) return *plan;
  if (lanes > 4)
    if (const auto plan = plan_quads(pattern)) return *plan;
  if (one && lanes == 8)
    if (const auto pairs = in_units(within, 2))
      return {Kind::pairs, first, first, two_bits_each(*pairs)};
  return {one && lanes > 4 ? Kind::any_one : Kind::any_two, first, one ? first : 1, 0};
}

}  // namespace lathe::codegen::x86
