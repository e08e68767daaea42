// Attempts at a job, one worker after the other.
#include "tuner/job_runner.h"

#include <algorithm>
#include <chrono>
#include <numeric>

#include "store/records.h"

namespace lathe::tuner {
namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

constexpr double kPatienceWithIdle = 15;  ///< so many times longer for a worker that does not run
constexpr double kAbortSeconds = 10;      ///< for one that hangs to say what it was running

}  // namespace

// How one worker fared.
struct JobRunner::Attempt {
  bool done = false, cut_off = false;
  std::string cause;       ///< why it is not done
  int blamed = -1;         ///< the candidate that was running
  std::vector<int> ended;  ///< candidates that fell out, and need not run again
};

// Whoever was running when a worker died of a fault, or hung, is to blame: the second time, for the
// first may have been the machine's.
Result<JobRunner::Outcome> JobRunner::run(const Job& job, const JobHooks& hooks) {
  std::vector<int> faults(job.candidates.size(), 0);
  std::vector<int> open(job.candidates.size());
  std::iota(open.begin(), open.end(), 0);
  int unexplained = 0;
  for (;;) {
    Job rest = job;
    rest.candidates.clear();
    rest.keep = 0;
    for (const int i : open) {
      rest.candidates.push_back(job.candidates[static_cast<size_t>(i)]);
      if (i < job.keep) ++rest.keep;
    }
    LATHE_TRY(const Attempt tried, attempt(rest, open, hooks));
    if (tried.cut_off) return Outcome::cut_off;
    if (tried.done) return Outcome::done;
    std::vector<int> ended = tried.ended;
    bool for_good = false;
    if (tried.blamed >= 0) {
      for_good = ++faults[static_cast<size_t>(tried.blamed)] == kFaults;
      if (for_good) ended.push_back(tried.blamed);
    } else if (ended.empty()) {
      ++unexplained;
    }
    LATHE_CHECK(hooks.failed(tried.blamed, tried.cause, for_good));
    for (const int i : ended) open.erase(std::remove(open.begin(), open.end(), i), open.end());
    // Without those that the others are compared with the others need not run.
    const bool pointless = open.empty() || open.front() >= job.keep;
    if (pointless || unexplained == kFaults || hooks.stop()) return Outcome::incomplete;
  }
}

// `names`: which candidate of the whole job each of this one's is.
Result<JobRunner::Attempt> JobRunner::attempt(const Job& job, const std::vector<int>& names,
                                              const JobHooks& hooks) {
  hooks.begin();
  if (!worker_) {
    LATHE_TRY(worker_, WorkerProcess::start(command_));
  }
  Attempt attempt;
  if (!worker_->send(job)) {
    attempt.cause = "the worker was gone";
    worker_.reset();
    return attempt;
  }
  auto last_word = Clock::now();
  double cpu_then = worker_->cpu_seconds();
  std::string hangs;
  while (attempt.cause.empty()) {
    if (hooks.cut_off()) {
      worker_.reset();
      attempt.cut_off = true;
      return attempt;
    }
    WorkerProcess::Reply reply = worker_->receive(Seconds(0.25));
    if (reply.outcome == WorkerProcess::Outcome::timeout) {
      const double silent = Seconds(Clock::now() - last_word).count();
      if (!hangs.empty()) {
        if (silent > kAbortSeconds) attempt.cause = hangs;
      } else if (worker_->cpu_seconds() - cpu_then > patience_s_) {
        hangs = fmt::format("no word for {} s of its own time; killed", patience_s_);
        last_word = Clock::now();
        worker_->abort();
      } else if (silent > kPatienceWithIdle * patience_s_) {
        attempt.cause = fmt::format("no word for {:.0f} s; killed", silent);
      }
      continue;
    }
    if (reply.outcome == WorkerProcess::Outcome::died) {
      attempt.cause = hangs.empty() ? reply.cause : hangs;
      break;
    }
    last_word = Clock::now();
    cpu_then = worker_->cpu_seconds();
    const Event& event = reply.event;
    if (event.kind == "done") {
      spent_ += event.spent;
      attempt.done = true;
      return attempt;
    }
    const bool names_one = event.kind == "crash" || event.kind == "trial";
    if (names_one &&
        (event.candidate < 0 || static_cast<size_t>(event.candidate) >= names.size())) {
      attempt.cause =
          fmt::format("it reported candidate {} of {}; killed", event.candidate, names.size());
      break;
    }
    const int candidate = names_one ? names[static_cast<size_t>(event.candidate)] : -1;
    if (event.kind == "crash") {
      attempt.blamed = candidate;
      continue;
    }
    LATHE_CHECK(hooks.event(candidate, event));
    if (event.kind == "trial" && event.state != store::to_string(store::TrialState::timed))
      attempt.ended.push_back(candidate);
  }
  worker_.reset();
  return attempt;
}

}  // namespace lathe::tuner
