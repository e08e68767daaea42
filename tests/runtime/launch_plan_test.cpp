// Plans that read elements of their operands, launched natively: every length of every sequence,
// whatever the number of threads, and elements that break their rule.
#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <lathe/backends.h>
#include <lathe/lathe.h>

#include "compiler/problem.h"
#include "runtime/launch/launch.h"
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
    LATHE_TRY(auto loaded, load_image(image, nullptr));
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

// Attention over lists of blocks: what is listed is used, and is checked before anything runs.
class LaunchBlockSparse : public testing::Test {
 protected:
  static constexpr int64_t kTokens = 40, kKeys = 50, kKept = 3, kQueryBlocks = 3;

  Status run(std::vector<int32_t> counts, std::vector<int32_t> blocks,
             int64_t query_blocks = kQueryBlocks, int64_t kept = kKept) {
    const auto library = Library::open({.store = "none"});
    if (!library) return tl::unexpected(library.error());
    BlockSparseAttention op{.block = 16, .heads = 2, .kv_heads = 1, .dim = 8, .kept = kKept};
    LATHE_TRY(const Kernel kernel, library->fetch(op));
    counts.resize(static_cast<size_t>(query_blocks));
    blocks.resize(static_cast<size_t>(query_blocks * kKept));
    return kernel(
        {TensorView(q_.data(), {1, kTokens, 2, 8}), TensorView(k_.data(), {1, kKeys, 1, 8}),
         TensorView(v_.data(), {1, kKeys, 1, 8}), TensorView(counts.data(), {1, 1, query_blocks}),
         TensorView(blocks.data(), {1, 1, query_blocks, kept})},
        {TensorView(y_.data(), {1, kTokens, 2, 8})});
  }
  std::string error_of(const std::vector<int32_t>& counts, const std::vector<int32_t>& blocks,
                       int64_t query_blocks = kQueryBlocks) {
    const Status status = run(counts, blocks, query_blocks);
    return status ? "(runs)" : status.error().message;
  }

  std::vector<float> q_ = std::vector<float>(kTokens * 2 * 8);
  std::vector<float> k_ = std::vector<float>(kKeys * 8, 1.0F);
  std::vector<float> v_ = std::vector<float>(kKeys * 8, 1.0F);
  std::vector<float> y_ = std::vector<float>(kTokens * 2 * 8, -1.0F);
};

TEST_F(LaunchBlockSparse, TokensSeeTheirBlocksAlone) {
  for (int64_t i = 0; i < kKeys * 8; ++i) v_[static_cast<size_t>(i)] = static_cast<float>(i / 128);
  const Status status = run({1, 0, 2}, {2, 9, 9, 0, 0, 0, 0, 3, -5});
  ASSERT_TRUE(status) << status.error().message;
  EXPECT_FLOAT_EQ(y_[0], 2);                  // the keys of block 2 alone
  EXPECT_EQ(y_[16 * 2 * 8], 0);               // no block
  EXPECT_FLOAT_EQ(y_[32 * 2 * 8], 1.0F / 3);  // 16 keys of block 0, the last two, of block 3
}

TEST_F(LaunchBlockSparse, ListsAreChecked) {
  EXPECT_THAT(error_of({0, 4, 0}, {}),
              HasSubstr("operand 'counts': found 4 at [1], expected 0..3"));
  EXPECT_THAT(error_of({0, -1, 0}, {}), HasSubstr("operand 'counts': found -1 at [1]"));
  EXPECT_THAT(error_of({0, 0, 1}, {0, 0, 0, 0, 0, 0, 4}),
              HasSubstr("operand 'blocks': found 4 at [2, 0], one of the 1 that counts[2] = 1 asks "
                        "for, expected 0..3"));
  EXPECT_THAT(error_of({0, 2, 0}, {0, 0, 0, 2, 2}),
              HasSubstr("operand 'blocks': found 2 at [1, 1], one of the 2 that counts[1] = 2 asks "
                        "for, equal to the 2 before it; expected distinct, ascending elements"));
  EXPECT_THAT(error_of({3, 0, 0}, {0, 3, 2}),
              HasSubstr("operand 'blocks': found 2 at [0, 2], one of the 3 that counts[0] = 3 asks "
                        "for, less than the 3 before it"));
  EXPECT_THAT(error_of({0, 0}, {}, 2),
              HasSubstr("operand 'counts': found query_blocks = 2, expected 3 as the other sizes"));
  const Status without_room = run({}, {}, kQueryBlocks, 0);
  ASSERT_FALSE(without_room);
  EXPECT_THAT(without_room.error().message,
              HasSubstr("operand 'blocks': found kept = 0, expected 1"));
  for (const float value : y_) EXPECT_EQ(value, -1.0F);
}

// Where outputs may be their inputs' memory, one that is updated still may not.
TEST_F(LaunchPlan, AnUpdatedOperandSharesNothing) {
  kernel_.plan.in_place = true;
  std::vector<float> x(2 * kWidth);
  const std::vector<int32_t> starts = {0, 2};
  const TensorView rows(x.data(), {2, kWidth});
  const TensorView operands[] = {rows, TensorView(starts.data(), {2}), rows};
  BoundCall call;
  EXPECT_TRUE(bind_call(kernel_, operands, 1, call));
  kernel_.operands[2].updated = true;
  const Status refused = bind_call(kernel_, operands, 1, call);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message,
              HasSubstr("operand 'y': overlaps operand 'x'; give it memory of its own"));
}

}  // namespace
}  // namespace lathe::runtime
