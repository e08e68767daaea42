// Racing candidates: timed in turn, batch after batch, the slow dropped early.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "runtime/cpu/thread_pool.h"
#include "runtime/launch/compiled_kernel.h"
#include "tuner/race_buffers.h"

namespace lathe::tuner {

struct Racer {
  std::shared_ptr<const runtime::CompiledKernel> kernel;
  bool keep = false;                 ///< never dropped (the default, the leader)
  std::vector<double> batches_ns{};  ///< time of one call, in each batch; index = round
  bool dropped = false;
};

/// Takes the place of `repeats` calls of a racer's kernel.
using StandIn = std::function<Status(const Racer& racer, int64_t repeats)>;

struct RaceOptions {
  double seconds = 0.5;
  int min_rounds = 1;  ///< whatever they take
  int max_rounds = 31;
  int rounds_before_dropping = 4;  ///< but for the hopeless, who go after their first batch
  /// End when the noise seen says that more rounds would decide nothing (tuner/statistics.h);
  /// false: rounds and time alone decide.
  bool stop_when_decided = true;
  double batch_seconds = 200e-6;  ///< least length of a batch: long against the clock and a wake-up
  StandIn stand_in{};             ///< where set, runs in place of the kernels
  std::function<void(size_t)> running{};  ///< called before each batch with the racer's index
  std::function<double()> clock{};        ///< seconds since any moment; by default the system's
};

/// Times the racers until all is decided or rounds or time are over; calls `dropped` with its index
/// for each that falls out. A round times every racer still in, starting with another one each
/// time. Where `caches` are given, operands are made cold before each pass over the buffers' sets,
/// which is not part of any time. Errors: a launch that fails.
Status race(std::vector<Racer>& racers, const RaceBuffers& buffers, ColdCaches* caches,
            runtime::ThreadPool& pool, const RaceOptions& options,
            const std::function<void(size_t)>& dropped);

}  // namespace lathe::tuner
