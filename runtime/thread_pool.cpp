// Parallel loops over pthreadpool, which wakes and joins the threads; the items are dealt out here.
#include "runtime/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <latch>
#include <mutex>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <pthreadpool.h>

#include "support/hardware.h"

namespace lathe::runtime {
namespace {

/// Workers spin between loops, which starts the next one in a microsecond instead of ten. On a
/// machine with more to run than it has cores that backfires: the scheduler takes a spinning
/// worker for a busy one and runs it milliseconds late, while a sleeper that is woken goes first.
/// A loop whose end was waited for this long is the sign of it, and the next loops let their
/// workers sleep. Where it was only a long item, these cost a percent.
constexpr auto kLateJoin = std::chrono::microseconds(1000);
constexpr int kSleepyLoops = 1000;

/// A worker's share of the current loop. On a cache line of its own: the owner takes items from it
/// while the others look on.
struct alignas(64) Share {
  std::atomic<std::int64_t> next{0};
  std::int64_t end = 0;
};

/// The pool whose loop this thread is inside of, and as which worker.
thread_local const void* current_pool = nullptr;
thread_local int current_worker = 0;

/// Marks this thread as a worker of a pool while it runs items.
class InsideLoop {
 public:
  InsideLoop(const void* pool, int worker)
      : outer_pool_(std::exchange(current_pool, pool)),
        outer_worker_(std::exchange(current_worker, worker)) {}
  InsideLoop(const InsideLoop&) = delete;
  InsideLoop& operator=(const InsideLoop&) = delete;
  ~InsideLoop() {
    current_pool = outer_pool_;
    current_worker = outer_worker_;
  }

 private:
  const void* outer_pool_;
  int outer_worker_;
};

}  // namespace

struct ThreadPool::State {
  explicit State(int count) : threads(count), shares(static_cast<std::size_t>(count)) {}
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    if (pool != nullptr) pthreadpool_destroy(pool);
  }

  const int threads;
  pthreadpool_t pool = nullptr;  // none for one thread
  std::mutex one_loop_at_a_time;
  std::vector<Share> shares;
  Body body = nullptr;
  void* context = nullptr;
  std::thread::id caller;
  std::chrono::steady_clock::time_point caller_done;  ///< when the caller ran out of items
  int sleepy_loops = 0;                               ///< how many more let their workers sleep
  // Hand the loop over to the workers and their results back. pthreadpool does so too, but promises
  // it nowhere.
  std::atomic<std::uint64_t> started{0};
  std::atomic<std::uint64_t> finished{0};

  /// Worker `self`'s part of a loop: its own items first, then whatever others have not begun.
  /// pthreadpool may run two workers' parts on one thread, one after the other; never the same
  /// part twice, so a worker number is in use at most once at any time.
  void work(int self) {
    started.load(std::memory_order_acquire);
    const InsideLoop inside(this, self);
    for (int step = 0; step < threads; ++step) {
      Share& share = shares[static_cast<std::size_t>((self + step) % threads)];
      while (share.next.load(std::memory_order_relaxed) < share.end) {
        const std::int64_t index = share.next.fetch_add(1, std::memory_order_relaxed);
        if (index >= share.end) break;
        body(context, index, self);
      }
    }
    finished.fetch_add(1, std::memory_order_release);
    if (std::this_thread::get_id() == caller) caller_done = std::chrono::steady_clock::now();
  }
};

namespace {

/// Whether the system grants `count` more threads at once. pthreadpool does not look whether its
/// own came to be, and would wait for the missing ones for ever.
bool threads_can_start(int count) {
  std::latch release(1);
  std::vector<std::jthread> started;
  bool all = true;
  try {
    for (int i = 0; i < count; ++i) started.emplace_back([&] { release.wait(); });
  } catch (const std::system_error&) {
    all = false;
  }
  release.count_down();
  return all;
}

}  // namespace

ThreadPool::ThreadPool(std::unique_ptr<State> state) : state_(std::move(state)) {}
ThreadPool::ThreadPool(ThreadPool&&) noexcept = default;
ThreadPool& ThreadPool::operator=(ThreadPool&&) noexcept = default;
ThreadPool::~ThreadPool() = default;

Result<ThreadPool> ThreadPool::create(int threads) {
  if (threads < 1 || threads > kMaxThreads) {
    return fail(ErrorCode::invalid_argument, "{} threads asked for: expected 1 to {}", threads,
                kMaxThreads);
  }
  auto state = std::make_unique<State>(threads);
  if (threads > 1) {
    if (threads_can_start(threads - 1)) {
      state->pool = pthreadpool_create(static_cast<std::size_t>(threads));
    }
    if (state->pool == nullptr) {
      return fail(ErrorCode::resource_exhausted,
                  "the system does not give us {} threads; ask for fewer or raise ulimit -u",
                  threads);
    }
  }
  return ThreadPool(std::move(state));
}

int ThreadPool::threads() const { return state_->threads; }

void ThreadPool::parallel_for(std::int64_t count, Body body, void* context) {
  State& state = *state_;
  if (current_pool == &state) {  // from inside one of our own loops: waiting would be for ever
    for (std::int64_t index = 0; index < count; ++index) body(context, index, current_worker);
    return;
  }
  const std::lock_guard lock(state.one_loop_at_a_time);
  if (count <= 1 || state.pool == nullptr) {
    const InsideLoop inside(&state, 0);
    for (std::int64_t index = 0; index < count; ++index) body(context, index, 0);
    return;
  }
  state.body = body;
  state.context = context;
  for (int worker = 0; worker < state.threads; ++worker) {
    Share& share = state.shares[static_cast<std::size_t>(worker)];
    share.next.store(count * worker / state.threads, std::memory_order_relaxed);
    share.end = count * (worker + 1) / state.threads;
  }
  state.caller = std::this_thread::get_id();
  const bool sleepy = state.sleepy_loops > 0;
  if (sleepy) --state.sleepy_loops;
  state.started.fetch_add(1, std::memory_order_release);
  pthreadpool_parallelize_1d(
      state.pool,
      [](void* self, std::size_t worker) {
        static_cast<State*>(self)->work(static_cast<int>(worker));
      },
      &state, static_cast<std::size_t>(state.threads), sleepy ? PTHREADPOOL_FLAG_YIELD_WORKERS : 0);
  state.finished.load(std::memory_order_acquire);
  if (std::chrono::steady_clock::now() - state.caller_done > kLateJoin)
    state.sleepy_loops = kSleepyLoops;
}

Result<int> default_threads() {
  const char* text = std::getenv("LATHE_THREADS");
  if (text == nullptr || *text == '\0') {
    return std::clamp(support::host().available_cores, 1, kMaxThreads);
  }
  const std::string_view view(text);
  int threads = 0;
  const auto [end, error] = std::from_chars(view.data(), view.data() + view.size(), threads);
  if (error != std::errc{} || end != view.data() + view.size() || threads < 1 ||
      threads > kMaxThreads) {
    return fail(ErrorCode::invalid_argument,
                "LATHE_THREADS is '{}': expected a whole number from 1 to {}", view, kMaxThreads);
  }
  return threads;
}

}  // namespace lathe::runtime
