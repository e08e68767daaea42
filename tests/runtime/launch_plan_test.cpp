// Plans that read elements of their operands, launched natively: every length of every sequence,
// whatever the number of threads, and elements that break their rule.
#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <lathe/backends.h>

#include "compiler/problem.h"
#include "runtime/launch.h"
#include "tests/ir_plan/sample_plan.h"

namespace lathe::runtime {
namespace {

using ir::plan::kWidth;
using testing::HasSubstr;

// What compile_kernel() makes of families, of a plan that no family has.
Result<CompiledKernel> double_sequences() {
  CompiledKernel kernel;
  LATHE_TRY(kernel.problem, compiler::parse_problem("relu rows=1 width=8"));
  kernel.plan = ir::plan::ragged_plan();
  LATHE_CHECK(ir::plan::verify(kernel.plan));
  for (const ir::program::Program& program : kernel.plan.programs) {
    LATHE_TRY(const codegen::KernelImage image, x86_backend()->compile(program));
    LATHE_TRY(auto loaded, load_image(image, *x86_backend()));
    kernel.functions.push_back(loaded->function());
    kernel.programs.push_back(std::move(loaded));
  }
  const int rows = kernel.plan.find("rows");
  for (const ir::plan::Operand& operand : kernel.plan.operands) {
    OperandRule& rule = kernel.operands.emplace_back();
    rule.name = operand.name;
    rule.type = operand.type;
    rule.elements = operand.elements;
    rule.output = operand.access != ir::program::BufferAccess::read;
    rule.shape = {{1, rows, "rows"}, {kWidth, -1, ""}};
    rule.stride_variables = {-1};
  }
  kernel.operands[1].shape = {{1, -1, "starts"}};
  kernel.operands[1].stride_variables = {};
  kernel.inputs = 2;
  return kernel;
}

class LaunchPlan : public testing::Test {
 protected:
  void SetUp() override {
    auto kernel = double_sequences();
    ASSERT_TRUE(kernel) << kernel.error().message;
    kernel_ = std::move(*kernel);
  }

  // Doubles the rows that `starts` names; -1 stays in the others.
  Result<std::vector<float>> run(const std::vector<int32_t>& starts, int64_t rows, int threads) {
    std::vector<float> x(static_cast<size_t>(rows * kWidth)), y(x.size(), -1.0F);
    std::iota(x.begin(), x.end(), 1.0F);
    const TensorView operands[] = {TensorView(x.data(), {rows, kWidth}),
                                   TensorView(starts.data(), {static_cast<int64_t>(starts.size())}),
                                   TensorView(y.data(), {rows, kWidth})};
    LATHE_TRY(ThreadPool pool, ThreadPool::create(threads));
    BoundCall call;
    LATHE_CHECK(bind_call(kernel_, operands, threads, call));
    const int sequences = kernel_.plan.find("sequences");
    call.variables[static_cast<size_t>(sequences)] = static_cast<int64_t>(starts.size()) - 1;
    LATHE_CHECK(run_call(kernel_, call, pool));
    return y;
  }

  std::string error_of(const std::vector<int32_t>& starts, int64_t rows) {
    const auto y = run(starts, rows, 1);
    return y ? "(runs)" : y.error().message;
  }

  CompiledKernel kernel_;
};

TEST_F(LaunchPlan, SequencesOfEveryLength) {
  std::vector<int32_t> many = {0};
  for (int32_t i = 0; i < 300; ++i) many.push_back(many.back() + i % 4);
  const std::vector<std::vector<int32_t>> cases = {{0, 1}, {0, 0, 7, 7, 8}, {3, 9, 9, 20}, many};
  for (const std::vector<int32_t>& starts : cases) {
    const int64_t rows = starts.back() + 2;
    for (const int threads : {1, 2, 3, 8}) {
      const auto y = run(starts, rows, threads);
      ASSERT_TRUE(y) << y.error().message;
      for (int64_t i = 0; i < rows * kWidth; ++i) {
        const bool named = i / kWidth >= starts.front() && i / kWidth < starts.back();
        EXPECT_EQ((*y)[static_cast<size_t>(i)], named ? 2.0F * static_cast<float>(i + 1) : -1.0F);
      }
    }
  }
}

TEST_F(LaunchPlan, ElementsBreakTheirRule) {
  EXPECT_THAT(error_of({0, 5, 3, 6}, 6),
              HasSubstr("operand 'starts': found 3 at [2], less than the 5 before it; expected "
                        "ascending elements"));
  EXPECT_THAT(error_of({0, 5, 7}, 6), HasSubstr("operand 'starts': found 7 at [2], expected 0..6"));
  EXPECT_THAT(error_of({-1, 5}, 6), HasSubstr("operand 'starts': found -1 at [0], expected 0..6"));
}

TEST_F(LaunchPlan, BoundsLeaveNothingOut) {
  ir::plan::ElementRule& rule = *kernel_.operands[1].elements;
  rule.covers = true;
  EXPECT_EQ(error_of({0, 5, 5, 6}, 6), "(runs)");
  EXPECT_THAT(error_of({1, 5, 6}, 6), HasSubstr("found 1 at [0], expected 0 as the first bound"));
  EXPECT_THAT(error_of({0, 5, 5}, 6), HasSubstr("found 5 at [2], expected 6 as the last bound"));
  rule.count = ir::plan::Expr(3);
  EXPECT_THAT(error_of({0, 5, 5, 6}, 6), HasSubstr("found 4 elements, expected 3"));
}

TEST(Workers, AreAsManyAsHaveRoom) {
  ir::plan::Plan plan;
  EXPECT_EQ(ir::plan::workers_with_room(plan, 1 << 30, 1 << 20, 8), 8);
  plan.most_scratch = 1000;
  EXPECT_EQ(ir::plan::workers_with_room(plan, 0, 125, 8), 8);
  EXPECT_EQ(ir::plan::workers_with_room(plan, 1, 125, 8), 7);
  EXPECT_EQ(ir::plan::workers_with_room(plan, 0, 1001, 8), 1);
}

}  // namespace
}  // namespace lathe::runtime
