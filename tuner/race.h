// Racing candidates: timed in turn, batch after batch, the slow dropped early.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "ir/tensor.h"
#include "runtime/compiled_kernel.h"
#include "runtime/launch.h"
#include "runtime/thread_pool.h"

namespace lathe::tuner {

/// Operands to time with. cold: enough sets, used in rotation, that none is in cache when its turn
/// comes (four times the last cache in all, within a quarter of the free memory); warm: one set.
/// What counts is the bytes that calls touch: each set of a cold kernel names other entries of its
/// tables, which sets share where one is as large as that.
class RaceBuffers {
 public:
  static Result<RaceBuffers> create(const runtime::CompiledKernel& kernel,
                                    const compiler::Sizes& at, bool cold);
  size_t sets() const { return views_.size(); }
  const std::vector<TensorView>& views(size_t set) const { return views_[set]; }
  /// The set as operands of another kernel of the same product, whose weight is packed otherwise:
  /// its values are random in any order. internal where an operand needs more memory than it has.
  Result<std::vector<TensorView>> views(size_t set, const runtime::CompiledKernel& kernel) const;

 private:
  compiler::Sizes at_;
  std::vector<std::vector<ir::Tensor>> tensors_;  ///< of each set, without tables
  std::vector<std::vector<ir::Tensor>> tables_;   ///< the copies of each table
  std::vector<std::vector<TensorView>> views_;
};

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
  int rounds_before_dropping = 5;
  bool stop_when_decided = true;  ///< end when one racer is left; false: rounds and time decide
  double batch_seconds = 200e-6;  ///< least length of a batch: long against the clock and a wake-up
  StandIn stand_in{};             ///< where set, runs in place of the kernels
};

/// Times the racers until rounds or time are over or one is left; calls `dropped` with its index
/// for each that falls out. A round times every racer still in, starting with another one each
/// time. Errors: a launch that fails.
Status race(std::vector<Racer>& racers, const RaceBuffers& buffers, runtime::ThreadPool& pool,
            const RaceOptions& options, const std::function<void(size_t)>& dropped);

}  // namespace lathe::tuner
