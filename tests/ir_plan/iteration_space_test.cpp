// Nests of parallel loops as one space: each iteration once, in order, also where their number
// depends on the loops around.
#include "ir/plan/iteration_space.h"

#include <numeric>

#include <gtest/gtest.h>

#include "tests/ir_plan/sample_plan.h"

namespace lathe::ir::plan {
namespace {

using Iterations = std::vector<std::vector<int64_t>>;

// The nest's variables at each of its iterations.
Iterations iterations_of(const Loop& nest, std::vector<int64_t> variables,
                         std::byte* const* operands, const std::vector<int>& shown) {
  const Environment environment{variables.data(), operands};
  const IterationSpace space(nest, environment);
  Iterations found;
  for (int64_t i = 0; i < space.size(); ++i) {
    space.enter(i, environment);
    std::vector<int64_t>& values = found.emplace_back();
    for (const int variable : shown) values.push_back(variables[static_cast<size_t>(variable)]);
  }
  return found;
}

Loop nest_of(std::vector<Loop> loops) {
  for (size_t i = loops.size() - 1; i > 0; --i) append(loops[i - 1].body, std::move(loops[i]));
  return std::move(loops.front());
}

TEST(IterationSpace, LoopsWithBoundsOfTheirOwn) {
  const Loop nest = nest_of({{0, 1, 8, 3, true}, {1, 5, 7, 1, true}});
  EXPECT_EQ(iterations_of(nest, {0, 0}, nullptr, {0, 1}),
            (Iterations{{1, 5}, {1, 6}, {4, 5}, {4, 6}, {7, 5}, {7, 6}}));
}

TEST(IterationSpace, LoopsWithoutIterations) {
  EXPECT_TRUE(iterations_of(nest_of({{0, 3, 3, 1, true}}), {0}, nullptr, {0}).empty());
  EXPECT_TRUE(iterations_of(nest_of({{0, 3, 1, 1, true}}), {0}, nullptr, {0}).empty());
  EXPECT_TRUE(
      iterations_of(nest_of({{0, 0, 4, 1, true}, {1, 0, 0, 1, true}}), {0, 0}, nullptr, {0, 1})
          .empty());
}

TEST(IterationSpace, DeeperLoopsStayInTheBody) {
  std::vector<Loop> loops;
  for (int i = 0; i < IterationSpace::kMaxDepth + 1; ++i) loops.push_back({i, 0, 2, 1, true});
  const Loop nest = nest_of(std::move(loops));
  std::vector<int64_t> variables(IterationSpace::kMaxDepth + 1);
  const IterationSpace space(nest, {variables.data(), nullptr});
  EXPECT_EQ(space.size(), 1 << IterationSpace::kMaxDepth);
  EXPECT_TRUE(std::holds_alternative<Loop>(space.body().front().value));
}

TEST(IterationSpace, TriangleOfTwoLoops) {
  const Loop nest = nest_of({{0, 0, 4, 1, true}, {1, Expr::variable(0), 4, 2, true}});
  EXPECT_EQ(iterations_of(nest, {0, 0}, nullptr, {0, 1}),
            (Iterations{{0, 0}, {0, 2}, {1, 1}, {1, 3}, {2, 2}, {3, 3}}));
}

// More sequences than there are marks, many of them empty.
TEST(IterationSpace, ManySequences) {
  const Plan plan = ragged_plan();
  for (const int32_t count : {1, 127, 128, 129, 1000}) {
    std::vector<int32_t> starts = {0};
    for (int32_t i = 0; i < count; ++i) starts.push_back(starts.back() + (i * 7 % 5) * (i % 3));
    Iterations expected;
    for (int32_t s = 0; s < count; ++s)
      for (int64_t row = starts[static_cast<size_t>(s)]; row < starts[static_cast<size_t>(s) + 1];
           row += 2)
        expected.push_back({s, row});
    std::byte* const operands[] = {nullptr, reinterpret_cast<std::byte*>(starts.data()), nullptr};
    std::vector<int64_t> variables(plan.variables.size());
    variables[0] = starts.back();
    variables[1] = count;
    EXPECT_EQ(iterations_of(std::get<Loop>(plan.body[0].value), variables, operands,
                            {plan.find("sequence"), plan.find("row")}),
              expected);
  }
}

}  // namespace
}  // namespace lathe::ir::plan
