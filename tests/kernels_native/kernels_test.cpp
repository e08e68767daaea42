// Every family, instruction path and element type as machine code, against the oracle.
#include <cstring>

#include <gtest/gtest.h>

#include "tests/kernels_native/native_checks.h"

namespace lathe::tests {
namespace {

constexpr int64_t kRows = 5;

struct Point {
  std::string target;
  std::string type;
};

std::string name_of(const testing::TestParamInfo<Point>& info) {
  return info.param.target + "_" + info.param.type;
}

class NativeKernels : public testing::TestWithParam<Point> {
 protected:
  void SetUp() override {
    for (runtime::SelectedTarget& selected : runtime::runnable_targets(backends()))
      if (selected.target.name == GetParam().target) executor_.emplace(std::move(selected));
    if (!executor_)
      GTEST_SKIP() << "this CPU (" << support::host().name << ") or this build has no target "
                   << GetParam().target;
  }

  bool is_llvm() const { return GetParam().target == "llvm"; }

  // The default schedule, or all values of all knobs.
  void check(const std::string& line, int64_t rows, const InputPattern& pattern, bool every_knob,
             const CaseOptions& options = {}) {
    check_native(*executor_, line, rows, pattern, every_knob, options);
  }

  void check_width(int64_t width) {
    for (const std::string& line : problem_lines(GetParam().type, width))
      check(line, kRows, InputKind::normal, false);
  }

  std::optional<NativeExecutor> executor_;
};

TEST_P(NativeKernels, AgreeAtWidth1) { check_width(1); }
TEST_P(NativeKernels, AgreeAtWidth7) { check_width(7); }
TEST_P(NativeKernels, AgreeAtWidth72) { check_width(72); }
TEST_P(NativeKernels, AgreeAtWidth257) { check_width(257); }
TEST_P(NativeKernels, AgreeAtWidth4097) { check_width(4097); }

TEST_P(NativeKernels, AgreeBesideTheLaneCount) {
  const int64_t lanes = executor_->target().lanes;
  for (const int64_t width : {lanes - 1, lanes, lanes + 1, 4 * lanes + 1})
    if (width > 0) check_width(width);
}

TEST_P(NativeKernels, NormaliseHugeRows) {
  for (const int64_t width : {7, 257})
    for (const std::string& line : row_statistics_lines(GetParam().type, width))
      check(line, 30, InputKind::huge, width == 7 && !is_llvm());
}

TEST_P(NativeKernels, AgreeWithEveryKnobValue) {
  for (const std::string& line : problem_lines(GetParam().type, is_llvm() ? 40 : 72))
    check(line, 4, InputKind::normal, true);
}

// Knobs that only larger problems have: streaming stores, several blocks of rows.
TEST_P(NativeKernels, AgreeWithEveryKnobValueOfALargeBucket) {
  for (const char* line : {"rms_norm rows=8192 width=1024 prologue=add(x,r) keep=true",
                           "layer_norm rows=8192 width=1024", "softmax rows=8192 width=1024",
                           "relu rows=8192 width=1024", "embedding rows=8192 width=1024",
                           "rope rows=8192 heads=16 dim=64 norm=true section=32:0:0 kind=mrope",
                           "quantize rows=8192 width=1024"})
    check(std::string(line) + " type=" + GetParam().type, kRows, InputKind::normal, true);
}

TEST_P(NativeKernels, AgreeOnPaddedRows) {
  for (const int64_t padding : {1, 64})
    for (const std::string& line : problem_lines(GetParam().type, 37))
      check(line, 3, InputKind::normal, false, {.padding = padding});
}

TEST_P(NativeKernels, AgreeInPlace) {
  for (const int64_t width : {7, 72})
    for (const std::string& line : problem_lines(GetParam().type, width))
      check(line, 3, InputKind::normal, false, {.in_place = true});
}

// What a second look at a row finds after the kept h was written over an input.
TEST_P(NativeKernels, NormaliseTreacherousRowsInPlace) {
  for (const int64_t width : {7, 72})
    for (const std::string& line : row_statistics_lines(GetParam().type, width))
      for (const InputKind kind : {InputKind::huge, InputKind::equal, InputKind::first_outlier})
        check(line, kind == InputKind::huge ? 30 : 3, kind, false, {.in_place = true});
}

TEST_P(NativeKernels, AgreeOnAdversarialInputs) {
  for (const std::string& line : problem_lines(GetParam().type, 43))
    for (const InputPattern& pattern : adversarial_patterns(7)) check(line, 7, pattern, false);
}

TEST_P(NativeKernels, AgreeForAnyNumberOfRowsAndThreads) {
  for (const char* line : {"rms_norm", "softmax", "swiglu"})
    for (const int64_t rows : {1, 2, 7})
      for (const int threads : {1, 3, 16})
        check(std::string(line) + " rows=8 width=300 type=" + GetParam().type, rows,
              InputKind::normal, false, {.threads = threads});
}

// A norm that quantises writes the bits that the norm and the family quantize write one after the
// other.
TEST_P(NativeKernels, NormsQuantiseAsQuantizeDoes) {
  const ir::Target& target = executor_->target();
  for (const char* text : {"rms_norm", "rms_norm prologue=add(x,r) keep=true",
                           "rms_norm weight=false epilogue=silu(y)", "layer_norm",
                           "layer_norm prologue=add(x,r) keep=true bias=false"}) {
    for (const int64_t width : {32, 96, 160, 1152}) {
      const std::string line =
          fmt::format("{} rows=8 width={} type={}", text, width, GetParam().type);
      const auto quantised = make_case(line + " out=q8_0", kRows);
      ASSERT_TRUE(quantised) << quantised.error().message;
      auto plain = make_case(line + " out=f32", kRows);
      ASSERT_TRUE(plain) << plain.error().message;
      auto quantize = make_case(fmt::format("quantize rows=8 width={}", width), kRows);
      ASSERT_TRUE(quantize) << quantize.error().message;
      const auto run = [&](const KernelCase& kernel_case, const compiler::Schedule& schedule) {
        return outputs_of(kernel_case, schedule, target, executor_->executor(), {.padding = 2});
      };
      const auto quantize_space = quantize->problem.family().space(quantize->problem, target);
      const auto space = quantised->problem.family().space(quantised->problem, target);
      for (const compiler::Schedule& schedule : every_knob_value(space)) {
        const auto found = run(*quantised, schedule);
        if (!found && found.error().code == ErrorCode::rejected) continue;
        const auto y = run(*plain, schedule);
        ASSERT_TRUE(found && y) << line << " " << space.print(schedule);
        quantize->inputs = {y->back()};
        const auto expected = run(*quantize, quantize_space.default_schedule());
        ASSERT_TRUE(expected) << expected.error().message;
        EXPECT_EQ(std::memcmp(found->back().data(), expected->back().data(),
                              static_cast<size_t>(expected->back().bytes())),
                  0)
            << line << " with " << space.print(schedule);
        if (found->size() > 1) {
          EXPECT_EQ(std::memcmp(found->front().data(), y->front().data(),
                                static_cast<size_t>(y->front().bytes())),
                    0)
              << line << ": h, with " << space.print(schedule);
        }
      }
    }
  }
}

std::vector<Point> points() {
  std::vector<Point> all;
  for (const char* target : {"scalar", "sse", "avx2", "avx512", "llvm"})
    for (const char* type : {"f32", "f16", "bf16"}) all.push_back({target, type});
  return all;
}

INSTANTIATE_TEST_SUITE_P(All, NativeKernels, testing::ValuesIn(points()), name_of);

}  // namespace
}  // namespace lathe::tests
