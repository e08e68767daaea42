// One shared operand's layouts: their kernels' searches side by side, and the layout that the
// kernels get.
//
// A weight, or a cache, is held once, so all its kernels read one layout: the one with the least
// sum of its kernels' best times, each in proportion to the share of a forward pass that it takes.
// Times of different moments do not compare, so for each kernel the layouts meet in a race: first
// when the layout chosen so far has been tuned a little, the others by their default schedule and
// the one carried over. Who is clearly behind in the sum is dropped; the others are tuned on, and
// meet again at the end.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "compiler/shared_operand.h"
#include "runtime/library/layout_record.h"
#include "store/store.h"
#include "tuner/session.h"
#include "tuner/task_search.h"

namespace lathe::tuner {

/// The state of one operand. Like TaskSearch, it knows nothing of processes and clocks.
class LayoutSearch {
 public:
  /// A race of one task's layouts, and whose each candidate is.
  struct Contest {
    Job job;
    std::vector<TaskSearch*> owners;
  };
  /// Makes the search of a task in another layout. Errors: it has none.
  using MakeSearch = std::function<Result<TaskSearch*>(size_t task, const std::string& layout)>;

  /// The operand of the tasks at places `tasks` of the session, which are timed at `at`
  /// ("rows=1,16"). Reads what the store knows. Errors: the store.
  static Result<LayoutSearch> create(compiler::LayoutCandidates candidates,
                                     std::vector<size_t> tasks, const std::string& at,
                                     const SessionOptions& options, store::Store& store);

  /// Has the searches made that its layouts still lack: those of the one chosen, and of the others
  /// once they are to meet. Errors: the chosen one's.
  Status make_searches(const MakeSearch& make, bool wait = true);

  const std::vector<size_t>& tasks() const { return tasks_; }
  /// The search of the task at tasks()[i] in the layout chosen so far.
  TaskSearch& chosen(size_t i) const { return *layouts_[chosen_].kernels[i]; }

  /// Whether the layouts must meet: never decided for these tasks, and the chosen one's kernels
  /// have raced other schedules than the default, expect little of them, or must not be waited for.
  bool is_due(bool wait = true) const;
  /// Whether a layout still in the race has another best schedule than when they last met.
  bool is_stale() const;
  /// Whether a meeting has begun and waits for the next of its races.
  bool is_meeting() const { return next_ > 0; }
  /// The race of the next task that there are times of.
  Contest next_contest(const SessionOptions& options);
  /// What the race of the last contest gave: each candidate's batches, none where it was not timed;
  /// its owners have drawn their conclusions. `share` says what part of its pass a search's kernel
  /// takes. Decides, and records the decision, when it was the last task's.
  Status take(const Contest& contest, const std::vector<std::vector<double>>& batches,
              const std::function<double(const TaskSearch&)>& share, const std::string& session,
              store::Store& store);

  /// The kernels worth tuning: of the layout chosen so far, and of those that a meeting left in.
  std::vector<TaskSearch*> survivors() const;

  LayoutResult result() const;

 private:
  struct Layout {
    std::string layout;
    std::vector<TaskSearch*> kernels{};  ///< of each task; empty until made
    double relative = 0;                 ///< its sum over the default layout's; 0: not raced
    bool dropped = false;
    std::vector<std::string> met_with{};            ///< each kernel's schedule in the last meeting
    std::vector<std::vector<double>> batches_ns{};  ///< of each kernel, in this meeting
  };
  bool has_times(size_t task) const { return chosen(task).has_baseline(); }
  size_t live() const;
  void drop(Layout& layout);
  void end_meeting();
  Status decide(const std::function<double(const TaskSearch&)>& share, const std::string& session,
                store::Store& store);
  Status record(double chosen_ns, double sure, const std::string& verdict,
                const std::string& session, store::Store& store);

  compiler::LayoutCandidates candidates_;
  std::vector<size_t> tasks_;
  std::vector<Layout> layouts_;  ///< the default first
  size_t chosen_ = 0;
  bool decided_ = false;  ///< for these tasks, by the store's newest record or since
  size_t next_ = 0;       ///< task of the meeting, counted from 1; 0: none has begun
  store::Key key_;
  std::string why_;
};

}  // namespace lathe::tuner
