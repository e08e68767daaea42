// Runs a vector function over an array: natively where this CPU can, and by the interpreter.
#pragma once

#include <string>
#include <vector>

#include "compiler/math/catalogue.h"

namespace lathe::tests {

/// The instruction paths of docs/numerics.md that this CPU runs.
std::vector<std::string> native_targets();

std::vector<float> evaluate_natively(const ir::program::Program& program, std::vector<float> x);
std::vector<float> evaluate_by_interpreter(const ir::program::Program& program,
                                           std::vector<float> x);

const compiler::math::Function& function_named(std::string_view name);
ir::Target target_named(std::string_view name);

}  // namespace lathe::tests
