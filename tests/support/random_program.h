// Random valid kernel programs with their inputs, for comparing emitters with the interpreter.
#pragma once

#include <cstdint>
#include <vector>

#include "ir/program/program.h"
#include "ir/tensor.h"

namespace lathe::tests {

/// How large a program gets. The defaults fit 16 vector and 14 general registers with masks in
/// vector registers: at most floats + ints + masks + 5 vectors and scalars + 9 general registers
/// are live.
struct RandomProgramOptions {
  int steps = 40;   ///< instructions, or small groups of them, outside and inside loops together
  int depth = 2;    ///< most loops and branches inside each other
  int floats = 4;   ///< most vector registers that hold f32 results at once
  int ints = 3;     ///< most vector registers that hold integers at once
  int masks = 2;    ///< most masks at once
  int scalars = 3;  ///< most scalars at once, parameters not counted
};

/// A program that passes verify(), its buffers' contents at entry (u8 tensors, aligned to 64 bytes,
/// in the program's order) and its parameters. It stores every live register at its end.
///
/// Its results are defined bit for bit: a NaN is replaced before its payload could be seen in
/// memory, an integer instruction or a scalar, and frecip and frsqrt are seen only through a
/// comparison that every allowed approximation passes. So memory after an emitted run equals the
/// interpreter's.
struct RandomProgram {
  ir::program::Program program;
  std::vector<ir::Tensor> buffers;
  std::vector<int64_t> parameters;
};

/// The same seed, target and options give the same program on every host.
RandomProgram random_program(uint64_t seed, const ir::Target& target,
                             const RandomProgramOptions& options = {});

}  // namespace lathe::tests
