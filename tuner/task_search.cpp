// Bookkeeping and decisions of one task's search.
#include "tuner/task_search.h"

#include <algorithm>

#include "compiler/family.h"
#include "tuner/candidates.h"
#include "tuner/statistics.h"
#include "tuner/trial_history.h"

namespace lathe::tuner {
namespace {

constexpr double kBaselineSeconds = 0.12;
constexpr double kRaceSeconds = 0.45;
constexpr double kFinalSeconds = 0.35;
constexpr int kTriesOfFailed = 2;  ///< sessions in which a schedule that failed is tried

}  // namespace

Result<TaskSearch> TaskSearch::create(const Task& task, const SessionOptions& options,
                                      store::Store& store) {
  TaskSearch search;
  search.task_ = task;
  runtime::RecordContext context;
  context.threads = options.threads;
  context.cache = task.cache;
  context.deterministic = options.deterministic;
  context.objective = options.objective;
  search.key_ = runtime::record_key(task.problem, task.at, options.target.target, context);
  search.target_ = options.target.target.name;
  search.threads_ = options.threads;
  search.default_ = default_candidate(task.problem, options.target);
  LATHE_TRY(const store::Lookup lookup, store.find(search.key_));
  search.winner_ = lookup.winner;
  if (search.winner_) {
    search.roof_gflops_ = search.winner_->roof_gflops;
    search.roof_gbytes_per_s_ = search.winner_->roof_gbytes_per_s;
    search.final_done_ = true;  // the record came out of a final, or is the default
  }
  return search;
}

Status TaskSearch::list_candidates(const SessionOptions& options, store::Store& store,
                                   Experience& experience) {
  if (strategy_) return {};
  LATHE_TRY(SearchPoints points, candidates(task_.problem, task_.at, task_.cache, options.target,
                                            options.threads, options.effort));
  LATHE_TRY(const std::vector<store::Trial> trials, store.trials(key_));
  const int kernel =
      experience.kernel({key_.problem, key_.at, key_.cache, key_.target, key_.host, key_.threads});
  strategy_ = make_strategy(options.strategy, std::move(points), experience, kernel);
  const TrialHistory history = history_of(trials, default_);
  for (const auto& [schedule, tried] : history.schedules) {
    if (tried.state != store::TrialState::failed || tried.trials >= kTriesOfFailed)
      strategy_->leave_out(schedule);
    if (tried.median > 0) strategy_->recall(schedule, tried.median);
  }
  tried_ = history.schedules.size();
  return {};
}

double TaskSearch::promise() {
  if (!strategy_) return 1;
  if (!promise_) promise_ = strategy_->promise();
  return *promise_;
}

bool TaskSearch::needs_final() const {
  return winner_ && !final_done_ && winner_->schedule != default_;
}

std::string TaskSearch::standing() const {
  return winner_ ? fmt::format("{:.2f}x over default", winner_->speedup) : std::string();
}

Job TaskSearch::empty_job() const {
  Job job;
  job.at = key_.at;
  job.cache = key_.cache;
  job.target = target_;
  job.threads = threads_;
  return job;
}

Job TaskSearch::job_for(const std::vector<std::string>& schedules, int keep) const {
  Job job = empty_job();
  for (const std::string& schedule : schedules) job.candidates.push_back({key_.problem, schedule});
  job.keep = keep;
  return job;
}

std::vector<Candidate> TaskSearch::contenders(const std::string& carried,
                                              const SessionOptions& options) const {
  if (winner_) return {{key_.problem, winner_->schedule}};
  std::vector<Candidate> contenders = {{key_.problem, default_}};
  const auto space = task_.problem.family().space(task_.problem, options.target.target);
  const auto schedule = space.parse(carried);
  if (schedule && space.holds(*schedule) && space.print(*schedule) != default_)
    contenders.push_back({key_.problem, space.print(*schedule)});
  return contenders;
}

Job TaskSearch::baseline_job() const {
  Job job = job_for({default_}, 1);
  job.seconds = kBaselineSeconds;
  job.max_rounds = 15;
  job.measure_roofs = true;
  return job;
}

Job TaskSearch::next_job(size_t chunk) {
  std::vector<std::string> schedules = {default_};
  if (winner_ && winner_->schedule != default_) schedules.push_back(winner_->schedule);
  const int keep = static_cast<int>(schedules.size());
  for (std::string& schedule : strategy_->propose(chunk)) schedules.push_back(std::move(schedule));
  Job job = job_for(schedules, keep);
  job.seconds = kRaceSeconds;
  job.min_rounds = kLeastRounds;
  return job;
}

Job TaskSearch::final_job() const {
  std::vector<std::string> schedules = {default_, winner_->schedule};
  if (!winner_->runner_up.empty() && winner_->runner_up != default_ &&
      winner_->runner_up != winner_->schedule) {
    schedules.push_back(winner_->runner_up);
  }
  const int keep = static_cast<int>(schedules.size());
  Job job = job_for(schedules, keep);
  job.seconds = kFinalSeconds;
  job.min_rounds = kLeastRounds;
  return job;
}

void TaskSearch::set_roofs(double gflops, double gbytes_per_s) {
  roof_gflops_ = gflops;
  roof_gbytes_per_s_ = gbytes_per_s;
}

Status TaskSearch::record(const std::string& schedule, const Event& event,
                          const std::string& session, store::Store& store) {
  store::Trial trial;
  trial.schedule = schedule;
  trial.state = store::parse_trial_state(event.state).value_or(store::TrialState::failed);
  trial.batches_ns.assign(event.batches_ns.begin(), event.batches_ns.end());
  trial.median_ns = median(event.batches_ns);
  trial.min_ns = event.batches_ns.empty()
                     ? 0
                     : *std::min_element(event.batches_ns.begin(), event.batches_ns.end());
  trial.check = event.check;
  trial.detail = event.detail;
  trial.session = session;
  LATHE_CHECK(store.record_trial(key_, trial));
  ++tried_;
  if (trial.state == store::TrialState::timed)
    race_[trial.schedule] = {event.batches_ns, event.check};
  if (trial.state == store::TrialState::abandoned) dropped_[trial.schedule] = event.batches_ns;
  if (trial.schedule == default_ && trial.state != store::TrialState::timed)
    problem_note = fmt::format("the default schedule: {}: {}", event.state, event.detail);
  return {};
}

// Work over time against the roofs.
void TaskSearch::rate(store::Winner& winner) const {
  const compiler::Work work = task_.problem.family().work(task_.problem, task_.at);
  const double bytes = work.bytes_read + work.bytes_written;
  winner.roof_gflops = roof_gflops_;
  winner.roof_gbytes_per_s = roof_gbytes_per_s_;
  if (winner.tuned_ns <= 0) return;
  winner.gflops = work.flops / winner.tuned_ns;
  winner.gbytes_per_s = bytes / winner.tuned_ns;
  const double compute = roof_gflops_ > 0 ? winner.gflops / roof_gflops_ : 0;
  const double memory = roof_gbytes_per_s_ > 0 ? winner.gbytes_per_s / roof_gbytes_per_s_ : 0;
  winner.roofline_fraction = std::max(compute, memory);
  winner.bound = compute > memory ? "compute" : "memory";
}

Status TaskSearch::decide(size_t raced, bool final, const std::string& session,
                          store::Store& store) {
  std::map<std::string, Timed> race;
  race.swap(race_);
  std::map<std::string, std::vector<double>> dropped;
  dropped.swap(dropped_);
  const auto reference = race.find(default_);
  if (reference == race.end()) return {};
  const auto observe = [&](const std::string& schedule, const std::vector<double>& batches) {
    if (!strategy_ || batches.empty() || schedule == default_) return;
    // Of the default the same rounds: the machine may have changed since.
    std::vector<double> same = reference->second.batches_ns;
    same.resize(std::min(same.size(), batches.size()));
    strategy_->observe(schedule, median(batches) / median(same));
  };
  for (const auto& [schedule, timed] : race) observe(schedule, timed.batches_ns);
  for (const auto& [schedule, batches] : dropped) observe(schedule, batches);
  // By median; then the best must beat the default beyond doubt to replace it.
  std::vector<std::pair<double, std::string>> order;
  for (const auto& [schedule, timed] : race) order.emplace_back(median(timed.batches_ns), schedule);
  std::sort(order.begin(), order.end());
  // Whose machine code was not checked was not the fastest for the worker, and is no winner here.
  const auto checked = std::find_if(order.begin(), order.end(), [&](const auto& timed) {
    return timed.second == default_ || !race[timed.second].check.empty();
  });
  std::string best = checked->second;
  const double sure = confidence_faster(race[best].batches_ns, reference->second.batches_ns);
  if (best != default_ && sure < kCertain) best = default_;

  store::Winner winner;
  winner.schedule = best;
  winner.tuned_ns = median(race[best].batches_ns);
  winner.default_ns = median(reference->second.batches_ns);
  winner.verified = race[best].check;
  winner.speedup = winner.tuned_ns > 0 ? winner.default_ns / winner.tuned_ns : 1;
  for (const auto& [time, schedule] : order) {
    if (schedule == best) continue;
    winner.runner_up = schedule;
    winner.runner_up_ns = time;
    winner.confidence = confidence_faster(race[best].batches_ns, race[schedule].batches_ns);
    break;
  }
  if (winner.runner_up.empty()) winner.confidence = 0.5;  // nothing to compare with
  winner.trials = static_cast<int64_t>(tried_);
  winner.session = session;
  rate(winner);
  winner.why = best == default_
                   ? fmt::format("no candidate beat the default beyond doubt in {} rounds",
                                 reference->second.batches_ns.size())
                   : fmt::format("{:.2f}x over the default in {} paired rounds, sure to {:.3f}{}",
                                 winner.speedup, race[best].batches_ns.size(), sure,
                                 final ? " (re-tested in a final)" : "");
  if (raced > 1 || !winner_) {
    if (!winner_ || winner_->schedule != winner.schedule) final_done_ = false;
    winner_ = winner;
    LATHE_CHECK(store.record_winner(key_, winner));
  }
  if (final) final_done_ = true;
  problem_note.clear();
  return {};
}

}  // namespace lathe::tuner
