// One task's search: what was tried, what is left, who leads; and the record that follows from it.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "store/store.h"
#include "tuner/session.h"
#include "tuner/strategies/strategy.h"
#include "tuner/worker_protocol.h"

namespace lathe::tuner {

/// The state of one task. Knows nothing of processes and clocks: run_session() feeds it races.
class TaskSearch {
 public:
  /// Reads what the store knows. Its only candidate is the default. Errors: a problem that has no
  /// schedule, the store.
  static Result<TaskSearch> create(const Task& task, const SessionOptions& options,
                                   store::Store& store);
  /// Lists the candidates that are not known yet, once: each schedule is built and judged. What it
  /// learns goes to `experience`, which must outlive it.
  Status list_candidates(const SessionOptions& options, store::Store& store,
                         Experience& experience);

  const Task& task() const { return task_; }
  const store::Key& key() const { return key_; }
  const std::optional<store::Winner>& winner() const { return winner_; }

  bool has_baseline() const { return winner_.has_value(); }
  bool is_listed() const { return strategy_ != nullptr; }
  /// Before they are listed: one at least.
  size_t candidates_left() const { return strategy_ ? strategy_->left() : 1; }
  /// By what share of its time the best schedule is expected to become faster by the next race
  /// (tuner/strategies/strategy.h); all of it before candidates are listed. Asked for again only
  /// after refresh().
  double promise();
  void refresh() { promise_.reset(); }
  size_t candidates_tried() const { return tried_; }
  /// A winner that is not the default and has not been re-tested against it in this session.
  bool needs_final() const;
  /// Expected time of one call, 0 while unknown: decides how much of the budget the task gets.
  double call_ns() const { return winner_ ? winner_->tuned_ns : 0; }
  /// "1.31x over default"; empty before the baseline.
  std::string standing() const;

  /// Races to run. The schedules in a next race are taken from the pending ones.
  Job baseline_job() const;
  Job next_job(size_t chunk);
  Job final_job() const;
  /// What stands for it in a race with its operand's other layouts: its winner; before it has one,
  /// its default and `carried`, the winner of another layout, where that is in its space.
  std::vector<Candidate> contenders(const std::string& carried,
                                    const SessionOptions& options) const;
  /// A race of no candidates yet, with this task's sizes and caches.
  Job empty_job() const;

  /// Records one candidate's end (committed when this returns) and keeps its batches for decide().
  Status record(const std::string& schedule, const Event& trial, const std::string& session,
                store::Store& store);
  void set_roofs(double gflops, double gbytes_per_s);
  /// Those of the same task in another layout: the work is the same.
  void set_roofs_of(const TaskSearch& other) {
    set_roofs(other.roof_gflops_, other.roof_gbytes_per_s_);
  }
  /// Draws the conclusion from the race just run, in which `raced` of its candidates took part: the
  /// winner is recorded if it changed.
  Status decide(size_t raced, bool final, const std::string& session, store::Store& store);

  bool retired = false;      ///< its operand's layout lost: no more time for it
  std::string problem_note;  ///< why there is no result, or what went wrong last

 private:
  struct Timed {
    std::vector<double> batches_ns;
    std::string check;
  };
  Job job_for(const std::vector<std::string>& schedules, int keep) const;
  void rate(store::Winner& winner) const;

  Task task_;
  store::Key key_;
  std::string target_;
  int threads_ = 1;
  std::string default_;
  std::shared_ptr<Strategy> strategy_;  ///< absent until candidates are listed
  std::optional<double> promise_;
  size_t tried_ = 0;
  bool final_done_ = false;
  std::optional<store::Winner> winner_;
  std::map<std::string, Timed> race_;                   ///< by schedule, of the race being run
  std::map<std::string, std::vector<double>> dropped_;  ///< batches of those that fell out of it
  double roof_gflops_ = 0, roof_gbytes_per_s_ = 0;
};

}  // namespace lathe::tuner
