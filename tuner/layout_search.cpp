// Meetings of layouts, sums and decisions.
#include "tuner/layout_search.h"

#include <algorithm>

#include "tuner/statistics.h"

namespace lathe::tuner {
namespace {

constexpr double kMeetingSeconds = 0.3;
constexpr double kPromising = 0.01;  ///< what a kernel's own schedules may gain before layouts meet
constexpr int kMostRounds = 31;
// Tuning is not expected to make up for more; to drop one in error costs no more than a chance.
constexpr double kHopeful = 1.03;

}  // namespace

Result<LayoutSearch> LayoutSearch::create(compiler::LayoutCandidates candidates,
                                          std::vector<size_t> tasks, const std::string& at,
                                          const SessionOptions& options, store::Store& store) {
  LayoutSearch search;
  search.candidates_ = std::move(candidates);
  search.tasks_ = std::move(tasks);
  const ir::Target& target = options.target.target;
  for (const std::string& layout : search.candidates_.layouts) search.layouts_.push_back({layout});
  runtime::RecordContext context;
  context.threads = options.threads;
  context.deterministic = options.deterministic;
  context.objective = options.objective;
  search.key_ = runtime::layout_key(search.candidates_, at, target, context);
  LATHE_TRY(const auto record, runtime::layout_record(search.candidates_, target, context, store));
  if (!record) return search;
  for (size_t i = 0; i < search.layouts_.size(); ++i)
    if (search.candidates_.text(search.layouts_[i].layout) == record->winner.schedule)
      search.chosen_ = i;
  if (record->key != search.key_) return search;  // over other times: these are yet to be summed
  search.decided_ = true;
  search.why_ = record->winner.why;
  LATHE_TRY(const auto standings,
            runtime::layout_standings(*search.candidates_.operand, *record, store));
  for (size_t i = 0; i < search.layouts_.size(); ++i) {
    Layout& layout = search.layouts_[i];
    layout.dropped = i != search.chosen_;
    for (const runtime::LayoutStanding& standing : standings) {
      if (standing.layout != layout.layout) continue;
      layout.relative = standing.relative;
      layout.dropped = standing.dropped && i != search.chosen_;
    }
  }
  return search;
}

size_t LayoutSearch::live() const {
  return static_cast<size_t>(std::count_if(layouts_.begin(), layouts_.end(),
                                           [](const Layout& layout) { return !layout.dropped; }));
}

void LayoutSearch::drop(Layout& layout) {
  layout.dropped = true;
  for (TaskSearch* kernel : layout.kernels) kernel->retired = true;
}

Status LayoutSearch::make_searches(const MakeSearch& make, bool wait) {
  const bool all = decided_ || is_due(wait);
  for (size_t i = 0; i < layouts_.size(); ++i) {
    Layout& layout = layouts_[i];
    if (layout.dropped || !layout.kernels.empty() || (i != chosen_ && !all)) continue;
    for (const size_t task : tasks_) {
      const Result<TaskSearch*> kernel = make(task, layout.layout);
      if (!kernel && i == chosen_) return tl::unexpected(kernel.error());
      if (!kernel) {
        drop(layout);
        break;
      }
      layout.kernels.push_back(*kernel);
      if (const auto& winner = (*kernel)->winner(); decided_ && winner)
        layout.met_with.push_back(winner->schedule);
    }
    // Decided without a record of each kernel: they may have been forgotten since.
    if (decided_ && layout.met_with.size() != tasks_.size()) layout.met_with.clear();
  }
  return {};
}

bool LayoutSearch::is_due(bool wait) const {
  if (decided_ || live() < 2 || layouts_[chosen_].kernels.empty()) return false;
  bool any = false;
  for (size_t i = 0; i < tasks_.size(); ++i) {
    if (!has_times(i)) continue;
    any = true;
    TaskSearch& kernel = chosen(i);
    const bool open = kernel.candidates_tried() < 2 && kernel.candidates_left() > 0;
    if (wait && open && kernel.promise() >= kPromising) return false;
  }
  return any;
}

bool LayoutSearch::is_stale() const {
  if (!decided_ || live() < 2) return false;
  bool any = false;
  for (size_t i = 0; i < tasks_.size(); ++i) any = any || has_times(i);
  if (!any) return false;
  for (const Layout& layout : layouts_) {
    if (layout.dropped) continue;
    for (size_t i = 0; i < layout.met_with.size(); ++i) {
      const auto& winner = layout.kernels[i]->winner();
      if (winner && winner->schedule != layout.met_with[i]) return true;
    }
  }
  return false;
}

LayoutSearch::Contest LayoutSearch::next_contest(const SessionOptions& options) {
  if (next_ == 0) {
    for (Layout& layout : layouts_) {
      layout.batches_ns.assign(tasks_.size(), {});
      layout.met_with.assign(tasks_.size(), "");
    }
    next_ = 1;
  }
  while (!has_times(next_ - 1)) ++next_;
  const size_t task = next_ - 1;
  Contest contest;
  contest.job = chosen(task).empty_job();
  for (const Layout& layout : layouts_) {
    if (layout.dropped) continue;
    TaskSearch* kernel = layout.kernels[task];
    if (kernel != &chosen(task)) kernel->set_roofs_of(chosen(task));
    for (Candidate& candidate : kernel->contenders(chosen(task).winner()->schedule, options)) {
      contest.job.candidates.push_back(std::move(candidate));
      contest.owners.push_back(kernel);
    }
  }
  contest.job.keep = static_cast<int>(contest.owners.size());
  contest.job.seconds = kMeetingSeconds;
  contest.job.min_rounds = kLeastRounds;
  contest.job.max_rounds = kMostRounds;
  return contest;
}

void LayoutSearch::end_meeting() {
  next_ = 0;
  decided_ = true;
}

Status LayoutSearch::take(const Contest& contest, const std::vector<std::vector<double>>& batches,
                          const std::function<double(const TaskSearch&)>& share,
                          const std::string& session, store::Store& store) {
  const size_t task = next_ - 1;
  for (Layout& layout : layouts_) {
    if (layout.dropped) continue;
    const auto& winner = layout.kernels[task]->winner();
    for (size_t i = 0; i < contest.owners.size(); ++i) {
      if (contest.owners[i] != layout.kernels[task] || !winner) continue;
      if (contest.job.candidates[i].schedule == winner->schedule)
        layout.batches_ns[task] = batches[i];
    }
    if (winner) layout.met_with[task] = winner->schedule;
  }
  // A layout whose kernel failed goes. One that lacks a time without such a reason was in the race
  // with it: they meet again, or where nobody failed without it.
  const auto lacks = [&](const Layout& layout) {
    return !layout.dropped && layout.batches_ns[task].empty();
  };
  bool failed = false;
  for (size_t i = 0; i < layouts_.size(); ++i) {
    if (i == chosen_ || !lacks(layouts_[i]) || layouts_[i].kernels[task]->problem_note.empty())
      continue;
    drop(layouts_[i]);
    failed = true;
  }
  if (std::any_of(layouts_.begin(), layouts_.end(), lacks)) {
    if (failed && live() >= 2) return {};
    const bool all = lacks(layouts_[chosen_]);
    for (size_t i = 0; i < layouts_.size(); ++i)
      if (i != chosen_ && (all || lacks(layouts_[i]))) drop(layouts_[i]);
  }
  if (live() < 2) {
    end_meeting();
    return {};
  }
  do {
    ++next_;
  } while (next_ <= tasks_.size() && !has_times(next_ - 1));
  return next_ <= tasks_.size() ? Status() : decide(share, session, store);
}

Status LayoutSearch::decide(const std::function<double(const TaskSearch&)>& share,
                            const std::string& session, store::Store& store) {
  // In units of the chosen layout's sum; within a task the layouts were timed side by side.
  double shares = 0, ns = 0;
  for (size_t i = 0; i < tasks_.size(); ++i) {
    if (!has_times(i)) continue;
    shares += share(chosen(i));
    ns += chosen(i).task().weight * chosen(i).call_ns();
  }
  std::vector<double> sums(layouts_.size());
  std::vector<std::vector<WeightedPairs>> pairs(layouts_.size());
  for (size_t i = 0; i < tasks_.size(); ++i) {
    if (!has_times(i)) continue;
    const std::vector<double>& usual = layouts_[chosen_].batches_ns[i];
    const double weight = share(chosen(i)) / shares / median(usual);
    for (size_t l = 0; l < layouts_.size(); ++l) {
      if (layouts_[l].dropped) continue;
      sums[l] += weight * median(layouts_[l].batches_ns[i]);
      pairs[l].push_back({weight, layouts_[l].batches_ns[i], usual});
    }
  }
  const double known = chosen_ == 0 ? 1 : layouts_[chosen_].relative;
  const double unit = !layouts_[0].dropped ? sums[0] : known > 0 ? sums[chosen_] / known : 1;
  size_t leader = chosen_;
  for (size_t l = 0; l < layouts_.size(); ++l) {
    if (layouts_[l].dropped) continue;
    layouts_[l].relative = sums[l] / unit;
    if (sums[l] < sums[leader]) leader = l;
  }
  const double sure = confidence_smaller_sum(pairs[leader]);
  const double chosen_ns = ns * sums[leader] / sums[chosen_];
  const bool replaced = leader != chosen_ && sure >= kCertain;
  const std::string verdict = leader == chosen_ ? ""
                              : replaced        ? fmt::format(", sure to {:.3f}", sure)
                                                : ", not beyond doubt: it stays";
  if (replaced) chosen_ = leader;
  for (size_t l = 0; l < layouts_.size(); ++l)
    if (!layouts_[l].dropped && l != chosen_ && sums[l] > kHopeful * sums[chosen_])
      drop(layouts_[l]);
  end_meeting();
  return record(replaced ? chosen_ns : ns, sure, verdict, session, store);
}

// What sums are told in: the time of all launches of the operand's kernels, in one pass of each
// kind, with the layouts in the proportion of the sums.
Status LayoutSearch::record(double chosen_ns, double sure, const std::string& verdict,
                            const std::string& session, store::Store& store) {
  store::Winner winner;
  winner.schedule = candidates_.text(layouts_[chosen_].layout);
  winner.tuned_ns = chosen_ns;
  winner.speedup = 1 / layouts_[chosen_].relative;
  winner.default_ns = chosen_ns * winner.speedup;
  winner.session = session;
  std::string others;
  double next = 0;
  for (size_t l = 0; l < layouts_.size(); ++l) {
    const Layout& layout = layouts_[l];
    store::Trial trial;
    trial.schedule = candidates_.text(layout.layout);
    trial.state = layout.relative == 0 ? store::TrialState::failed
                  : layout.dropped     ? store::TrialState::abandoned
                                       : store::TrialState::timed;
    trial.median_ns = trial.min_ns = winner.default_ns * layout.relative;
    trial.detail = layout.relative == 0 ? "not every kernel could be timed"
                   : layout.dropped     ? "clearly behind in the sum"
                                        : "";
    trial.session = session;
    LATHE_CHECK(store.record_trial(key_, trial));
    ++winner.trials;
    if (l == chosen_ || layout.relative == 0) continue;
    others += fmt::format("{}{} takes {:.3f}", others.empty() ? "" : ", ", trial.schedule,
                          layout.relative / layouts_[chosen_].relative);
    if (next != 0 && next <= layout.relative) continue;
    next = layout.relative;
    winner.runner_up = trial.schedule;
    winner.runner_up_ns = trial.median_ns;
  }
  winner.confidence = sure;
  why_ = fmt::format("in the sum over {}, each pass alike, {} of {}'s time{}", key_.at, others,
                     winner.schedule, verdict);
  winner.why = why_;
  winner.verified = "each kernel by itself";
  return store.record_winner(key_, winner);
}

std::vector<TaskSearch*> LayoutSearch::survivors() const {
  std::vector<TaskSearch*> kernels;
  for (size_t l = 0; l < layouts_.size(); ++l)
    if (l == chosen_ || (decided_ && !layouts_[l].dropped))
      kernels.insert(kernels.end(), layouts_[l].kernels.begin(), layouts_[l].kernels.end());
  return kernels;
}

LayoutResult LayoutSearch::result() const {
  LayoutResult result{candidates_, layouts_[chosen_].layout, {}, why_, decided_ && !why_.empty()};
  for (const Layout& layout : layouts_)
    result.standings.push_back({layout.layout, layout.relative, layout.dropped});
  return result;
}

}  // namespace lathe::tuner
