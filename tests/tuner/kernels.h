// Small real kernels for the tuner's tests.
#pragma once

#include <gtest/gtest.h>

#include <lathe/backends.h>

#include "compiler/family.h"
#include "runtime/launch/compiled_kernel.h"
#include "runtime/library/target_selection.h"

namespace lathe::tuner {

inline const runtime::Backends& test_backends() {
  static const runtime::Backends backends = default_backends();
  return backends;
}

inline runtime::SelectedTarget test_target() {
  return *runtime::select_target(test_backends(), "sse");
}

/// The kernel of a problem line with `schedule` (empty: the default); fails the test on any error.
inline std::shared_ptr<const runtime::CompiledKernel> compile(const std::string& line,
                                                              const std::string& schedule = "") {
  const auto problem = compiler::parse_problem(line);
  EXPECT_TRUE(problem) << line;
  const auto selected = test_target();
  const auto space = problem->family().space(*problem, selected.target);
  const auto parsed =
      space.parse(schedule.empty() ? space.print(space.default_schedule()) : schedule);
  EXPECT_TRUE(parsed) << schedule;
  auto kernel = runtime::compile_kernel(*problem, *parsed, selected.target, *selected.backend);
  EXPECT_TRUE(kernel) << line;
  return *kernel;
}

}  // namespace lathe::tuner
