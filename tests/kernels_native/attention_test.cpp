// Attention as machine code: every variant at awkward lengths, in memory that ends at protected
// pages; every knob.
#include <gtest/gtest.h>

#include "tests/kernels_native/native_executor.h"
#include "tests/support/attention_cases.h"

namespace lathe::tests {
namespace {

class NativeAttention : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    for (runtime::SelectedTarget& selected : runtime::runnable_targets(backends()))
      if (selected.target.name == GetParam()) executor_.emplace(std::move(selected));
    if (!executor_)
      GTEST_SKIP() << "this CPU (" << support::host().name << ") or this build has no target "
                   << GetParam();
  }

  void check(const AttentionCase& each, bool every_knob, const CaseOptions& options = {}) {
    const auto kernel_case = make_case(each.line, each.sizes, {}, each.given);
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

  std::optional<NativeExecutor> executor_;
};

TEST_P(NativeAttention, EveryVariantAtAwkwardLengths) {
  // What is emitted slowly gets a sample.
  const std::string target = GetParam();
  const size_t stride = target == "avx2" || target == "avx512" ? 1 : target == "sse" ? 5 : 20;
  std::vector<AttentionCase> cases = attention_prefill_cases();
  for (const auto& more : {attention_packed_cases(), attention_decode_cases()})
    cases.insert(cases.end(), more.begin(), more.end());
  for (size_t i = 0; i < cases.size(); i += stride) check(cases[i], /*every_knob=*/false);
}

TEST_P(NativeAttention, EveryKnobAtTheSizeOfAModel) {
  const char* line =
      "attention_prefill tokens=300 context=300 heads=2 kv_heads=1 dim=128 causal=end";
  check({line, {{"batch", 1}, {"tokens", 300}, {"context", 300}}},
        /*every_knob=*/std::string(GetParam()).starts_with("avx"));
}

TEST_P(NativeAttention, EveryKnobOfDecodeAtTheSizeOfAModel) {
  const char* line = "attention_decode context=2500 heads=4 kv_heads=2 dim=128 causal=end";
  check({line, {{"batch", 1}, {"tokens", 1}, {"context", 2500}}},
        /*every_knob=*/std::string(GetParam()).starts_with("avx"));
}

TEST_P(NativeAttention, LargeScores) {
  // Up to some 30 in magnitude over a long context, and far beyond.
  for (const char* scale : {"0.4", "1e3", "1e30"}) {
    check({fmt::format("attention_prefill tokens=5 context=2000 heads=1 dim=64 scale={}", scale),
           {{"batch", 1}, {"tokens", 5}, {"context", 2000}}},
          /*every_knob=*/false);
  }
  check({"attention_decode tokens=2 context=16384 heads=2 kv_heads=1 dim=64 scale=0.9 causal=end",
         {{"batch", 1}, {"tokens", 2}, {"context", 16384}}},
        /*every_knob=*/false);
  check({"attention_prefill tokens=40 context=16384 heads=1 dim=64 scale=0.9 causal=end",
         {{"batch", 1}, {"tokens", 40}, {"context", 16384}}},
        /*every_knob=*/false);
}

INSTANTIATE_TEST_SUITE_P(Targets, NativeAttention,
                         testing::Values("scalar", "sse", "avx2", "avx512", "llvm"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace lathe::tests
