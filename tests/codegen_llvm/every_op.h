// One program that holds every instruction of the table, and inputs that bring out its corners.
#pragma once

#include <string>
#include <vector>

#include "tests/codegen_llvm/agreement.h"

namespace lathe::tests {

struct EveryOp {
  ir::program::Program program;
  Arguments arguments;
  std::vector<std::string> names;  ///< of the vectors stored in each row of buffer "out", in order
  int rows = 0;

  /// "fmin row 3 lane 2" for an element of the buffer "out".
  std::string place(size_t element) const;
};

/// Without frecip and frsqrt, whose low bits are each implementation's own.
EveryOp every_op(const ir::Target& target);

/// Floats that matter (zeros, denormals, halves, limits of i32 and f16, infinities, NaN) and random
/// bits, as often as each other.
std::vector<std::byte> corner_floats(size_t count, uint32_t seed);
std::vector<std::byte> random_bytes(size_t count, uint32_t seed);

}  // namespace lathe::tests
