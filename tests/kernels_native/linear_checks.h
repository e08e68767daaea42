// Running linear problems natively against the oracle.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/kernels_native/native_executor.h"

namespace lathe::tests {

/// Takes the name of a target; skips where this machine cannot run it.
class LinearChecks : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    for (runtime::SelectedTarget& selected : runtime::runnable_targets(backends()))
      if (selected.target.name == GetParam()) executor_.emplace(std::move(selected));
    if (!executor_)
      GTEST_SKIP() << "this CPU (" << support::host().name << ") or this build has no target "
                   << GetParam();
  }

  // Of the checks one in this many runs: all of them where emitting and running are fast, else a
  // sample, spread evenly, of the same programs on narrower lanes.
  int stride() const {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    constexpr int kSlowBuild = 7;
#else
    constexpr int kSlowBuild = 1;
#endif
    const std::string target = GetParam();
    return kSlowBuild * (target == "avx2"     ? 1
                         : target == "avx512" ? 2
                         : target == "scalar" ? 20
                                              : 5);
  }

  // By the bucket of `rows`, as the library would.
  void check(const std::string& parameters, int64_t rows, bool every_knob = false,
             InputKind kind = InputKind::normal, const CaseOptions& options = {}) {
    if (!every_knob && checks_++ % stride() != 0) return;
    const std::string line = fmt::format("linear rows={} {}", rows, parameters);
    const auto kernel_case = make_case(line, rows, kind);
    ASSERT_TRUE(kernel_case) << line << ": " << kernel_case.error().message;
    const ir::Target& target = executor_->target();
    const auto space = kernel_case->problem.family().space(kernel_case->problem, target);
    const auto schedules = every_knob ? every_knob_value(space)
                                      : std::vector<compiler::Schedule>{space.default_schedule()};
    for (const compiler::Schedule& schedule : schedules) {
      if (every_knob && checks_++ % stride() != 0) continue;
      const Status status =
          run_case(*kernel_case, schedule, target, executor_->executor(), options);
      if (!status && status.error().code == ErrorCode::rejected &&
          schedule != space.default_schedule())
        continue;
      EXPECT_TRUE(status) << line << ", " << rows << " rows, " << to_string(kind) << " inputs, "
                          << space.print(schedule) << ": " << status.error().message;
    }
  }

  std::optional<NativeExecutor> executor_;
  int checks_ = 0;
};

}  // namespace lathe::tests
