// Jobs on workers that may die: another one goes on with what is left, and the guilty are found.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tuner/worker_process.h"
#include "tuner/worker_protocol.h"

namespace lathe::tuner {

/// What the owner of a job is asked and told while it runs. Candidates are those of the whole job.
struct JobHooks {
  std::function<bool()> cut_off;  ///< whether to give the job up at once
  std::function<bool()> stop;     ///< whether no other worker is to go on with it
  std::function<void()> begin;    ///< a worker is about to get it, or what is left of it
  /// A "trial" of a candidate; "error" and "roofs", of candidate -1.
  std::function<Status(int candidate, const Event& event)> event;
  /// A worker ended before its job: why, and who was running, -1 where nobody is to blame.
  /// `for_good`: it is not that candidate's first fault, and it does not run again.
  std::function<Status(int candidate, const std::string& cause, bool for_good)> failed;
};

/// Keeps a worker from one job to the next. Not thread-safe.
class JobRunner {
 public:
  static constexpr int kFaults = 2;  ///< so often a candidate must fail to be blamed for it

  /// `command`: a program that calls worker_main(). `patience_s`: a worker that has run for so long
  /// without a word hangs, in seconds of its own time.
  JobRunner(std::vector<std::string> command, double patience_s)
      : command_(std::move(command)), patience_s_(patience_s) {}

  /// done: to its end. incomplete: without those that it compares with, or stopped. Errors: no
  /// worker can be started, what the hooks return.
  enum class Outcome { done, incomplete, cut_off };
  Result<Outcome> run(const Job& job, const JobHooks& hooks);

  const Spent& spent() const { return spent_; }  ///< by workers, on the jobs they finished

 private:
  struct Attempt;
  Result<Attempt> attempt(const Job& job, const std::vector<int>& names, const JobHooks& hooks);

  std::vector<std::string> command_;
  double patience_s_;
  std::unique_ptr<WorkerProcess> worker_;
  Spent spent_;
};

}  // namespace lathe::tuner
