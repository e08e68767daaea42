// Whole sessions: resumed, interrupted, and with workers that die, hang, lie or are not there.
#include "tuner/session.h"

#include <chrono>
#include <cstdlib>

#include <gtest/gtest.h>

#include "support/interrupt.h"
#include "tests/temporary_folder.h"
#include "tests/tuner/kernels.h"

namespace lathe::tuner {
namespace {

using Seconds = std::chrono::duration<double>;

class SessionTest : public testing::Test {
 protected:
  void SetUp() override {
    auto opened = store::Store::open(folder_ / "store.db");
    ASSERT_TRUE(opened) << opened.error().message;
    store_.emplace(std::move(*opened));
    for (const char* line : {"rms_norm rows=8 width=64", "relu rows=8 width=64"}) {
      Task task;
      task.problem = *compiler::parse_problem(line);
      task.at = {{"rows", 8}};
      task.cache = "warm";
      tasks_.push_back(std::move(task));
    }
  }
  void TearDown() override { support::set_interrupted(false); }

  // The real worker unless another command is given.
  Result<SessionResult> run(double budget, std::vector<std::string> worker = {},
                            const std::function<void(const Progress&)>& progress = nullptr) {
    if (worker.empty()) {
      const char* program = std::getenv("LATHE_TEST_WORKER");
      if (program == nullptr)
        return fail(ErrorCode::not_found, "LATHE_TEST_WORKER names no worker program");
      worker = {program, "--worker"};
    }
    SessionOptions options;
    options.target = test_target();
    options.effort = Effort::quick;
    options.budget = Seconds(budget);
    options.worker_command = std::move(worker);
    return run_session(tasks_, options, *store_, progress);
  }

  tests::TemporaryFolder folder_;
  std::optional<store::Store> store_;
  std::vector<Task> tasks_;
};

TEST_F(SessionTest, EveryTaskGetsACheckedRecordAndASecondRunFindsIt) {
  size_t reports = 0;
  const auto first = run(3600, {}, [&](const Progress& progress) {
    ++reports;
    EXPECT_LE(progress.tasks_done, progress.tasks);
    EXPECT_LE(progress.trials_done, progress.trials_expected);
  });
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_GT(reports, 2U);
  ASSERT_EQ(first->tasks.size(), 2U);
  for (const TaskResult& result : first->tasks) {
    ASSERT_TRUE(result.winner) << result.problem_note;
    EXPECT_FALSE(result.from_earlier_run);
    EXPECT_GT(result.winner->tuned_ns, 0);
    EXPECT_GE(result.winner->speedup, 1);
    EXPECT_FALSE(result.winner->verified.empty());
  }
  const auto second = run(3600);
  ASSERT_TRUE(second) << second.error().message;
  for (const TaskResult& result : second->tasks) {
    EXPECT_TRUE(result.from_earlier_run);
    EXPECT_TRUE(result.winner);
  }
}

TEST_F(SessionTest, AnInterruptKeepsTheBestSoFar) {
  const auto result = run(3600, {}, [](const Progress& progress) {
    if (progress.tasks_done == 1) support::set_interrupted(true);
  });
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_TRUE(result->interrupted);
  EXPECT_NE(result->tasks[0].winner.has_value(), result->tasks[1].winner.has_value());
}

// A worker that never answers ends with the budget, not because it is silent for too long.
TEST_F(SessionTest, AHangingWorkerIsCutOffWithTheBudget) {
  const auto result = run(0.5, {"/bin/sh", "-c", "exec sleep 100000"});
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_GE(result->elapsed_s, 0.5);
  for (const TaskResult& task : result->tasks)
    EXPECT_EQ(task.problem_note.find("no word"), std::string::npos) << task.problem_note;
  for (const TaskResult& task : result->tasks) EXPECT_FALSE(task.winner);
}

TEST_F(SessionTest, WorkersThatFailAreNamedInTheResult) {
  const std::string begin =
      R"({"kind":"begin","candidate":0,"state":"","check":"","detail":"","batches_ns":[],"gflops":0,"gbytes_per_s":0})";
  const std::string lie =
      R"({"kind":"trial","candidate":99,"state":"timed","check":"","detail":"","batches_ns":[1],"gflops":0,"gbytes_per_s":0})";
  struct Worker {
    std::vector<std::string> command;
    std::string says;
    size_t trials;  ///< the default, recorded as failed
  };
  for (const Worker& worker :
       {Worker{{"/bin/false"}, "status 1", 0}, Worker{{"/no/such/program"}, "status 127", 0},
        Worker{{"/bin/sh", "-c", "read job; echo '" + begin + "'; kill -SEGV $$"}, "signal 11", 1},
        Worker{{"/bin/sh", "-c", "read job; echo nonsense; exec sleep 100"}, "nonsense", 0},
        Worker{{"/bin/sh", "-c", "read job; echo '" + lie + "'; exec sleep 100"}, "99", 0}}) {
    const auto result = run(3600, worker.command);
    ASSERT_TRUE(result) << worker.says << ": " << result.error().message;
    for (const TaskResult& task : result->tasks) {
      EXPECT_FALSE(task.winner) << worker.says;
      const bool named = task.problem_note.find(worker.says) != std::string::npos ||
                         task.problem_note.find("the worker was gone") != std::string::npos;
      EXPECT_TRUE(named) << worker.says << " in " << task.problem_note;
      const auto trials = store_->trials(task.key);
      ASSERT_TRUE(trials);
      if (worker.trials > 0) {
        ASSERT_EQ(trials->size(), worker.trials);
        EXPECT_EQ(trials->front().state, store::TrialState::failed);
      }
    }
  }
}

}  // namespace
}  // namespace lathe::tuner
