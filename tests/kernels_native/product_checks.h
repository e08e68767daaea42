// Running matrix products natively against the oracle.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/kernels_native/native_checks.h"

namespace lathe::tests {

/// Takes the name of a target; skips where this machine cannot run it.
class ProductChecks : public testing::TestWithParam<const char*> {
 protected:
  /// `family` with the parameters that all its checks have.
  explicit ProductChecks(std::string family) : family_(std::move(family)) {}

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
             InputPattern pattern = InputKind::normal, const CaseOptions& options = {}) {
    const auto wanted = [&] { return checks_++ % stride() == 0; };
    // Before the case is made: its oracle takes time, too.
    if (!every_knob && !wanted()) return;
    check_native(*executor_, fmt::format("{} rows={} {}", family_, rows, parameters), rows, pattern,
                 every_knob, options, [&] { return !every_knob || wanted(); });
  }

  std::string family_;
  std::optional<NativeExecutor> executor_;
  int checks_ = 0;
};

}  // namespace lathe::tests
