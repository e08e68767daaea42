// Parallel loops over a fixed set of threads, with a worker number for per-thread scratch.
#pragma once

#include <cstdint>
#include <memory>
#include <type_traits>

#include "support/error.h"

namespace lathe::runtime {

/// Threads to use when nobody says: LATHE_THREADS, else the physical cores this process may use
/// (kernels of one core's two hyper-threads only share its vector ports). invalid_argument for a
/// LATHE_THREADS that is not a whole number from 1 to kMaxThreads.
Result<int> default_threads();

inline constexpr int kMaxThreads = 1024;

/// A pool of `threads()` workers, the calling thread being one of them. Any number of threads may
/// call parallel_for at once; the calls run one after the other. A call from inside a loop body of
/// the same pool runs inline, on that worker.
class ThreadPool {
 public:
  /// invalid_argument outside 1..kMaxThreads, resource_exhausted when the system has no threads.
  static Result<ThreadPool> create(int threads);

  ThreadPool(ThreadPool&&) noexcept;
  ThreadPool& operator=(ThreadPool&&) noexcept;
  ~ThreadPool();

  int threads() const;

  /// One item of a loop: context, index in [0, count), worker in [0, threads()).
  using Body = void (*)(void* context, std::int64_t index, int worker);

  /// Runs body for every index once and returns when all are done. Items with neighbouring indices
  /// go to the same worker; an idle worker takes items from the others. No two items run at the
  /// same time with the same worker number. With one thread, or one item, runs inline in order.
  /// An exception that an item throws is thrown here, the first of several, when no item runs any
  /// more; others may then not have run. In a child process, which has none of the pool's threads,
  /// every item runs on the caller. Threads of the pool compute in the default floating-point
  /// environment (runtime/cpu/float_environment.h); the caller's own is its business.
  void parallel_for(std::int64_t count, Body body, void* context);

  /// The same for any callable fn(std::int64_t index, int worker); nothing is allocated.
  template <typename Function>
  void parallel_for(std::int64_t count, Function&& fn) {
    using Callable = std::remove_reference_t<Function>;
    parallel_for(
        count,
        [](void* context, std::int64_t index, int worker) {
          (*static_cast<Callable*>(context))(index, worker);
        },
        const_cast<void*>(static_cast<const void*>(std::addressof(fn))));
  }

 private:
  struct State;
  explicit ThreadPool(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace lathe::runtime
