// Which passes are replayed: whole ones, without families that the records have never met.
#include "bench/replay/passes.h"

#include <gtest/gtest.h>

namespace lathe::bench {
namespace {

namespace models = compiler::models;

models::ModelKernel kernel_of(const std::string& line, int64_t rows, const std::string& pass) {
  models::ModelKernel kernel;
  kernel.problem = *compiler::parse_problem(line);
  kernel.at = {{"rows", rows}};
  kernel.cache = "warm";
  kernel.pass = pass;
  return kernel;
}

TEST(RecordedPasses, LeaveOutWhatTheRecordsNeverMet) {
  const std::vector<models::ModelKernel> kernels = {
      kernel_of("relu rows=8 width=64", 8, "8 tokens"),
      kernel_of("softmax rows=8 width=64", 8, "8 tokens"),
      kernel_of("relu rows=8 width=64", 9, "9 tokens"),
      kernel_of("softmax rows=8 width=64", 9, "9 tokens"),
  };
  Records records;
  RecordedKernel known;
  known.problem = kernels.front().problem.line();
  known.at = "rows=8";
  known.cache = "warm";
  records.emplace(known.name(), known);

  const RecordedPasses passes = recorded_passes(kernels, records);
  ASSERT_EQ(passes.tasks.size(), 1U);
  EXPECT_EQ(passes.tasks.front().problem.line(), kernels.front().problem.line());
  EXPECT_EQ(passes.tasks.front().pass, "8 tokens");
  EXPECT_EQ(passes.missing_families, std::set<std::string>{"softmax"});
  EXPECT_EQ(passes.missing_passes, std::set<std::string>{"9 tokens"});
  EXPECT_EQ(passes.missing_kernel, record_name(known.problem, "rows=9", "warm"));
}

}  // namespace
}  // namespace lathe::bench
