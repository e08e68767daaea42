// The table of limits; docs/numerics.md says where its numbers come from.
#include "compiler/limits.h"

#include <algorithm>
#include <cmath>

#include "compiler/family.h"

namespace lathe::compiler {
namespace {

using ir::Type;

// A 16-bit result is the f32 one rounded: the limit gains one unit in the last place, and for f16
// the step of its subnormal numbers.
constexpr double kF16Step = 0x1p-10;
constexpr double kF16Smallest = 0x1p-24;
constexpr double kBf16Step = 0x1p-7;

// A value at the edge of a code falls to either side of it: one step of a block, which is at most
// 1/127 of its row's largest, and what rounding the step to f16 makes of 127 of them.
constexpr double kQ8Step = 1.0 / 127 + 0x1p-10;

void add_rows(std::vector<LimitRow>& table, const std::string& family, Limit f32) {
  table.push_back({family, Type::f32, f32});
  table.push_back({family, Type::f16, {f32.absolute + kF16Smallest, f32.relative + kF16Step}});
  table.push_back({family, Type::bf16, {f32.absolute, f32.relative + kBf16Step}});
}

std::vector<LimitRow> make_table() {
  std::vector<LimitRow> table;
  add_rows(table, "rms_norm", {1e-6, 4e-6});
  add_rows(table, "layer_norm", {4e-6, 4e-6});
  add_rows(table, "normalize", {1e-7, 4e-6});
  add_rows(table, "softmax", {1e-7, 2e-5});
  for (const char* family : {"rms_norm", "layer_norm", "normalize", "softmax", "linear"})
    table.push_back({family, Type::q8_0, {kQ8Step, 0}});
  add_rows(table, "gelu", {1e-6, 4e-6});
  add_rows(table, "silu", {1e-6, 2e-6});
  add_rows(table, "relu", {0, 0});
  add_rows(table, "swiglu", {1e-6, 4e-6});
  add_rows(table, "rope", {1e-6, 4e-6});
  add_rows(table, "elementwise", {1e-6, 1e-5});
  add_rows(table, "embedding", {0, 0});
  add_rows(table, "linear", {4e-6, 4e-6});
  add_rows(table, "batched_matmul", {1e-5, 4e-6});
  table.push_back({"quantize", Type::q8_0, {0, 0}});
  return table;
}

}  // namespace

double Limit::allowed(double expected, double scale) const {
  return absolute * std::max(scale, 1.0) + relative * std::fabs(expected);
}

const std::vector<LimitRow>& limit_table() {
  static const std::vector<LimitRow> table = make_table();
  return table;
}

Limit limit_of(const Problem& problem, Type output) {
  for (const LimitRow& row : limit_table()) {
    if (row.family == problem.family().name && row.type == output) return row.limit;
  }
  return {};
}

}  // namespace lathe::compiler
