// How far a kernel may be from the oracle: the limits of docs/numerics.md, as code.
#pragma once

#include <vector>

#include "ir/types.h"

namespace lathe::compiler {

class Problem;

/// A result passes when |found - expected| <= absolute * scale + relative * |expected|, where
/// `scale` is the largest finite |expected| of its row, at least 1: what cancels in a row of large
/// values is as uncertain as they are. NaN matches NaN, an infinity only itself. Where both
/// limits of a quantised output are 0, it is compared as stored blocks: every byte must match.
struct Limit {
  double absolute = 0;
  double relative = 0;

  double allowed(double expected, double scale) const;
};

struct OutputLimit {
  ir::Type type = ir::Type::f32;
  Limit limit;
};
/// Of a family, for each type of output: a row each of the table in docs/numerics.md.
using Limits = std::vector<OutputLimit>;

/// For outputs of f32, and of f16 and bf16, which are the f32 ones rounded.
Limits float_limits(Limit f32);
/// The same, and for q8_0 blocks, where a value at the edge of a code falls to either side of it.
Limits float_and_block_limits(Limit f32);
/// For q8_0 blocks alone, of which every byte must match.
Limits exact_block_limits();

/// The limit for an output of the problem's kernel. 16-bit inputs are exact to the oracle, so only
/// the output's type matters.
Limit limit_of(const Problem& problem, ir::Type output);

}  // namespace lathe::compiler
