// A tuning session: problems in, winners in the store; best so far at any moment.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "compiler/problem.h"
#include "compiler/shared_operand.h"
#include "runtime/library/layout_record.h"
#include "runtime/library/record_key.h"
#include "runtime/library/target_selection.h"
#include "store/store.h"
#include "tuner/prior.h"
#include "tuner/race.h"
#include "tuner/strategies/strategy.h"
#include "tuner/worker_protocol.h"

namespace lathe::tuner {

/// How far to search. quick: the estimate's best few candidates a problem. normal: as many as the
/// budget pays for, in the estimate's order. full: every point that meets the constraints.
enum class Effort { quick, normal, full };

/// One kernel to tune.
struct Task {
  compiler::Problem problem;
  compiler::Sizes at;
  std::string cache = "cold";  ///< "cold" | "warm"
  std::string where;           ///< for the table: what the model uses it for
  double weight = 1;           ///< launches in a forward pass: decides where time is spent first
  std::string pass{};          ///< that pass: each is worth the same, however long it takes
  /// The pass in which it would take the place of another task, over another context: what it takes
  /// is a share of that one. Empty: of `pass`.
  std::string part_of{};
  std::vector<std::pair<std::string, int64_t>> launches_in{};  ///< of every pass; for reports
};

struct SessionOptions {
  runtime::SelectedTarget target;
  int threads = 1;
  bool deterministic = false;
  std::string objective = "time";
  Effort effort = Effort::normal;
  StrategyKind strategy = StrategyKind::model;
  /// What is known of other hosts before the store is asked, as Experience::read() takes it.
  std::string_view experience = prior_experience();
  /// Wall-clock limit for the whole session; it ends within five seconds of it. nullopt: no limit.
  std::optional<std::chrono::duration<double>> budget;
  /// Choose the layout of each operand that tasks share: the layouts that these name say nothing
  /// then. Otherwise every task is tuned in the layout that it names.
  bool compare_layouts = true;
  /// The program to run as a worker, and its arguments: it must call worker_main(). Candidates run
  /// there, so that one that crashes or hangs takes only its trial with it.
  std::vector<std::string> worker_command;
  /// A worker that has run for so long without a word hangs: in seconds of its own time, which does
  /// not pass while it is stopped, or the machine asleep.
  double patience_s = 20;
};

/// The layout that an operand got, and what the others would have cost.
struct LayoutResult {
  compiler::LayoutCandidates candidates;           ///< the operand
  std::string layout;                              ///< the one chosen
  std::vector<runtime::LayoutStanding> standings;  ///< all candidates, the default first
  std::string why;
  bool decided =
      false;  ///< false: the time did not suffice; the layout is the one before, or the default
};

/// What is known of one task; one row of the final table and of the JSON.
struct TaskResult {
  Task task;
  store::Key key;
  std::optional<store::Winner> winner;  ///< absent when not even the default could be timed
  std::string problem_note;             ///< why not
  bool from_earlier_run = false;        ///< the record was complete before this session
};

/// A moment of the session, for progress bars.
struct Progress {
  size_t tasks_done = 0, tasks = 0;  ///< done: has a checked, timed record
  size_t trials_done = 0, trials_expected = 0;
  double elapsed_s = 0;
  std::optional<double> remaining_s;  ///< estimate; absent at the very start
  std::string current;                ///< the problem line being worked on
  std::string best;                   ///< "1.31x over default" for it, or empty
};

struct SessionResult {
  std::vector<TaskResult> tasks;      ///< in the order given, each in its operand's layout
  std::vector<LayoutResult> layouts;  ///< of each operand, where they were compared
  double elapsed_s = 0;
  double listing_s = 0;           ///< of it, on listing and judging candidates
  double baselines_s = 0;         ///< when every task that could had a record
  Spent spent;                    ///< of the workers
  bool interrupted = false;       ///< by a signal
  bool budget_exhausted = false;  ///< candidates were left
};

/// Tunes the tasks. First every task's default schedule is checked and timed, then candidates race,
/// heaviest tasks first, and the layouts of operands meet (tuner/layout_search.h), until budget,
/// signal or space ends. Trials of an earlier session count: a
/// candidate that the store knows is not timed again unless it reaches a final. Every trial is
/// committed within a second of its end. Errors: only what makes tuning impossible (the store
/// refuses writes, no worker can be started); a task that fails becomes a note in its result.
Result<SessionResult> run_session(const std::vector<Task>& tasks, const SessionOptions& options,
                                  store::Store& store,
                                  const std::function<void(const Progress&)>& progress = nullptr);

/// Takes the place of `repeats` calls of a job's kernel: a replay waits as long as they once took.
using JobStandIn = std::function<Status(const Job& job, const Racer& racer, int64_t repeats)>;

/// The worker's side: reads jobs from standard input, writes results to standard output, until the
/// end of input. Returns the exit status.
int worker_main(const runtime::Backends& backends, const JobStandIn& stand_in = nullptr);

}  // namespace lathe::tuner
