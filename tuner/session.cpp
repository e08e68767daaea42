// The session's loop: baselines first, then races for the heaviest tasks and meetings of layouts,
// then finals.
#include "tuner/session.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string_view>

#include <unistd.h>

#include "support/interrupt.h"
#include "support/log.h"
#include "tuner/inputs.h"
#include "tuner/job_runner.h"
#include "tuner/layout_search.h"
#include "tuner/shared_tasks.h"
#include "tuner/task_search.h"
#include "tuner/trial_history.h"

namespace lathe::tuner {
namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

constexpr size_t kChunk = 6;              ///< new candidates a race
constexpr double kGrace = 3;              ///< past the budget, a running race is cut off
constexpr double kListSeconds = 0.25;     ///< of judging schedules between two races
constexpr double kFinalSeconds = 0.5;     ///< what one final takes, compiling included
constexpr double kRaceOverhead = 0.3;     ///< of a race: compiling, checking, operands
constexpr double kFirstLook = 0.5;        ///< what a first look at new candidates may take
constexpr double kWorthOfFinal = 0.002;   ///< what a final saves, as a share of the kernel's time
constexpr double kMeetingSeconds = 0.6;   ///< what a meeting of layouts takes for each task
constexpr double kMeetingCalls = 15;      ///< and so many calls of its kernel
constexpr size_t kNormalCandidates = 48;  ///< a task, when no budget limits a normal search

class Session {
 public:
  Session(const std::vector<Task>& tasks, const SessionOptions& options, store::Store& store,
          const std::function<void(const Progress&)>& progress)
      : tasks_(tasks),
        options_(options),
        store_(store),
        progress_(progress),
        runner_(options.worker_command, options.patience_s) {
    name_ = fmt::format("{}-{}",
                        std::chrono::duration_cast<std::chrono::microseconds>(
                            std::chrono::system_clock::now().time_since_epoch())
                            .count(),
                        ::getpid());
  }

  Result<SessionResult> run() {
    LATHE_CHECK(gather_experience());
    LATHE_CHECK(make_searches());
    for (Place& place : places_) {
      TaskSearch& search = current(place);
      place.earlier = search.has_baseline();
      // Told at once, whether or not the budget would have come to it.
      if (place.earlier) continue;
      if (auto fits = check_memory(search.task().problem, search.task().at); !fits)
        search.problem_note = fits.error().message;
    }
    for (const Place& place : by_operands()) {
      if (stop()) break;
      TaskSearch& search = current(place);
      if (!search.has_baseline() && search.problem_note.empty())
        LATHE_CHECK(race(search.baseline_job(), search, false));
    }
    baselines_s_ = elapsed();
    while (!stop()) {
      look_around();
      bool listed = false;
      if (!finals_only_) {
        LATHE_TRY(listed, list_candidates());
      }
      LayoutSearch* layouts = due();
      TaskSearch* next = layouts == nullptr ? neediest() : nullptr;
      if (layouts == nullptr && next == nullptr) layouts = stale();
      if (layouts != nullptr) {
        LATHE_CHECK(meet(*layouts));
      } else if (next != nullptr) {
        const bool final = !races_left(*next);
        LATHE_CHECK(
            race(final ? next->final_job() : next->next_job(chunk_of(*next)), *next, final));
        fresh_.clear();
      } else if (!listed) {
        break;
      }
    }
    return result();
  }

 private:
  // Where a task is searched: by itself, or as one of those that share an operand.
  struct Place {
    TaskSearch* alone = nullptr;
    size_t operand = 0, index = 0;  ///< among the operand's tasks
    bool earlier = false;           ///< the record was complete before this session
  };

  double elapsed() const { return Seconds(Clock::now() - begin_).count(); }
  double left() const { return options_.budget ? options_.budget->count() - elapsed() : 1e300; }

  bool stop() const { return support::interrupted() || left() <= 0; }

  // The search whose winner is the task's result.
  TaskSearch& current(const Place& place) {
    return place.alone != nullptr ? *place.alone : layouts_[place.operand].chosen(place.index);
  }

  // Kernels of one operand or table after each other, so that a worker need not make it anew for
  // each.
  std::vector<Place> by_operands() {
    std::vector<std::pair<std::string, Place>> named;
    for (const Place& place : places_) {
      const compiler::Problem& problem = current(place).task().problem;
      const auto shared = shared_by(problem, options_.target.target);
      named.emplace_back(problem.family().name + (shared ? " " + shared->name() : ""), place);
    }
    std::stable_sort(named.begin(), named.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    std::vector<Place> places;
    for (auto& [name, place] : named) places.push_back(place);
    return places;
  }

  Result<TaskSearch*> make_search(const Task& task) {
    LATHE_TRY(TaskSearch search, TaskSearch::create(task, options_, store_));
    searches_.push_back(std::move(search));
    return &searches_.back();
  }

  // Whatever searches the operand's layouts lack.
  Status make_searches(LayoutSearch& layouts) {
    return layouts.make_searches(
        [&](size_t place, const std::string& layout) -> Result<TaskSearch*> {
          Task task = tasks_[place];
          LATHE_TRY(task.problem, compiler::with_layout(task.problem, layout));
          return make_search(task);
        },
        waits());
  }

  // Judging a kernel's schedules takes a while: those of the largest share first, and no more at
  // once than an interrupt or the end of a budget can wait for. Layouts that lost are never judged.
  // Returns whether any was listed.
  Result<bool> list_candidates() {
    std::vector<std::pair<double, TaskSearch*>> unlisted;
    const auto add = [&](TaskSearch* search) {
      if (!search->is_listed() && !search->retired && search->has_baseline())
        unlisted.emplace_back(share(*search), search);
    };
    for (const Place& place : places_)
      if (place.alone != nullptr) add(place.alone);
    for (const LayoutSearch& layouts : layouts_)
      for (TaskSearch* kernel : layouts.survivors()) add(kernel);
    std::stable_sort(unlisted.begin(), unlisted.end(),
                     [](const auto& a, const auto& b) { return a.first > b.first; });
    const double begin = elapsed();
    bool any = false;
    for (const auto& [share, search] : unlisted) {
      if (stop() || elapsed() - begin > kListSeconds) break;
      LATHE_CHECK(search->list_candidates(options_, store_, experience_));
      any = true;
    }
    listing_s_ += elapsed() - begin;
    return any;
  }

  // Tasks by themselves, and those that share an operand together.
  Status make_searches() {
    places_.resize(tasks_.size());
    std::vector<SharedTasks> shared;
    if (options_.compare_layouts) shared = shared_tasks(tasks_, options_.target.target);
    std::vector<bool> is_alone(tasks_.size(), true);
    for (const SharedTasks& one : shared)
      for (const size_t task : one.tasks) is_alone[task] = false;
    for (size_t i = 0; i < tasks_.size(); ++i) {
      if (!is_alone[i]) continue;
      LATHE_TRY(places_[i].alone, make_search(tasks_[i]));
    }
    for (const SharedTasks& one : shared) {
      for (size_t i = 0; i < one.tasks.size(); ++i) {
        places_[one.tasks[i]].operand = layouts_.size();
        places_[one.tasks[i]].index = i;
      }
      LATHE_TRY(LayoutSearch layouts,
                LayoutSearch::create(one.candidates, one.tasks, one.at, options_, store_));
      LATHE_CHECK(make_searches(layouts));
      layouts_.push_back(std::move(layouts));
    }
    return {};
  }

  // What decisions about the next race rest on: the passes' times, and whether it is time for
  // finals.
  void look_around() {
    // A pass over one token is short, but there are hundreds of them for each over a prompt.
    passes_.clear();
    for (const Place& place : places_) {
      const TaskSearch& search = current(place);
      if (search.has_baseline())
        passes_[search.task().pass] += search.task().weight * search.call_ns();
    }
    reserved_s_ = kFinalSeconds;
    for (const TaskSearch& search : searches_)
      if (!search.retired && search.needs_final()) reserved_s_ += kFinalSeconds;
    for (const LayoutSearch& layouts : layouts_)
      if (layouts.is_stale()) reserved_s_ += meeting_s(layouts);
    finals_only_ = left() < reserved_s_;
  }

  static double meeting_s(const LayoutSearch& layouts) {
    double seconds = kMeetingSeconds * static_cast<double>(layouts.tasks().size());
    for (size_t i = 0; i < layouts.tasks().size(); ++i)
      seconds += kMeetingCalls * layouts.chosen(i).call_ns() * 1e-9;
    return seconds;
  }

  // What part of a pass over its tokens a task takes.
  double share(const TaskSearch& search) const {
    const Task& task = search.task();
    auto pass = passes_.find(task.part_of.empty() ? task.pass : task.part_of);
    if (pass == passes_.end()) pass = passes_.find(task.pass);
    const double ns = pass == passes_.end() ? 1 : std::max(pass->second, 1.0);
    return std::max(search.task().weight * search.call_ns() / ns, 1e-9);
  }

  // What earlier sessions of any host found, and what every Lathe knows.
  Status gather_experience() {
    LATHE_CHECK(experience_.read(options_.experience, "the experience to begin with"));
    LATHE_TRY(const std::vector<store::KeyedWinner> winners, store_.winners());
    std::set<std::string_view> families;
    for (const Task& task : tasks_) families.insert(task.problem.family().name);
    for (const store::KeyedWinner& found : winners) {
      const store::Key& key = found.key;
      if (families.count(key.family) == 0) continue;
      LATHE_TRY(const std::vector<store::Trial> trials, store_.trials(key));
      if (trials.empty()) continue;
      const int kernel =
          experience_.kernel({key.problem, key.at, key.cache, key.target, key.host, key.threads});
      // A search begins with its default.
      const TrialHistory history = history_of(trials, trials.front().schedule);
      for (const auto& [schedule, tried] : history.schedules)
        if (tried.median > 0) experience_.add(kernel, schedule, tried.median);
    }
    return {};
  }

  // What a race of new candidates costs, about: their compilation and checks, and rounds of calls.
  static double race_s(const TaskSearch& search) {
    return kRaceOverhead + search.call_ns() * 1e-9 * static_cast<double>(chunk_of(search) + 2) * 5;
  }

  // Of a slow kernel fewer candidates at once, the first look at which decides about the next.
  static size_t chunk_of(const TaskSearch& search) {
    const double affordable = kFirstLook / std::max(search.call_ns() * 1e-9, 1e-9);
    return static_cast<size_t>(std::clamp(affordable, 2.0, static_cast<double>(kChunk)));
  }

  // Expected gain of the pass, for each second: of a final what it may take back.
  double value_of(TaskSearch& search) {
    const double gain = races_left(search) ? search.promise() : 0;
    const double confirmed = search.needs_final() ? kWorthOfFinal : 0;
    return std::max(share(search) * gain / race_s(search),
                    confirmed * share(search) / kFinalSeconds);
  }

  // The task whose next race is worth most. Towards the end of the budget, only finals. A model is
  // asked again only where it would be next: what it promises seldom grows.
  TaskSearch* neediest() {
    for (;;) {
      TaskSearch* best = nullptr;
      double most = 0;
      for (TaskSearch& search : searches_) {
        if (!search.has_baseline() || search.retired) continue;
        if (!search.is_listed() && !finals_only_) continue;  // its turn to be listed comes
        if (!races_left(search) && !search.needs_final()) continue;
        const double value = std::max(value_of(search), 1e-300);
        if (value > most) best = &search, most = value;
      }
      if (best == nullptr || fresh_.count(best) > 0 || finals_only_) return best;
      best->refresh();
      fresh_.insert(best);
    }
  }

  // An operand whose layouts are meeting; of those that are to meet for the first time the one
  // whose kernels take most of their passes, for each second of the meeting.
  LayoutSearch* due() {
    LayoutSearch* best = nullptr;
    double most = 0;
    for (LayoutSearch& layouts : layouts_) {
      if (layouts.is_meeting()) return &layouts;
      const double seconds = meeting_s(layouts);
      if (!layouts.is_due(waits()) || left() <= reserved_s_ + seconds) continue;
      double shares = 0;
      for (size_t i = 0; i < layouts.tasks().size(); ++i) shares += share(layouts.chosen(i));
      if (best == nullptr || shares / seconds > most) best = &layouts, most = shares / seconds;
    }
    return best;
  }

  // Whether layouts wait for their kernels' own races: not in the second half of a budget, for the
  // kernels of a short pass may never be worth one.
  bool waits() const { return !options_.budget || elapsed() < options_.budget->count() / 2; }

  // One whose layouts are to meet again.
  LayoutSearch* stale() {
    for (LayoutSearch& layouts : layouts_)
      if (layouts.is_stale()) return &layouts;
    return nullptr;
  }

  bool races_left(const TaskSearch& search) const {
    const bool capped = !options_.budget && options_.effort == Effort::normal &&
                        search.candidates_tried() >= kNormalCandidates;
    return search.candidates_left() > 0 && !finals_only_ && !capped;
  }

  // One task's race of a meeting.
  Status meet(LayoutSearch& layouts) {
    LATHE_CHECK(make_searches(layouts));
    if (!layouts.is_meeting() && !layouts.is_due(waits()) && !layouts.is_stale()) return {};
    const LayoutSearch::Contest contest = layouts.next_contest(options_);
    std::vector<std::vector<double>> batches(contest.owners.size());
    LATHE_CHECK(race(contest.job, contest.owners, false, batches));
    if (cut_off_) return {};
    LATHE_CHECK(layouts.take(
        contest, batches, [&](const TaskSearch& search) { return share(search); }, name_, store_));
    return {};
  }

  Status race(const Job& job, TaskSearch& search, bool final) {
    std::vector<std::vector<double>> batches(job.candidates.size());
    return race(job, std::vector<TaskSearch*>(job.candidates.size(), &search), final, batches);
  }

  // Runs one job and takes in what workers report of it: for each candidate to the search that owns
  // it, and its batches.
  Status race(const Job& job, const std::vector<TaskSearch*>& owners, bool final,
              std::vector<std::vector<double>>& batches) {
    TaskSearch& first = *owners.front();
    std::map<TaskSearch*, size_t> raced;
    for (TaskSearch* owner : owners) ++raced[owner];
    const auto schedule = [&](int candidate) -> const std::string& {
      return job.candidates[static_cast<size_t>(candidate)].schedule;
    };
    JobHooks hooks;
    hooks.cut_off = [this] { return support::interrupted() || left() < -kGrace; };
    hooks.stop = [this] { return stop(); };
    hooks.begin = [&] { report(first); };
    hooks.event = [&](int candidate, const Event& event) -> Status {
      if (event.kind == "error") first.problem_note = event.detail;
      if (event.kind == "roofs") first.set_roofs(event.gflops, event.gbytes_per_s);
      if (event.kind != "trial") return {};
      TaskSearch& owner = *owners[static_cast<size_t>(candidate)];
      Event trial = event;
      // Without its own default, its time says nothing beside others of its kernel.
      if (raced.size() > 1 && trial.detail.empty()) trial.detail = kMeetingDetail;
      LATHE_CHECK(owner.record(schedule(candidate), trial, name_, store_));
      batches[static_cast<size_t>(candidate)] = event.batches_ns;
      ++trials_;
      report(owner);
      return {};
    };
    hooks.failed = [&](int candidate, const std::string& cause, bool for_good) -> Status {
      TaskSearch& search = candidate >= 0 ? *owners[static_cast<size_t>(candidate)] : first;
      support::log_warn("{}: a worker failed: {}", search.key().problem, cause);
      search.problem_note = fmt::format("a worker failed: {}", cause);
      if (++failures_ > 16 + searches_.size())
        return fail(ErrorCode::internal, "workers failed {} times, last: {}", failures_, cause);
      if (!for_good) return {};
      Event event;
      event.candidate = candidate;
      event.state = std::string(store::to_string(store::TrialState::failed));
      event.detail = fmt::format("{}, {} times", cause, JobRunner::kFaults);
      return search.record(schedule(candidate), event, name_, store_);
    };
    LATHE_TRY(const JobRunner::Outcome outcome, runner_.run(job, hooks));
    cut_off_ = cut_off_ || outcome == JobRunner::Outcome::cut_off;
    if (outcome == JobRunner::Outcome::cut_off) return {};
    for (const auto& [search, candidates] : raced)
      LATHE_CHECK(search->decide(candidates, final, name_, store_));
    return {};
  }

  void report(const TaskSearch& running) {
    if (!progress_) return;
    Progress progress;
    progress.tasks = places_.size();
    progress.trials_done = trials_;
    progress.trials_expected = trials_;
    for (const Place& place : places_) progress.tasks_done += current(place).has_baseline() ? 1 : 0;
    for (const TaskSearch& search : searches_) {
      if (search.retired) continue;
      size_t left = search.candidates_left();
      if (!options_.budget && options_.effort == Effort::normal) {
        left = search.candidates_tried() >= kNormalCandidates
                   ? 0
                   : std::min(left, kNormalCandidates - search.candidates_tried());
      }
      progress.trials_expected += left + (search.has_baseline() ? 0 : 1);
    }
    progress.elapsed_s = elapsed();
    if (trials_ > 0) {
      const double per_trial = progress.elapsed_s / static_cast<double>(trials_);
      const double whole =
          per_trial * static_cast<double>(progress.trials_expected - progress.trials_done);
      progress.remaining_s = std::max(0.0, std::min(whole, left()));
    } else if (options_.budget) {
      progress.remaining_s = left();
    }
    progress.current = running.key().problem;
    progress.best = running.standing();
    progress_(progress);
  }

  SessionResult result() {
    SessionResult result;
    result.elapsed_s = elapsed();
    result.listing_s = listing_s_;
    result.baselines_s = baselines_s_;
    result.spent = runner_.spent();
    result.interrupted = support::interrupted();
    for (const Place& place : places_) {
      const TaskSearch& search = current(place);
      std::string note = search.problem_note;
      if (!search.winner() && note.empty()) {
        note = result.interrupted ? "not reached before the interruption; run again to go on"
                                  : "not reached within the budget; run again to go on";
      }
      result.tasks.push_back(
          {search.task(), search.key(), search.winner(), std::move(note), place.earlier});
    }
    for (const TaskSearch& search : searches_)
      if (!search.retired && search.has_baseline() && search.candidates_left() > 0)
        result.budget_exhausted = true;
    for (const LayoutSearch& layouts : layouts_) {
      result.layouts.push_back(layouts.result());
      if (layouts.is_due() || layouts.is_stale()) result.budget_exhausted = true;
    }
    return result;
  }

  const std::vector<Task>& tasks_;
  const SessionOptions& options_;
  store::Store& store_;
  const std::function<void(const Progress&)>& progress_;
  const Clock::time_point begin_ = Clock::now();
  std::string name_;
  Experience experience_;            ///< before the searches, which add to it
  std::deque<TaskSearch> searches_;  ///< of every task, in every layout that is compared
  std::vector<LayoutSearch> layouts_;
  std::vector<Place> places_;  ///< of each task
  JobRunner runner_;
  size_t trials_ = 0, failures_ = 0;
  std::map<std::string_view, double> passes_;  ///< time of each, with today's winners
  double reserved_s_ = 0;                      ///< for finals and meetings at the end
  bool finals_only_ = false;
  std::set<TaskSearch*> fresh_;  ///< whose promises hold since the last race
  double listing_s_ = 0, baselines_s_ = 0;
  bool cut_off_ = false;  ///< the last race did not end
};

}  // namespace

Result<SessionResult> run_session(const std::vector<Task>& tasks, const SessionOptions& options,
                                  store::Store& store,
                                  const std::function<void(const Progress&)>& progress) {
  LATHE_CHECK(store.record_host("cpu", support::host_identity(), support::host().name));
  return Session(tasks, options, store, progress).run();
}

}  // namespace lathe::tuner
