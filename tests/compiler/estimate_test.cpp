// Estimates order what is known to be ordered.
#include "compiler/estimate.h"

#include <gtest/gtest.h>

namespace lathe::compiler {
namespace {

double cycles(const std::string& line, const std::string& schedule, int64_t rows,
              const std::string& target = "avx2", int threads = 1) {
  const Problem problem = *parse_problem(line);
  const Family& family = problem.family();
  const ir::Target built_for = *ir::parse_target(target);
  const SearchSpace space = family.space(problem, built_for);
  const auto plan = family.build(problem, *space.parse(schedule), built_for);
  EXPECT_TRUE(plan) << plan.error().message;
  Sizes sizes = {{"rows", rows},     {"batch", 16},   {"positions", 64},
                 {"vocabulary", 64}, {"tokens", 600}, {"context", 600},
                 {"pages", 600},     {"kept", 13},    {"capacity", 600}};
  if (family.dependent_sizes != nullptr) sizes.merge(family.dependent_sizes(problem, sizes));
  const auto result = estimate(*plan, sizes, family.work(problem, sizes), threads);
  EXPECT_TRUE(result) << result.error().message;
  return result ? result->cycles : 0;
}

TEST(Estimate, MoreRowsCostMore) {
  EXPECT_GT(cycles("relu rows=512 width=2048", "", 1024),
            1.5 * cycles("relu rows=512 width=2048", "", 512));
}

TEST(Estimate, WiderVectorsCostLess) {
  for (const char* line : {"gelu rows=8 width=1024", "softmax rows=8 width=1024"}) {
    EXPECT_GT(cycles(line, "", 8, "scalar"), 2 * cycles(line, "", 8, "sse"));
    EXPECT_GT(cycles(line, "", 8, "sse"), cycles(line, "", 8, "avx2"));
  }
}

TEST(Estimate, OneAccumulatorWaitsForItself) {
  const char* line = "rms_norm rows=1 width=2048";
  EXPECT_GT(cycles(line, "unroll=4 accumulators=1", 1), cycles(line, "unroll=4 accumulators=4", 1));
}

TEST(Estimate, ThreadsShareLargeWork) {
  const char* line = "gelu rows=512 width=4096";
  EXPECT_LT(cycles(line, "", 512, "avx2", 4), 0.5 * cycles(line, "", 512, "avx2", 1));
}

TEST(Estimate, ThreadsDoNotHelpOneRow) {
  const char* line = "gelu rows=1 width=4096";
  EXPECT_GE(cycles(line, "", 1, "avx2", 4), cycles(line, "", 1, "avx2", 1));
}

TEST(Estimate, EveryFamilyHasOne) {
  for (const Family* family : catalogue())
    EXPECT_GT(cycles(family->example, "", 512), 0) << family->name;
}

TEST(Estimate, AMissingSizeIsAnError) {
  const Problem problem = *parse_problem("relu rows=1 width=8");
  const ir::Target target = *ir::parse_target("scalar");
  const auto schedule = problem.family().space(problem, target).default_schedule();
  const auto result = estimate(*problem.family().build(problem, schedule, target), {}, {}, 1);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::invalid_argument);
  EXPECT_NE(result.error().message.find("'rows'"), std::string::npos);
}

}  // namespace
}  // namespace lathe::compiler
