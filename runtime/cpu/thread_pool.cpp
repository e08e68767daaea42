// Parallel loops whose end waits for nobody who has not begun.
//
// On a shared machine a woken thread may come milliseconds late. A loop that is joined by every
// worker ends no sooner than the last of them is run; here a loop is a gate that workers pass while
// it is open, and the caller, who takes over the items of those who are not there, closes it when
// no item is left and waits only for those inside.
#include "runtime/cpu/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <pthread.h>

#include "runtime/cpu/float_environment.h"
#include "support/hardware.h"

namespace lathe::runtime {
namespace {

/// How long an idle thread looks for work, or for a loop's end, before it sleeps: the gaps between
/// a model's kernels are shorter, and waking a sleeper costs several microseconds. Bounded, so that
/// idle workers leave their cores to others.
constexpr auto kSpin = std::chrono::microseconds(100);

/// How long an idle thread stays awake for a loop whose last items others are still at: it came too
/// late for this one and, asleep, would come as late for the next.
constexpr auto kSpinInLoop = std::chrono::milliseconds(10);

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  std::this_thread::yield();
#endif
}

/// Waits until `value` is no longer `old`: awake for a while, then asleep. Returns what it is.
std::uint32_t wait_while(const std::atomic<std::uint32_t>& value, std::uint32_t old) {
  const auto until = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < 32; ++i) {
      const std::uint32_t found = value.load(std::memory_order_acquire);
      if (found != old) return found;
      relax();
    }
  } while (std::chrono::steady_clock::now() < until);
  value.wait(old, std::memory_order_acquire);
  return value.load(std::memory_order_acquire);
}

/// The pool whose loop this thread is inside of, and as which worker.
thread_local const void* current_pool = nullptr;
thread_local int current_worker = 0;

/// How many forks lie between the first process and this one. Of a pool's threads a child process
/// has none, and whoever held its locks may be gone.
std::atomic<std::uint32_t> generation{0};

std::uint32_t current_generation() {
  static const int registered = ::pthread_atfork(
      nullptr, nullptr, [] { generation.fetch_add(1, std::memory_order_relaxed); });
  (void)registered;
  return generation.load(std::memory_order_relaxed);
}

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
  /// A worker's share of the current loop. On a cache line of its own: the owner takes items from
  /// it while the others look on.
  struct alignas(64) Share {
    std::atomic<std::int64_t> next{0};
    std::int64_t end = 0;
  };

  explicit State(int count) : threads(count), shares(static_cast<std::size_t>(count)) {}
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    ending.store(true, std::memory_order_relaxed);
    announce();
    workers.clear();  // joins
  }

  /// The gate's state: closed or not, and how many workers are inside.
  static constexpr std::uint32_t kClosed = std::uint32_t{1} << 31;

  const int threads;
  const std::uint32_t made_in = current_generation();
  std::mutex one_loop_at_a_time;
  // The loop, written by the caller while the gate is closed and nobody is inside.
  std::vector<Share> shares;
  Body body = nullptr;
  void* context = nullptr;
  std::atomic<bool> failed{false};  ///< an item threw; `error` is what
  std::exception_ptr error;
  std::atomic<std::uint32_t> loops{0};  ///< how many have begun: idle workers watch it
  std::atomic<bool> ending{false};
  alignas(64) std::atomic<std::uint32_t> gate{kClosed};
  std::vector<std::jthread> workers;  ///< the last member: they use the others

  void announce() {
    loops.fetch_add(1, std::memory_order_release);
    loops.notify_all();
  }

  /// False where the loop is over.
  bool enter() {
    std::uint32_t value = gate.load(std::memory_order_relaxed);
    while ((value & kClosed) == 0) {
      if (gate.compare_exchange_weak(value, value + 1, std::memory_order_acquire,
                                     std::memory_order_relaxed))
        return true;
    }
    return false;
  }

  void leave() {
    if (gate.fetch_sub(1, std::memory_order_release) - 1 == kClosed) gate.notify_one();
  }

  /// Closes the gate and waits for those inside.
  void close() {
    std::uint32_t value = gate.fetch_or(kClosed, std::memory_order_acquire) | kClosed;
    while (value != kClosed) value = wait_while(gate, value);
  }

  bool is_open() const { return (gate.load(std::memory_order_relaxed) & kClosed) == 0; }

  /// Waits for the loop after `seen`, at first awake: kSpin from the end of the current one on.
  std::uint32_t next_loop(std::uint32_t seen) {
    const auto latest = std::chrono::steady_clock::now() + kSpinInLoop;
    while (is_open() && loops.load(std::memory_order_relaxed) == seen &&
           std::chrono::steady_clock::now() < latest) {
      for (int i = 0; i < 32; ++i) relax();
    }
    return wait_while(loops, seen);
  }

  bool is_of_this_process() const { return made_in == generation.load(std::memory_order_relaxed); }

  void serve(int self) {
    const DefaultFloatEnvironment environment;
    std::uint32_t seen = 0;
    while (true) {
      seen = next_loop(seen);
      if (ending.load(std::memory_order_relaxed)) return;
      if (!enter()) continue;
      work(self);
      leave();
    }
  }

  /// Worker `self`'s part of a loop: its own items first, then whatever others have not begun.
  void work(int self) {
    const InsideLoop inside(this, self);
    for (int step = 0; step < threads; ++step) {
      Share& share = shares[static_cast<std::size_t>((self + step) % threads)];
      while (share.next.load(std::memory_order_relaxed) < share.end) {
        const std::int64_t index = share.next.fetch_add(1, std::memory_order_relaxed);
        if (index >= share.end) break;
        try {
          body(context, index, self);
        } catch (...) {
          stop();
          return;
        }
      }
    }
  }

  /// No item begins any more; the first exception is the caller's.
  void stop() {
    if (!failed.exchange(true, std::memory_order_relaxed)) error = std::current_exception();
    for (Share& share : shares) share.next.store(share.end, std::memory_order_relaxed);
  }
};

ThreadPool::ThreadPool(std::unique_ptr<State> state) : state_(std::move(state)) {}
ThreadPool::ThreadPool(ThreadPool&&) noexcept = default;
ThreadPool& ThreadPool::operator=(ThreadPool&& other) noexcept {
  std::swap(state_, other.state_);
  return *this;
}
ThreadPool::~ThreadPool() {
  // In a child process there is nobody to join: the state is left behind.
  if (state_ && !state_->is_of_this_process()) (void)state_.release();
}

Result<ThreadPool> ThreadPool::create(int threads) {
  if (threads < 1 || threads > kMaxThreads) {
    return fail(ErrorCode::invalid_argument, "{} threads asked for: expected 1 to {}", threads,
                kMaxThreads);
  }
  auto state = std::make_unique<State>(threads);
  try {
    for (int worker = 1; worker < threads; ++worker) {
      state->workers.emplace_back([shared = state.get(), worker] { shared->serve(worker); });
    }
  } catch (const std::system_error& error) {
    return fail(ErrorCode::resource_exhausted,
                "the system does not give us {} threads ({}); ask for fewer or raise ulimit -u",
                threads, error.what());
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
  if (!state.is_of_this_process()) {
    for (std::int64_t index = 0; index < count; ++index) body(context, index, 0);
    return;
  }
  const std::lock_guard lock(state.one_loop_at_a_time);
  if (count <= 1 || state.threads == 1) {
    const InsideLoop inside(&state, 0);
    for (std::int64_t index = 0; index < count; ++index) body(context, index, 0);
    return;
  }
  state.body = body;
  state.context = context;
  for (int worker = 0; worker < state.threads; ++worker) {
    State::Share& share = state.shares[static_cast<std::size_t>(worker)];
    share.next.store(count * worker / state.threads, std::memory_order_relaxed);
    share.end = count * (worker + 1) / state.threads;
  }
  state.gate.store(0, std::memory_order_release);
  state.announce();
  state.work(0);
  state.close();
  if (state.failed.load(std::memory_order_relaxed)) {
    state.failed.store(false, std::memory_order_relaxed);
    std::rethrow_exception(std::exchange(state.error, nullptr));
  }
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
