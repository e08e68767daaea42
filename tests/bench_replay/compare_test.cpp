// Strategies on made-up records: the best is found where it is, and what is distilled reads back.
#include "bench/replay/compare.h"

#include <filesystem>

#include <gtest/gtest.h>

#include <lathe/backends.h>

#include "compiler/family.h"
#include "tests/temporary_folder.h"
#include "tuner/experience.h"

namespace lathe::bench {
namespace {

// Every schedule of a kernel takes as long as the default but for one, which takes half.
RecordedKernel made_up(const std::string& line, const std::string& fastest) {
  const auto problem = *compiler::parse_problem(line);
  const auto target = *default_backends().front()->target("avx2", "");
  const auto space = problem.family().space(problem, target);
  RecordedKernel kernel;
  kernel.problem = problem.line();
  kernel.at = "rows=8";
  kernel.cache = "warm";
  kernel.target = "avx2";
  kernel.default_ns = 1000;
  kernel.default_schedule = space.print(space.default_schedule());
  kernel.winner = fastest;
  for (const compiler::Schedule& point : space.points()) {
    tuner::TriedSchedule tried;
    tried.median = space.print(point) == fastest ? 0.5 : 1;
    tried.relative.assign(12, tried.median);
    kernel.schedules.emplace(space.print(point), tried);
  }
  return kernel;
}

RecordFile file_of(const std::string& host, const RecordedKernel& kernel) {
  RecordFile file{"avx2 " + host, host, {}};
  file.records.emplace(kernel.name(), kernel);
  return file;
}

TEST(Compare, AWholeSearchFindsTheBestWhateverTheStrategy) {
  const auto kernel = made_up("relu rows=8 width=64", "unroll=8 grain=32");
  ASSERT_EQ(kernel.schedules.count(kernel.winner), 1U) << kernel.default_schedule;
  const std::vector<RecordFile> files = {file_of("here", kernel)};
  for (const tuner::StrategyKind kind : tuner::kStrategies) {
    const auto found = compare(kind, files[0], files, 1, default_backends());
    ASSERT_TRUE(found) << found.error().message;
    EXPECT_DOUBLE_EQ(found->chosen, 1) << tuner::to_string(kind);
    EXPECT_DOUBLE_EQ(found->of_default, 2);
    EXPECT_EQ(found->trials, kernel.schedules.size());
  }
}

TEST(Compare, TheModelKnowsOtherHostsButNotItsOwn) {
  const auto kernel = made_up("softmax rows=8 width=2048", "");
  // Far from the default and from what the estimate would take first.
  const std::string fastest = std::prev(kernel.schedules.end())->first;
  const auto there = made_up("softmax rows=8 width=2048", fastest);
  const std::vector<RecordFile> both = {file_of("here", there), file_of("elsewhere", there)};
  const auto few = 5.0 / static_cast<double>(there.schedules.size());
  const auto knowing = compare(tuner::StrategyKind::model, both[0], both, few, default_backends());
  ASSERT_TRUE(knowing) << knowing.error().message;
  EXPECT_DOUBLE_EQ(knowing->chosen, 1);
  const auto alone =
      compare(tuner::StrategyKind::model, both[0], {both[0]}, few, default_backends());
  ASSERT_TRUE(alone) << alone.error().message;
  EXPECT_DOUBLE_EQ(alone->chosen, 2) << "its own record would have told";
}

TEST(Compare, WhatIsDistilledReadsBack) {
  const auto kernel = made_up("relu rows=8 width=64", "unroll=8 grain=32");
  tuner::Experience experience;
  const Status read = experience.read(distill({file_of("here", kernel)}), "distilled");
  ASSERT_TRUE(read) << read.error().message;
  const int number = experience.kernel({kernel.problem, "rows=8", "warm", "avx2", "here", 1});
  EXPECT_EQ(experience.kernels(), 1U);
  EXPECT_GT(experience.observations(number).size(), 2U);
}

TEST(Compare, AFilesNameSaysWhatItIs) {
  const tests::TemporaryFolder folder;
  const auto kernel = made_up("relu rows=8 width=64", "unroll=8 grain=32");
  const Records records = {{kernel.name(), kernel}};
  for (const auto& [name, label, host] :
       {std::tuple{"m_bf16_avx2_zen5.tsv", "avx2 zen5", "zen5"},
        std::tuple{"m_bf16_avx512_a-vm_16tokens.tsv", "avx512 a-vm_16tokens", "a-vm"}}) {
    ASSERT_TRUE(save(records, folder / name));
    const auto file = load_file(folder / name);
    ASSERT_TRUE(file) << file.error().message;
    EXPECT_EQ(file->label, label);
    EXPECT_EQ(file->host, host);
    EXPECT_EQ(file->records.size(), 1U);
  }
  const auto refused = load_file(folder / "records.tsv");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace lathe::bench
