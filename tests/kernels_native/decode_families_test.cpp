// Families of decode against caches of other forms as machine code: every variant at awkward
// lengths, in memory that ends at protected pages.
#include <gtest/gtest.h>

#include "tests/kernels_native/native_executor.h"
#include "tests/support/attention_cases.h"

namespace lathe::tests {
namespace {

class NativeDecodeFamilies : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    for (runtime::SelectedTarget& selected : runtime::runnable_targets(backends()))
      if (selected.target.name == GetParam()) executor_.emplace(std::move(selected));
    if (!executor_)
      GTEST_SKIP() << "this CPU (" << support::host().name << ") or this build has no target "
                   << GetParam();
  }

  // What is emitted slowly gets a sample.
  void check(const std::vector<AttentionCase>& cases) {
    const std::string target = GetParam();
    const size_t stride = target == "avx2" || target == "avx512" ? 1 : target == "sse" ? 5 : 20;
    for (size_t i = 0; i < cases.size(); i += stride) {
      const AttentionCase& each = cases[i];
      const auto kernel_case = make_case(each.line, each.sizes);
      ASSERT_TRUE(kernel_case) << each.line << ": " << kernel_case.error().message;
      const auto space =
          kernel_case->problem.family().space(kernel_case->problem, executor_->target());
      const Status status = run_case(*kernel_case, space.default_schedule(), executor_->target(),
                                     executor_->executor());
      EXPECT_TRUE(status) << each.line << ": " << status.error().message;
    }
  }

  std::optional<NativeExecutor> executor_;
};

TEST_P(NativeDecodeFamilies, LowRank) { check(attention_low_rank_cases()); }

TEST_P(NativeDecodeFamilies, TokenSparse) { check(attention_token_sparse_cases()); }

INSTANTIATE_TEST_SUITE_P(Targets, NativeDecodeFamilies,
                         testing::Values("scalar", "sse", "avx2", "avx512", "llvm"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace lathe::tests
