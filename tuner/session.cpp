// The session's loop: baselines first, then races for the heaviest tasks, then finals.
#include "tuner/session.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <string_view>

#include <unistd.h>

#include "support/interrupt.h"
#include "support/log.h"
#include "tuner/inputs.h"
#include "tuner/task_search.h"
#include "tuner/worker_process.h"

namespace lathe::tuner {
namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

constexpr size_t kChunk = 6;              ///< new candidates a race
constexpr double kSilence = 20;           ///< a worker that says nothing for so long hangs
constexpr double kGrace = 3;              ///< past the budget, a running race is cut off
constexpr double kFinalSeconds = 0.7;     ///< what one final takes, compiling included
constexpr size_t kNormalCandidates = 48;  ///< a task, when no budget limits a normal search

class Session {
 public:
  Session(const SessionOptions& options, store::Store& store,
          const std::function<void(const Progress&)>& progress)
      : options_(options), store_(store), progress_(progress) {
    name_ = fmt::format("{}-{}",
                        std::chrono::duration_cast<std::chrono::microseconds>(
                            std::chrono::system_clock::now().time_since_epoch())
                            .count(),
                        ::getpid());
  }

  Result<SessionResult> run(const std::vector<Task>& tasks) {
    for (const Task& task : tasks) {
      auto search = TaskSearch::create(task, options_, store_);
      if (!search) return tl::unexpected(std::move(search).error());
      searches_.push_back(std::move(*search));
      earlier_.push_back(searches_.back().has_baseline());
      // Told at once, whether or not the budget would have come to it.
      if (earlier_.back()) continue;
      if (auto fits = check_memory(task.problem, task.at); !fits)
        searches_.back().problem_note = fits.error().message;
    }
    for (TaskSearch& search : searches_) {
      if (stop()) break;
      if (!search.has_baseline() && search.problem_note.empty())
        LATHE_CHECK(race(search, search.baseline_job(), false));
    }
    while (!stop()) {
      TaskSearch* next = neediest();
      if (next == nullptr) break;
      const bool final = !races_left(*next);
      LATHE_CHECK(race(*next, final ? next->final_job() : next->next_job(kChunk), final));
    }
    return result();
  }

 private:
  double elapsed() const { return Seconds(Clock::now() - begin_).count(); }
  double left() const { return options_.budget ? options_.budget->count() - elapsed() : 1e300; }

  bool stop() const { return support::interrupted() || left() <= 0; }

  // The task with the least time spent for its share of its pass's time. Towards the end of the
  // budget, only finals.
  TaskSearch* neediest() {
    // A pass over one token is short, but there are hundreds of them for each over a prompt.
    std::map<std::string_view, double> passes;
    for (const TaskSearch& search : searches_)
      if (search.has_baseline())
        passes[search.task().pass] += search.task().weight * search.call_ns();
    size_t finals = 0;
    for (const TaskSearch& search : searches_) finals += search.needs_final() ? 1 : 0;
    finals_only_ = left() < static_cast<double>(finals + 1) * kFinalSeconds;
    TaskSearch* best = nullptr;
    double least = 0;
    for (TaskSearch& search : searches_) {
      if (!search.has_baseline()) continue;
      if (!races_left(search) && !search.needs_final()) continue;
      const double pass_ns = std::max(passes[search.task().pass], 1.0);
      const double share = std::max(search.task().weight * search.call_ns() / pass_ns, 1e-9);
      // The square root lets small kernels have their turn, too.
      const double need = (search.spent_s + 0.01) / std::sqrt(share);
      if (best == nullptr || need < least) best = &search, least = need;
    }
    return best;
  }

  bool races_left(const TaskSearch& search) const {
    const bool capped = !options_.budget && options_.effort == Effort::normal &&
                        search.candidates_tried() >= kNormalCandidates;
    return search.candidates_left() > 0 && !finals_only_ && !capped;
  }

  // Sends one job to the worker and takes in what it reports.
  Status race(TaskSearch& search, const Job& job, bool final) {
    const auto begin = Clock::now();
    report(search);
    LATHE_CHECK(ensure_worker());
    std::vector<bool> ended(job.schedules.size(), false);
    int running = -1;
    bool alive = static_cast<bool>(worker_->send(job));
    std::string cause = alive ? "" : "the worker was gone";
    auto last_word = Clock::now();
    while (alive) {
      if (support::interrupted() || left() < -kGrace) {
        worker_.reset();
        return {};
      }
      WorkerProcess::Reply reply = worker_->receive(Seconds(0.25));
      if (reply.outcome == WorkerProcess::Outcome::timeout) {
        if (Seconds(Clock::now() - last_word).count() < kSilence) continue;
        cause = fmt::format("no word for {} s; killed", kSilence);
        break;
      }
      if (reply.outcome == WorkerProcess::Outcome::died) {
        cause = reply.cause;
        break;
      }
      last_word = Clock::now();
      const Event& event = reply.event;
      const bool names_one = event.kind == "begin" || event.kind == "trial";
      if (names_one &&
          (event.candidate < 0 || static_cast<size_t>(event.candidate) >= ended.size())) {
        cause =
            fmt::format("it reported candidate {} of {}; killed", event.candidate, ended.size());
        break;
      }
      if (event.kind == "begin") running = event.candidate;
      if (event.kind == "error") search.problem_note = event.detail;
      if (event.kind == "roofs") search.set_roofs(event.gflops, event.gbytes_per_s);
      if (event.kind == "trial") {
        LATHE_CHECK(search.record(job, event, name_, store_));
        ended[static_cast<size_t>(event.candidate)] = true;
        ++trials_;
        report(search);
      }
      if (event.kind == "done") {
        search.spent_s += Seconds(Clock::now() - begin).count();
        return search.decide(job, final, name_, store_);
      }
    }
    // The worker died or hung: whoever ran last is to blame, the others get another chance.
    worker_.reset();
    search.spent_s += Seconds(Clock::now() - begin).count();
    support::log_warn("{}: a worker failed: {}", search.key().problem, cause);
    if (running >= 0 && !ended[static_cast<size_t>(running)]) {
      Event event;
      event.candidate = running;
      event.state = std::string(store::to_string(store::TrialState::failed));
      event.detail = cause;
      LATHE_CHECK(search.record(job, event, name_, store_));
    }
    search.problem_note = fmt::format("a worker failed: {}", cause);
    if (++failures_ > 16 + searches_.size())
      return fail(ErrorCode::internal, "workers failed {} times, last: {}", failures_, cause);
    return {};
  }

  Status ensure_worker() {
    if (worker_) return {};
    LATHE_TRY(worker_, WorkerProcess::start(options_.worker_command));
    return {};
  }

  void report(const TaskSearch& current) {
    if (!progress_) return;
    Progress progress;
    progress.tasks = searches_.size();
    progress.trials_done = trials_;
    progress.trials_expected = trials_;
    for (const TaskSearch& search : searches_) {
      size_t left = search.candidates_left();
      if (!options_.budget && options_.effort == Effort::normal) {
        left = search.candidates_tried() >= kNormalCandidates
                   ? 0
                   : std::min(left, kNormalCandidates - search.candidates_tried());
      }
      progress.trials_expected += left + (search.has_baseline() ? 0 : 1);
      if (search.has_baseline()) ++progress.tasks_done;
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
    progress.current = current.key().problem;
    progress.best = current.standing();
    progress_(progress);
  }

  SessionResult result() {
    SessionResult result;
    result.elapsed_s = elapsed();
    result.interrupted = support::interrupted();
    for (size_t i = 0; i < searches_.size(); ++i) {
      const TaskSearch& search = searches_[i];
      result.budget_exhausted = result.budget_exhausted || search.candidates_left() > 0;
      std::string note = search.problem_note;
      if (!search.winner() && note.empty()) {
        note = result.interrupted ? "not reached before the interruption; run again to go on"
                                  : "not reached within the budget; run again to go on";
      }
      result.tasks.push_back(
          {search.task(), search.key(), search.winner(), std::move(note), earlier_[i]});
    }
    return result;
  }

  const SessionOptions& options_;
  store::Store& store_;
  const std::function<void(const Progress&)>& progress_;
  const Clock::time_point begin_ = Clock::now();
  std::string name_;
  std::vector<TaskSearch> searches_;
  std::vector<bool> earlier_;
  std::unique_ptr<WorkerProcess> worker_;
  size_t trials_ = 0, failures_ = 0;
  bool finals_only_ = false;
};

}  // namespace

Result<SessionResult> run_session(const std::vector<Task>& tasks, const SessionOptions& options,
                                  store::Store& store,
                                  const std::function<void(const Progress&)>& progress) {
  LATHE_CHECK(store.record_host("cpu", support::host_identity(), support::host().name));
  return Session(options, store, progress).run(tasks);
}

}  // namespace lathe::tuner
