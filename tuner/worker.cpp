// The worker's side of tuning: compiles, checks and races candidates, and reports as it goes.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <utility>

#include "compiler/family.h"
#include "compiler/sizes.h"
#include "store/records.h"
#include "support/interrupt.h"
#include "tuner/check.h"
#include "tuner/crash_report.h"
#include "tuner/inputs.h"
#include "tuner/race.h"
#include "tuner/roofline.h"
#include "tuner/session.h"
#include "tuner/statistics.h"
#include "tuner/worker_protocol.h"

namespace lathe::tuner {
namespace {

class Worker {
 public:
  Worker(const runtime::Backends& backends, const JobStandIn& stand_in)
      : backends_(backends), stand_in_(stand_in) {}

  void run(const Job& job) {
    const Status status = [&]() -> Status {
      try {
        return try_run(job);
      } catch (const std::bad_alloc&) {
        buffers_.reset();
        checker_.reset();
        problem_key_.clear();
        inputs_.clear();
        meter_.reset();
        caches_.reset();
        return fail(ErrorCode::resource_exhausted, "{} at {}: out of memory",
                    job.candidates.front().problem, job.at);
      }
    }();
    if (!status) {
      Event event;
      event.kind = "error";
      event.detail = status.error().message;
      send(event);
    }
    set_running(-1);
    Event done;
    done.kind = "done";
    done.spent = std::exchange(spent_, {});
    send(done);
  }

 private:
  // Adds to `seconds` what `work` takes.
  template <typename Work>
  static auto timed(double& seconds, Work&& work) {
    const auto begin = std::chrono::steady_clock::now();
    auto result = work();
    seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    return result;
  }

  static void send(const Event& event) {
    const std::string line = encode(event) + "\n";
    std::fwrite(line.data(), 1, line.size(), stdout);
    std::fflush(stdout);
  }

  // Calls of some kernels take seconds, and races dozens of them: silence must mean that one hangs.
  void send_alive() {
    const auto now = std::chrono::steady_clock::now();
    if (now - last_alive_ < std::chrono::seconds(1)) return;
    last_alive_ = now;
    Event event;
    event.kind = "alive";
    send(event);
  }

  // Whatever happens from now on is this candidate's doing.
  void begin_candidate(int candidate) {
    set_running(candidate);
    send_alive();
  }

  static void send_trial(int candidate, store::TrialState state, const std::string& check,
                         const std::string& detail, std::vector<double> batches = {}) {
    Event event;
    event.kind = "trial";
    event.candidate = candidate;
    event.state = std::string(store::to_string(state));
    event.check = check;
    event.detail = detail;
    event.batches_ns = std::move(batches);
    send(event);
  }

  // The threads and the buffers' place: those of the race before stay where all its problems do.
  Status begin(const Job& job) {
    if (!pool_ || pool_->threads() != job.threads) {
      meter_.reset();
      caches_.reset();
      LATHE_TRY(runtime::ThreadPool pool, runtime::ThreadPool::create(job.threads));
      pool_.emplace(std::move(pool));
    }
    std::string key = job.at + " " + job.cache, last;
    for (const Candidate& candidate : job.candidates)
      if (candidate.problem != last) key += "\n" + (last = candidate.problem);
    if (key == buffers_key_) return {};
    buffers_.reset();
    buffers_key_ = std::move(key);
    return {};
  }

  // The candidates' problem; one at a time, for what checks them holds operands of true size.
  Status prepare(const Job& job, const std::string& problem) {
    const std::string key = problem + " at " + job.at;
    if (key == problem_key_) return {};
    problem_key_.clear();
    checker_.reset();
    LATHE_TRY(problem_, compiler::parse_problem(problem));
    LATHE_TRY(const compiler::Sizes given, compiler::parse_sizes(job.at));
    LATHE_TRY(at_, compiler::complete_sizes(problem_, given));
    LATHE_CHECK(check_memory(problem_, at_));
    checker_ = std::make_unique<Checker>(problem_, at_, inputs_);
    problem_key_ = key;
    return {};
  }

  // A candidate that compiles and whose program is right; its machine code, too, where `check` says
  // so.
  struct Admitted {
    std::shared_ptr<const runtime::CompiledKernel> kernel;
    std::string check;
  };

  // As admit(), and the machine code of those that are raced to the end is checked before. The
  // default and the leaders come again and again, and are what they were.
  Admitted admit_once(const Job& job, const runtime::SelectedTarget& target, int candidate) {
    const Candidate& named = job.candidates[static_cast<size_t>(candidate)];
    const std::string key = fmt::format("{} {}\n{}\n{}\n{}", job.target, job.threads, job.at,
                                        named.problem, named.schedule);
    if (const auto known = admitted_.find(key); known != admitted_.end()) return known->second;
    Admitted admitted;
    admitted.kernel = admit(job, target, candidate);
    if (admitted.kernel == nullptr || candidate >= job.keep) return admitted;
    if (!check_native(target, candidate, *admitted.kernel, admitted.check)) return {};
    admitted_.emplace(key, admitted);
    return admitted;
  }

  // Runs the machine code on what the oracle has answers for; reports the candidate where it is
  // wrong.
  bool check_native(const runtime::SelectedTarget& target, int candidate,
                    const runtime::CompiledKernel& kernel, std::string& check) {
    begin_candidate(candidate);
    auto checked = timed(spent_.check,
                         [&] { return checker_->check_native(kernel, *target.backend, *pool_); });
    if (checked) {
      check = std::move(*checked);
      return true;
    }
    send_trial(candidate, store::TrialState::failed_check, "native", checked.error().message);
    return false;
  }

  // Compiles a candidate and interprets its program; reports it where it ends here.
  std::shared_ptr<const runtime::CompiledKernel> admit(const Job& job,
                                                       const runtime::SelectedTarget& target,
                                                       int candidate) {
    begin_candidate(candidate);
    const compiler::SearchSpace space = problem_.family().space(problem_, target.target);
    auto schedule = space.parse(job.candidates[static_cast<size_t>(candidate)].schedule);
    if (!schedule) {
      send_trial(candidate, store::TrialState::rejected, "", schedule.error().message);
      return nullptr;
    }
    auto kernel = timed(spent_.compile, [&] {
      return runtime::compile_kernel(problem_, *schedule, target.target, *target.backend);
    });
    if (!kernel) {
      const bool refused = kernel.error().code == ErrorCode::rejected;
      send_trial(candidate, refused ? store::TrialState::rejected : store::TrialState::failed, "",
                 kernel.error().message);
      return nullptr;
    }
    const Status interpreted = timed(
        spent_.interpret, [&] { return checker_->check_interpreted(**kernel, *target.backend); });
    if (!interpreted) {
      send_trial(candidate, store::TrialState::failed_check, "interpreted",
                 interpreted.error().message);
      return nullptr;
    }
    return std::move(*kernel);
  }

  // Before a race is reported: only its fastest may win, and must be right for it; the others are
  // spared the check. false where it is wrong: nobody knows what else it wrote, and nothing of this
  // process is to be believed any more.
  Result<bool> check_winner(const Job& job, const runtime::SelectedTarget& target,
                            const std::vector<Racer>& racers, const std::vector<int>& candidates,
                            std::vector<std::string>& checks) {
    const auto time = [](const Racer& racer) {
      return racer.dropped ? INFINITY : median(racer.batches_ns);
    };
    const auto fastest =
        std::min_element(racers.begin(), racers.end(),
                         [&](const Racer& a, const Racer& b) { return time(a) < time(b); });
    const auto i = static_cast<size_t>(fastest - racers.begin());
    if (!checks[i].empty()) return true;
    LATHE_CHECK(prepare(job, job.candidates[static_cast<size_t>(candidates[i])].problem));
    return check_native(target, candidates[i], *fastest->kernel, checks[i]);
  }

  Status try_run(const Job& job) {
    LATHE_CHECK(begin(job));
    LATHE_TRY(const runtime::SelectedTarget target, runtime::select_target(backends_, job.target));
    std::vector<Racer> racers;
    std::vector<int> candidates;
    std::vector<std::string> checks;
    for (int i = 0; i < static_cast<int>(job.candidates.size()); ++i) {
      if (support::interrupted()) return {};
      LATHE_CHECK(prepare(job, job.candidates[static_cast<size_t>(i)].problem));
      Admitted admitted = admit_once(job, target, i);
      if (admitted.kernel == nullptr) continue;
      racers.push_back({std::move(admitted.kernel), i < job.keep});
      candidates.push_back(i);
      checks.push_back(std::move(admitted.check));
    }
    if (racers.empty()) return {};
    if (!buffers_) {
      // The largest has room for all.
      const auto largest =
          std::max_element(racers.begin(), racers.end(), [&](const Racer& a, const Racer& b) {
            return weight_bytes(*a.kernel) < weight_bytes(*b.kernel);
          });
      LATHE_TRY(RaceBuffers buffers, timed(spent_.operands, [&] {
                  return RaceBuffers::create(*largest->kernel, at_, job.cache == "cold", inputs_);
                }));
      buffers_.emplace(std::move(buffers));
    }
    const auto report = [&](size_t i, store::TrialState state, const char* detail) {
      send_trial(candidates[i], state, checks[i], detail, racers[i].batches_ns);
    };
    RaceOptions options;
    options.seconds = job.seconds;
    options.min_rounds = job.min_rounds;
    options.max_rounds = job.max_rounds;
    options.running = [&](size_t i) { begin_candidate(candidates[i]); };
    if (stand_in_) {
      options.stand_in = [&](const Racer& racer, int64_t repeats) {
        return stand_in_(job, racer, repeats);
      };
    }
    LATHE_TRY(ColdCaches * caches,
              timed(spent_.operands, [&] { return caches_for(job.cache == "cold"); }));
    const auto dropped = [&](size_t i) {
      report(i, store::TrialState::abandoned, "slower than the leader beyond doubt");
    };
    LATHE_CHECK(timed(spent_.time,
                      [&] { return race(racers, *buffers_, caches, *pool_, options, dropped); }));
    LATHE_TRY(const bool right, check_winner(job, target, racers, candidates, checks));
    if (!right) {
      std::fprintf(stderr, "lathe worker: a candidate that was wrong has run: ending\n");
      std::_Exit(kWrongCode);
    }
    set_running(-1);
    for (size_t i = 0; i < racers.size(); ++i)
      if (!racers[i].dropped) report(i, store::TrialState::timed, "");
    if (job.measure_roofs)
      LATHE_CHECK(timed(spent_.roofs, [&] { return send_roofs(job, target); }));
    return {};
  }

  // nullptr where caches stay warm.
  Result<ColdCaches*> caches_for(bool cold) {
    if (!cold || stand_in_) return nullptr;
    if (!caches_) {
      LATHE_TRY(ColdCaches caches, ColdCaches::create(*pool_));
      caches_.emplace(std::move(caches));
    }
    return &*caches_;
  }

  Status send_roofs(const Job& job, const runtime::SelectedTarget& target) {
    const compiler::Work work = problem_.family().work(problem_, at_);
    const double bytes = work.bytes_read + work.bytes_written;
    const double written = bytes > 0 ? work.bytes_written / bytes : 0;
    // Cold, or larger than the last cache: memory. Warm: what the kernel itself touches, as far as
    // there is spare memory for it.
    const Footprint footprint =
        Footprint::of_kernel(bytes, written, job.cache == "cold", job.threads);
    LATHE_TRY(ColdCaches * caches, caches_for(footprint.cold));
    if (!meter_ || meter_target_ != job.target) {
      LATHE_TRY(meter_, RoofMeter::create(target, *pool_));
      meter_target_ = job.target;
    }
    LATHE_TRY(const Roofs roofs, meter_->measure(footprint, caches, kRoofSeconds));
    Event event;
    event.kind = "roofs";
    event.gflops = roofs.gflops;
    event.gbytes_per_s = roofs.gbytes_per_s;
    send(event);
    return {};
  }

  // Of the operands without run-time sizes.
  static int64_t weight_bytes(const runtime::CompiledKernel& kernel) {
    int64_t bytes = 0;
    for (const runtime::OperandRule& rule : kernel.operands) {
      int64_t elements = 1;
      for (const auto& dim : rule.shape) elements *= dim.symbol.empty() ? dim.factor : 0;
      bytes += ir::bytes_of(rule.type, elements);
    }
    return bytes;
  }

  static constexpr double kRoofSeconds = 0.03;
  static constexpr int kWrongCode = 3;  ///< exit status after machine code that was wrong

  const runtime::Backends& backends_;
  const JobStandIn& stand_in_;
  Spent spent_;  ///< on the job at hand
  std::chrono::steady_clock::time_point last_alive_{};
  std::map<std::string, Admitted> admitted_;  ///< of those raced to the end
  std::string problem_key_;                   ///< of the problem that the next three belong to
  compiler::Problem problem_;
  compiler::Sizes at_;
  SharedInputs inputs_;  ///< before the checker and the buffers, who share them
  std::unique_ptr<Checker> checker_;
  std::string buffers_key_;  ///< of the problems that the buffers are for
  std::optional<RaceBuffers> buffers_;
  std::optional<runtime::ThreadPool> pool_;
  std::optional<ColdCaches> caches_;
  std::unique_ptr<RoofMeter> meter_;
  std::string meter_target_;
};

}  // namespace

int worker_main(const runtime::Backends& backends, const JobStandIn& stand_in) {
  report_crashes();
  Worker worker(backends, stand_in);
  std::string line;
  while (!support::interrupted() && std::getline(std::cin, line)) {
    auto job = decode_job(line);
    if (!job) {
      std::fprintf(stderr, "lathe worker: %s\n", job.error().message.c_str());
      return 2;
    }
    worker.run(*job);
  }
  return 0;
}

}  // namespace lathe::tuner
