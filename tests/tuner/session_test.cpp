// Whole sessions: resumed, interrupted, and with workers that die, hang, lie or are not there.
#include "tuner/session.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <map>
#include <set>

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

  // Empty, and a failure, where the variable is not set.
  static std::string program_named_in(const char* variable) {
    const char* program = std::getenv(variable);
    EXPECT_NE(program, nullptr) << variable << " names no program";
    return program == nullptr ? "" : program;
  }

  // Every task has a winner, and no trial is recorded as failed.
  void expect_nobody_blamed(const Result<SessionResult>& result) {
    ASSERT_TRUE(result) << result.error().message;
    for (const TaskResult& task : result->tasks) {
      EXPECT_TRUE(task.winner) << task.problem_note;
      const auto trials = store_->trials(task.key);
      ASSERT_TRUE(trials);
      for (const store::Trial& trial : *trials)
        EXPECT_NE(trial.state, store::TrialState::failed) << trial.detail;
    }
  }

  // The real worker unless another command is given.
  Result<SessionResult> run(double budget, std::vector<std::string> worker = {},
                            const std::function<void(const Progress&)>& progress = nullptr) {
    if (worker.empty()) worker = {program_named_in("LATHE_TEST_WORKER"), "--worker"};
    SessionOptions options;
    options.target = test_target();
    options.effort = Effort::quick;
    options.budget = Seconds(budget);
    options.worker_command = std::move(worker);
    options.patience_s = patience_s_;
    return run_session(tasks_, options, *store_, progress);
  }

  tests::TemporaryFolder folder_;
  std::optional<store::Store> store_;
  std::vector<Task> tasks_;
  double patience_s_ = 20;
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
  const std::string crash = R"({"kind":"crash","candidate":0})";
  const std::string lie =
      R"({"kind":"trial","candidate":99,"state":"timed","check":"","detail":"","batches_ns":[1],"gflops":0,"gbytes_per_s":0})";
  struct Worker {
    std::vector<std::string> command;
    std::string says;
    size_t trials;  ///< the default, recorded as failed
  };
  for (const Worker& worker :
       {Worker{{"/bin/false"}, "status 1", 0}, Worker{{"/no/such/program"}, "status 127", 0},
        Worker{{"/bin/sh", "-c", "read job; echo '" + crash + "'; kill -SEGV $$"}, "signal 11", 1},
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

// A fault may be the machine's: whoever was running is asked once more before it is called failed.
TEST_F(SessionTest, ACrashThatDoesNotComeAgainIsForgiven) {
  const std::string program = program_named_in("LATHE_TEST_WORKER");
  ASSERT_NE(program, "");
  const std::string mark = (folder_ / "crashed").string();
  const auto result =
      run(3600, {"/bin/sh", "-c",
                 fmt::format("if [ ! -e '{0}' ]; then touch '{0}'; read job; echo '{1}'; "
                             "kill -SEGV $$; fi; exec '{2}' --worker",
                             mark, R"({"kind":"crash","candidate":0})", program)});
  expect_nobody_blamed(result);
}

// Nobody is blamed for what happens to a process from outside: here the first is killed.
TEST_F(SessionTest, AWorkerKilledFromOutsideBlamesNoCandidate) {
  const std::string program = program_named_in("LATHE_TEST_WORKER");
  ASSERT_NE(program, "");
  const std::string once = (folder_ / "once").string();
  const auto result =
      run(3600, {"/bin/sh", "-c",
                 fmt::format("read job; [ -e '{0}' ] || {{ touch '{0}'; kill -KILL $$; }}; "
                             "{{ echo \"$job\"; cat; }} | exec '{1}' --worker",
                             once, program)});
  expect_nobody_blamed(result);
}

// Time that passes while a worker is stopped, as by a laptop's sleep, is not its own.
TEST_F(SessionTest, AStoppedWorkerDoesNotHang) {
  const std::string program = program_named_in("LATHE_FAKE_WORKER");
  ASSERT_NE(program, "");
  patience_s_ = 0.4;
  const auto result =
      run(3600, {"/bin/sh", "-c",
                 fmt::format("(sleep 1.5; kill -CONT $$) & kill -STOP $$; exec '{}'", program)});
  ASSERT_TRUE(result) << result.error().message;
  for (const TaskResult& task : result->tasks) EXPECT_TRUE(task.winner) << task.problem_note;
}

TEST_F(SessionTest, AWorkerThatRunsWithoutAWordIsAskedWhatItRunsAndKilled) {
  patience_s_ = 0.2;
  const auto result =
      run(3600, {"/bin/sh", "-c",
                 R"(read job; say() { echo '{"kind":"crash","candidate":0}'; exit 1; }
                    trap say ABRT; while :; do :; done)"});
  ASSERT_TRUE(result) << result.error().message;
  for (const TaskResult& task : result->tasks) {
    EXPECT_FALSE(task.winner);
    EXPECT_NE(task.problem_note.find("no word for 0.2 s of its own time"), std::string::npos)
        << task.problem_note;
    const auto trials = store_->trials(task.key);
    ASSERT_TRUE(trials);
    ASSERT_EQ(trials->size(), 1U);
    EXPECT_EQ(trials->front().state, store::TrialState::failed);
    EXPECT_NE(trials->front().detail.find("2 times"), std::string::npos) << trials->front().detail;
  }
}

// A schedule that failed may have met a bad day: a later session tries it once more, and no other
// after that.
TEST_F(SessionTest, WhatFailedIsTriedInOneMoreSession) {
  const auto trials_of = [&](const TaskResult& task, const std::string& schedule) {
    const auto trials = store_->trials(task.key);
    int64_t count = 0;
    if (trials)
      for (const store::Trial& trial : *trials) count += trial.schedule == schedule;
    return count;
  };
  tasks_.pop_back();
  const auto first = run(3600);
  ASSERT_TRUE(first) << first.error().message;
  const TaskResult task = first->tasks.front();
  const auto known = store_->trials(task.key);
  ASSERT_TRUE(known);
  const std::string usual = known->front().schedule;
  const auto other = std::find_if(known->begin(), known->end(), [&](const store::Trial& trial) {
    return trial.schedule != usual;
  });
  ASSERT_NE(other, known->end());

  for (const int failures : {1, 2}) {
    auto opened = store::Store::open(folder_ / (std::to_string(failures) + ".db"));
    ASSERT_TRUE(opened) << opened.error().message;
    store_.emplace(std::move(*opened));
    ASSERT_TRUE(store_->record_host("cpu", support::host_identity(), support::host().name));
    for (int i = 0; i < failures; ++i) {
      store::Trial failed;
      failed.schedule = other->schedule;
      failed.state = store::TrialState::failed;
      failed.session = "earlier " + std::to_string(i);
      ASSERT_TRUE(store_->record_trial(task.key, failed));
    }
    ASSERT_TRUE(run(3600));
    const int64_t trials = trials_of(task, other->schedule);
    EXPECT_EQ(trials > failures, failures == 1) << trials;
  }
}

// A worker that found wrong code ends, for that code has run in it: another one goes on.
TEST_F(SessionTest, AfterWrongCodeAnotherWorkerGoesOn) {
  const std::string program = program_named_in("LATHE_FAKE_WORKER");
  ASSERT_NE(program, "");
  tasks_.pop_back();
  const auto usual = run(3600, {program});
  ASSERT_TRUE(usual) << usual.error().message;
  const auto all = store_->trials(usual->tasks.front().key);
  ASSERT_TRUE(all);
  std::set<std::string> schedules;
  for (const store::Trial& trial : *all) schedules.insert(trial.schedule);
  ASSERT_GT(schedules.size(), 1U);
  const std::string wrong = all->back().schedule == all->front().schedule
                                ? *std::find_if(schedules.begin(), schedules.end(),
                                                [&](const std::string& schedule) {
                                                  return schedule != all->front().schedule;
                                                })
                                : all->back().schedule;

  auto opened = store::Store::open(folder_ / "second.db");
  ASSERT_TRUE(opened) << opened.error().message;
  store_.emplace(std::move(*opened));
  const auto result = run(3600, {program, "wrong=" + wrong});
  ASSERT_TRUE(result) << result.error().message;
  ASSERT_TRUE(result->tasks.front().winner) << result->tasks.front().problem_note;
  const auto trials = store_->trials(result->tasks.front().key);
  ASSERT_TRUE(trials);
  std::map<std::string, std::set<store::TrialState>> states;
  for (const store::Trial& trial : *trials) states[trial.schedule].insert(trial.state);
  EXPECT_EQ(states.size(), schedules.size());
  for (const auto& [schedule, found] : states) {
    const auto expected =
        schedule == wrong ? store::TrialState::failed_check : store::TrialState::timed;
    EXPECT_EQ(found.count(expected), 1U) << schedule;
    EXPECT_EQ(found.size(), 1U) << schedule;
  }
}

// However many kernels there are, their schedules are judged as they are needed: the first trial
// comes before that, and a budget that is over ends it.
TEST_F(SessionTest, NothingIsJudgedBeforeTheFirstTrial) {
  tasks_.clear();
  for (int64_t rows = 1; rows <= 1024; rows *= 2) {
    for (const char* weight : {"bf16", "f16", "f32"}) {
      Task task;
      task.problem = *compiler::parse_problem(
          fmt::format("linear rows={} n=512 k=512 weight={} panel=16", rows, weight));
      task.at = {{"rows", rows}};
      tasks_.push_back(std::move(task));
    }
  }
  const std::string program = program_named_in("LATHE_FAKE_WORKER");
  ASSERT_NE(program, "");
  const auto none = run(0.0, {program});
  ASSERT_TRUE(none) << none.error().message;
  EXPECT_EQ(none->listing_s, 0);
  bool seen = false;
  const auto first = run(3600, {program}, [&](const Progress& progress) {
    if (progress.trials_done > 0) {
      seen = true;
      support::set_interrupted(true);
    }
  });
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_TRUE(seen);
  EXPECT_EQ(first->listing_s, 0);
}

}  // namespace
}  // namespace lathe::tuner
