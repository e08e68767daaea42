// The functions of math.h by name, each with its meaning in double precision: what measures them
// reads.
#pragma once

#include <limits>
#include <span>
#include <string_view>

#include "compiler/math/math.h"

namespace lathe::compiler::math {

struct Function {
  std::string_view name;
  Vec (*build)(Builder&, Vec, const Options&);
  double (*exact)(double);
  /// Results smaller than this count as if they were this large: an error of k ULP is then an
  /// absolute error of k ulp(floor). 0: every result, down to the subnormals, has the error told.
  double floor = 0;
  float high = std::numeric_limits<float>::infinity();  ///< measured for inputs up to this one
  bool divides = false;                                 ///< Options::division changes it
  /// With Division::newton: the magnitudes, besides 0 and inf, for which the hardware's estimate is
  /// good.
  float newton_low = 0, newton_high = std::numeric_limits<float>::infinity();
};

/// In the order of docs/numerics.md.
std::span<const Function> functions();

/// Whether x lies where the function promises its error.
bool measured(const Function& function, Division division, float x);

/// y[i] = function(x[i]) over `vectors` whole vectors; buffers x and y of f32.
ir::program::Program unary_program(const Function& function, const ir::Target& target,
                                   const Options& options = {});

/// The error of `result` in units of the last place of the exact value rounded to f32; the spacing
/// is that of max(|exact|, floor). 0 where both are NaN, or the same infinity after rounding;
/// inf where only one is NaN or infinite.
double ulp_error(float result, double exact, double floor);

}  // namespace lathe::compiler::math
