// Cases of attention as machine code, in memory that ends at protected pages.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/kernels_native/native_executor.h"
#include "tests/support/attention_cases.h"

namespace lathe::tests {

/// Its parameter is a target's name; skipped where this CPU or this build has no such target.
class NativeAttentionCases : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    for (runtime::SelectedTarget& selected : runtime::runnable_targets(backends()))
      if (selected.target.name == GetParam()) executor_.emplace(std::move(selected));
    if (!executor_)
      GTEST_SKIP() << "this CPU (" << support::host().name << ") or this build has no target "
                   << GetParam();
  }

  void check(const AttentionCase& each, bool every_knob, const CaseOptions& options = {}) {
    const auto kernel_case = make_case(each.line, each.sizes, each.pattern, each.given);
    ASSERT_TRUE(kernel_case) << each.line << ": " << kernel_case.error().message;
    const auto space =
        kernel_case->problem.family().space(kernel_case->problem, executor_->target());
    std::vector<compiler::Schedule> schedules = {space.default_schedule()};
    if (every_knob) schedules = every_knob_value(space);
    for (const compiler::Schedule& schedule : schedules) {
      const Status status =
          run_case(*kernel_case, schedule, executor_->target(), executor_->executor(), options);
      EXPECT_TRUE(status) << each.line << ", " << space.print(schedule) << ": "
                          << status.error().message;
    }
  }

  /// The default schedule of all, or where code is emitted slowly of some.
  void check_all(const std::vector<AttentionCase>& cases) {
    const std::string target = GetParam();
    const size_t stride = target == "avx2" || target == "avx512" ? 1 : target == "sse" ? 5 : 20;
    for (size_t i = 0; i < cases.size(); i += stride) check(cases[i], /*every_knob=*/false);
  }

  std::optional<NativeExecutor> executor_;
};

}  // namespace lathe::tests
