// Runs a program by the interpreter and as machine code on the same bytes, and compares what is
// left.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "codegen/kernel_image.h"
#include "ir/program/program.h"
#include "tests/support/random_program.h"

namespace lathe::tests {

/// The arguments of one call: each buffer's contents, then the parameters.
struct Arguments {
  std::vector<std::vector<std::byte>> buffers;
  std::vector<int64_t> parameters;
};

Arguments arguments_of(const RandomProgram& random);

/// The buffers after interpretation; a failure of the interpreter fails the running test.
Arguments interpreted(const ir::program::Program& program, const Arguments& arguments);

/// The buffers after a call of the kernel, on memory that ends at protected pages and is aligned as
/// its size is, up to 64 bytes.
Arguments called(ir::program::KernelFunction function, const Arguments& arguments);

/// Equal bytes in every buffer, but that one NaN of the buffer's type is as good as another. The
/// message names buffer and element of the first difference, and how many differ.
::testing::AssertionResult same_results(const ir::program::Program& program,
                                        const Arguments& expected, const Arguments& found);

/// Verifies, compiles, loads, calls, compares.
::testing::AssertionResult agrees(const ir::program::Program& program, const Arguments& arguments);

/// The same machine at other lane counts: vectors that it lacks are made of those that it has.
ir::Target with_lanes(ir::Target target, int lanes);

/// Machines whose code may run here, of the x86-64 levels and this host itself.
std::vector<ir::Target> runnable_targets();

}  // namespace lathe::tests
