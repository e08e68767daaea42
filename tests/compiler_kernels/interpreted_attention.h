// Cases of attention through the interpreter.
#pragma once

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/attention_cases.h"
#include "tests/support/kernel_cases.h"

namespace lathe::tests {

/// Its parameter is a target's name.
class InterpretedAttention : public testing::TestWithParam<std::string> {
 protected:
  void check(const AttentionCase& each, bool every_knob, const CaseOptions& options = {}) {
    const ir::Target target = *ir::parse_target(GetParam());
    const auto kernel_case = make_case(each.line, each.sizes, each.pattern, each.given);
    ASSERT_TRUE(kernel_case) << each.line << ": " << kernel_case.error().message;
    const auto space = kernel_case->problem.family().space(kernel_case->problem, target);
    std::vector<compiler::Schedule> schedules = {space.default_schedule()};
    if (every_knob) schedules = every_knob_value(space);
    for (const compiler::Schedule& schedule : schedules) {
      const Status status = run_case(*kernel_case, schedule, target, interpreted(), options);
      EXPECT_TRUE(status) << each.line << " with " << space.print(schedule) << ": "
                          << status.error().message;
    }
  }
};

}  // namespace lathe::tests
