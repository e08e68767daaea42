// A problem with every value of every knob, interpreted and compared with the oracle.
#pragma once

#include <gtest/gtest.h>

#include "tests/support/kernel_cases.h"

namespace lathe::tests {

inline void check_every_knob_value(const std::string& line, int64_t rows, const ir::Target& target,
                                   InputPattern pattern = InputKind::normal) {
  const auto kernel_case = make_case(line, rows, pattern);
  ASSERT_TRUE(kernel_case) << line << ": " << kernel_case.error().message;
  const auto space = kernel_case->problem.family().space(kernel_case->problem, target);
  for (const compiler::Schedule& schedule : every_knob_value(space)) {
    const Status status = run_case(*kernel_case, schedule, target, interpreted());
    EXPECT_TRUE(status) << line << " on " << pattern.print() << " inputs with "
                        << space.print(schedule) << ": " << status.error().message;
  }
}

}  // namespace lathe::tests
