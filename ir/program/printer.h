// Kernel programs as text: one instruction a line, blocks indented, registers %v0 %m0 %s0 %p0.
#pragma once

#include <string>

#include "ir/program/program.h"

namespace lathe::ir::program {

/// Stable across runs and hosts; the golden texts in the tests are this.
std::string print(const Program& program);
std::string print(const Instr& instr);

}  // namespace lathe::ir::program
