// Rounds of batches; see statistics.h for why they are decided as they are.
#include "tuner/race.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "support/interrupt.h"
#include "tuner/statistics.h"

namespace lathe::tuner {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kRoundsOfOne = 3;        ///< before a lone racer's time may be good enough
constexpr double kGoodEnough = 0.004;  ///< relative standard error at which it is

double system_clock_s() {
  return std::chrono::duration<double>(Clock::now().time_since_epoch()).count();
}

// A racer's calls, bound once: the checks of a launch are not part of what schedules differ in.
class Lane {
 public:
  Lane(const Racer& racer, const RaceBuffers& buffers, ColdCaches* caches,
       runtime::ThreadPool& pool, const StandIn& stand_in, const std::function<double()>& now)
      : racer_(racer),
        buffers_(buffers),
        caches_(caches),
        pool_(pool),
        stand_in_(stand_in),
        now_(now) {}

  Status bind() {
    for (size_t set = 0; set < buffers_.sets(); ++set) {
      LATHE_TRY(const auto views, buffers_.views(set, *racer_.kernel));
      LATHE_CHECK(
          runtime::bind_call(*racer_.kernel, views, pool_.threads(), calls_.emplace_back()));
    }
    return {};
  }

  // Finds how many calls last as long as a batch must; this is the warm-up, too. Returns the time
  // of one call.
  Result<double> calibrate(double batch_seconds) {
    for (;;) {
      LATHE_TRY(const double time, batch());
      const double missing = batch_seconds * static_cast<double>(repeats_) / std::max(time, 1e-9);
      if (time >= batch_seconds) return time / static_cast<double>(repeats_);
      // The first calls are slower than the next: twice as many at least, a little more than asked.
      repeats_ =
          std::clamp(static_cast<int64_t>(std::ceil(missing * 1.1)), 2 * repeats_, 64 * repeats_);
    }
  }

  // Seconds of one batch.
  Result<double> batch() {
    double seconds = 0;
    const auto sets = static_cast<int64_t>(calls_.size());
    const bool cold = caches_ != nullptr && !stand_in_;
    const int64_t in_a_row = cold ? sets : repeats_;
    for (int64_t done = 0; done < repeats_; done += in_a_row) {
      const int64_t count = std::min(in_a_row, repeats_ - done);
      if (cold) {
        caches_->make_cold(buffers_.touched(static_cast<size_t>(count)), buffers_.written_share());
      }
      const double start = now_();
      LATHE_CHECK(run(count));
      seconds += now_() - start;
    }
    last_ = seconds;
    return seconds;
  }

  double batch_seconds() const { return last_; }  ///< of the last one

  Result<double> call() {
    LATHE_TRY(const double seconds, batch());
    return seconds / static_cast<double>(repeats_);
  }

 private:
  Status run(int64_t count) {
    if (stand_in_) return stand_in_(racer_, count);
    for (int64_t i = 0; i < count; ++i)
      LATHE_CHECK(
          runtime::run_call(*racer_.kernel, calls_[static_cast<size_t>(i) % calls_.size()], pool_));
    return {};
  }

  const Racer& racer_;
  const RaceBuffers& buffers_;
  ColdCaches* caches_;
  runtime::ThreadPool& pool_;
  const StandIn& stand_in_;
  const std::function<double()>& now_;
  std::vector<runtime::BoundCall> calls_;  ///< one a buffer set
  int64_t repeats_ = 1;
  double last_ = 0;
};

// The racer still in with the least median.
size_t leader_of(const std::vector<Racer>& racers) {
  size_t leader = racers.size();
  double best = 0;
  for (size_t i = 0; i < racers.size(); ++i) {
    if (racers[i].dropped) continue;
    const double time = median(racers[i].batches_ns);
    if (leader == racers.size() || time < best) leader = i, best = time;
  }
  return leader;
}

// Whether more rounds would change nothing: every racer left ties with the leader or is known to be
// slower; of a lone one, whether its time is known well enough.
bool is_decided(const std::vector<Racer>& racers, size_t leader) {
  if (racers.size() == 1) return relative_error(racers[leader].batches_ns) < kGoodEnough;
  for (size_t i = 0; i < racers.size(); ++i) {
    if (racers[i].dropped || i == leader) continue;
    const bool known_slower =
        racers[i].keep && clearly_slower(racers[i].batches_ns, racers[leader].batches_ns);
    if (!known_slower && !tied(racers[i].batches_ns, racers[leader].batches_ns)) return false;
  }
  return true;
}

}  // namespace

Status race(std::vector<Racer>& racers, const RaceBuffers& buffers, ColdCaches* caches,
            runtime::ThreadPool& pool, const RaceOptions& options,
            const std::function<void(size_t)>& dropped) {
  const std::function<double()> now = options.clock ? options.clock : system_clock_s;
  const double begin = now();
  std::vector<Lane> lanes;
  std::vector<double> first(racers.size());
  for (size_t i = 0; i < racers.size(); ++i) {
    lanes.emplace_back(racers[i], buffers, caches, pool, options.stand_in, now);
    if (options.running) options.running(i);
    LATHE_CHECK(lanes[i].bind());
    LATHE_TRY(first[i], lanes[i].calibrate(options.batch_seconds));
  }
  const auto drop = [&](size_t i) {
    racers[i].dropped = true;
    dropped(i);
  };
  for (int round = 0; round < options.max_rounds; ++round) {
    const bool late = round >= options.min_rounds && now() - begin > options.seconds;
    if (round > 0 && (late || support::interrupted())) break;
    for (size_t k = 0; k < racers.size(); ++k) {
      const size_t i = (k + static_cast<size_t>(round)) % racers.size();
      if (racers[i].dropped) continue;
      if (options.running) options.running(i);
      LATHE_TRY(const double seconds, lanes[i].call());
      racers[i].batches_ns.push_back(seconds * 1e9);
    }
    const size_t leader = leader_of(racers);
    for (size_t i = 0; i < racers.size(); ++i) {
      if (racers[i].dropped || racers[i].keep || i == leader) continue;
      // The better of two looks, so that one disturbance does not decide.
      const double behind = std::min(first[i] * 1e9, racers[i].batches_ns[0]) /
                            std::max(first[leader] * 1e9, racers[leader].batches_ns[0]);
      const bool is_long = lanes[i].batch_seconds() >= kLongBatch;
      const bool hopeless = round == 0 && behind > (is_long ? kHopelessLong : kHopeless);
      const bool slower = round + 1 >= options.rounds_before_dropping &&
                          clearly_slower(racers[i].batches_ns, racers[leader].batches_ns);
      if (hopeless || slower) drop(i);
    }
    if (!options.stop_when_decided || round + 1 < std::max(options.min_rounds, kRoundsOfOne))
      continue;
    if (racers.size() > 1 && round + 1 < options.rounds_before_dropping) continue;
    if (is_decided(racers, leader)) break;
  }
  return {};
}

}  // namespace lathe::tuner
