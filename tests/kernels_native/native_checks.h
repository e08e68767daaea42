// Holding native kernels against the oracle, schedule by schedule.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/kernels_native/native_executor.h"

namespace lathe::tests {

/// Fails the test where the default schedule, or (`every_knob`) any that the target's registers
/// hold, differs from the oracle. `wanted` is asked before each schedule runs.
inline void check_native(
    NativeExecutor& executor, const std::string& line, int64_t rows, InputPattern pattern,
    bool every_knob, const CaseOptions& options,
    const std::function<bool()>& wanted = [] { return true; }) {
  const auto kernel_case = make_case(line, rows, pattern);
  ASSERT_TRUE(kernel_case) << line << ": " << kernel_case.error().message;
  const ir::Target& target = executor.target();
  const auto space = kernel_case->problem.family().space(kernel_case->problem, target);
  const auto schedules = every_knob ? every_knob_value(space)
                                    : std::vector<compiler::Schedule>{space.default_schedule()};
  for (const compiler::Schedule& schedule : schedules) {
    if (!wanted()) continue;
    const Status status = run_case(*kernel_case, schedule, target, executor.executor(), options);
    // Only the default must fit any register file.
    if (!status && status.error().code == ErrorCode::rejected &&
        schedule != space.default_schedule())
      continue;
    EXPECT_TRUE(status) << line << ", " << rows << " rows, " << pattern.print() << " inputs, "
                        << space.print(schedule) << ": " << status.error().message;
  }
}

}  // namespace lathe::tests
