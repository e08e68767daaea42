// How far a kernel may be from the oracle: the limits of docs/numerics.md, as code.
#pragma once

#include <string>
#include <vector>

#include "compiler/problem.h"
#include "ir/types.h"

namespace lathe::compiler {

/// A result passes when |found - expected| <= absolute * scale + relative * |expected|, where
/// `scale` is the largest finite |expected| of its row, at least 1: what cancels in a row of large
/// values is as uncertain as they are. NaN matches NaN, an infinity only itself. Where both
/// limits of a quantised output are 0, it is compared as stored blocks: every byte must match.
struct Limit {
  double absolute = 0;
  double relative = 0;

  double allowed(double expected, double scale) const;
};

/// One row of the table in docs/numerics.md; a test compares the two.
struct LimitRow {
  std::string family;
  ir::Type type = ir::Type::f32;  ///< of the output
  Limit limit;
};
const std::vector<LimitRow>& limit_table();

/// The limit for an output of the problem's kernel. 16-bit inputs are exact to the oracle, so only
/// the output's type matters.
Limit limit_of(const Problem& problem, ir::Type output);

}  // namespace lathe::compiler
