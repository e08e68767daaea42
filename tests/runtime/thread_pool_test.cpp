// Every item once, worker numbers in use once, several callers, nested loops.
#include "runtime/cpu/thread_pool.h"

#include <array>
#include <atomic>
#include <cstdlib>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/hardware.h"

namespace lathe::runtime {
namespace {

class ThreadPools : public testing::TestWithParam<int> {};

TEST_P(ThreadPools, EveryItemOnce) {
  auto pool = *ThreadPool::create(GetParam());
  EXPECT_EQ(pool.threads(), GetParam());
  for (const std::int64_t count : {0, 1, 2, 3, 7, 64, 1000}) {
    std::vector<std::atomic<int>> runs(static_cast<std::size_t>(count));
    pool.parallel_for(count, [&](std::int64_t index, int worker) {
      EXPECT_GE(worker, 0);
      EXPECT_LT(worker, GetParam());
      ++runs[static_cast<std::size_t>(index)];
    });
    for (const auto& item : runs) EXPECT_EQ(item, 1);
  }
}

TEST_P(ThreadPools, AWorkerNumberIsInUseOnce) {
  auto pool = *ThreadPool::create(GetParam());
  std::vector<std::atomic<int>> busy(static_cast<std::size_t>(GetParam()));
  std::atomic<int> clashes{0};
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 3; ++caller) {
    callers.emplace_back([&] {
      for (int repeat = 0; repeat < 20; ++repeat) {
        pool.parallel_for(50, [&](std::int64_t, int worker) {
          if (++busy[static_cast<std::size_t>(worker)] != 1) ++clashes;
          std::this_thread::yield();
          --busy[static_cast<std::size_t>(worker)];
        });
      }
    });
  }
  for (auto& caller : callers) caller.join();
  EXPECT_EQ(clashes, 0);
}

TEST_P(ThreadPools, ResultsAreVisibleAfterwards) {
  auto pool = *ThreadPool::create(GetParam());
  std::vector<std::int64_t> squares(5000);  // plain, so that a sanitizer sees a missing hand-over
  for (int repeat = 0; repeat < 10; ++repeat) {
    pool.parallel_for(5000,
                      [&](std::int64_t i, int) { squares[static_cast<std::size_t>(i)] += i; });
  }
  for (std::int64_t i = 0; i < 5000; ++i) EXPECT_EQ(squares[static_cast<std::size_t>(i)], 10 * i);
}

TEST_P(ThreadPools, ALoopInsideALoopRunsInline) {
  auto pool = *ThreadPool::create(GetParam());
  std::atomic<int> items{0};
  for (const std::int64_t outer_count : {1, 8}) {
    items = 0;
    pool.parallel_for(outer_count, [&](std::int64_t, int outer) {
      pool.parallel_for(5, [&](std::int64_t, int inner) {
        EXPECT_EQ(inner, outer);
        ++items;
      });
    });
    EXPECT_EQ(items, 5 * outer_count);
  }
}

TEST_P(ThreadPools, MovedPoolWorks) {
  auto pool = *ThreadPool::create(GetParam());
  ThreadPool moved = std::move(pool);
  std::atomic<int> items{0};
  moved.parallel_for(10, [&](std::int64_t, int) { ++items; });
  EXPECT_EQ(items, 10);
}

INSTANTIATE_TEST_SUITE_P(Sizes, ThreadPools, testing::Values(1, 2, 3, 8));

TEST(ThreadPool, OneThreadRunsInOrderOnTheCaller) {
  auto pool = *ThreadPool::create(1);
  std::vector<std::int64_t> order;
  const auto caller = std::this_thread::get_id();
  pool.parallel_for(5, [&](std::int64_t index, int worker) {
    EXPECT_EQ(std::this_thread::get_id(), caller);
    EXPECT_EQ(worker, 0);
    order.push_back(index);
  });
  EXPECT_EQ(order, (std::vector<std::int64_t>{0, 1, 2, 3, 4}));
}

TEST(ThreadPool, FunctionPointerAndContext) {
  auto pool = *ThreadPool::create(2);
  std::atomic<std::int64_t> sum{0};
  pool.parallel_for(
      11,
      [](void* context, std::int64_t index, int) {
        *static_cast<std::atomic<std::int64_t>*>(context) += index;
      },
      &sum);
  EXPECT_EQ(sum, 55);
}

TEST(ThreadPool, SlowItemsAreTakenOver) {
  auto pool = *ThreadPool::create(2);
  // Worker 0's first item waits until all others are done: they include worker 0's own share.
  std::atomic<int> done{0};
  pool.parallel_for(16, [&](std::int64_t index, int) {
    if (index == 0) {
      while (done < 15) std::this_thread::yield();
    } else {
      ++done;
    }
  });
  EXPECT_EQ(done, 15);
}

TEST(ThreadPool, ImpossibleSizes) {
  for (const int threads : {0, -1, kMaxThreads + 1}) {
    const auto pool = ThreadPool::create(threads);
    ASSERT_FALSE(pool) << threads;
    EXPECT_EQ(pool.error().code, ErrorCode::invalid_argument);
  }
}

TEST(DefaultThreads, PhysicalCoresOrTheEnvironment) {
  ::unsetenv("LATHE_THREADS");
  EXPECT_EQ(*default_threads(), support::host().available_cores);
  ::setenv("LATHE_THREADS", "3", 1);
  EXPECT_EQ(*default_threads(), 3);
  for (const char* bad : {"0", "-2", "two", "4x", " 4", "1025", "99999999999"}) {
    ::setenv("LATHE_THREADS", bad, 1);
    const auto threads = default_threads();
    ASSERT_FALSE(threads) << bad;
    EXPECT_EQ(threads.error().code, ErrorCode::invalid_argument);
    EXPECT_NE(threads.error().message.find("LATHE_THREADS"), std::string::npos);
  }
  ::unsetenv("LATHE_THREADS");
}

// Workers enter a loop that is about to end, find it over, sleep and wake: the loops come one after
// the other, then after pauses around the time in which idle workers fall asleep.
TEST(ThreadPool, LoopsDoAllTheirItemsWhereverTheWorkersAre) {
  auto pool = ThreadPool::create(3);
  ASSERT_TRUE(pool) << pool.error().message;
  for (const int pause : {0, 50, 100, 150, 500}) {
    for (int loop = 0; loop < (pause == 0 ? 5000 : 100); ++loop) {
      std::array<int, 5> times{};  // not atomic: the end of a loop makes its results visible
      pool->parallel_for(5, [&](std::int64_t index, int) { ++times[static_cast<size_t>(index)]; });
      ASSERT_EQ(times, (std::array{1, 1, 1, 1, 1})) << loop;
      std::this_thread::sleep_for(std::chrono::microseconds(pause));
    }
  }
}

// The caller ends before a worker does: it has to wait, first awake, then asleep.
TEST(ThreadPool, WaitsForLongItemsOfOthers) {
  auto pool = ThreadPool::create(2);
  ASSERT_TRUE(pool) << pool.error().message;
  const auto caller = std::this_thread::get_id();
  for (int loop = 0; loop < 20; ++loop) {
    std::array<int, 2> done{};
    pool->parallel_for(2, [&](std::int64_t index, int) {
      if (std::this_thread::get_id() != caller)
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
      done[static_cast<size_t>(index)] = 1;
    });
    EXPECT_EQ(done, (std::array{1, 1}));
  }
}

// Whoever throws, the caller gets it, after everybody has left; the next loop is as if nothing was.
TEST_P(ThreadPools, AnExceptionIsTheCallers) {
  ThreadPool pool = *ThreadPool::create(GetParam());
  for (const int64_t bad : {0, 500, 999}) {
    std::atomic<int> inside = 0, done = 0;
    const auto item = [&](int64_t index, int) {
      ++inside;
      if (index == bad) {
        --inside;
        throw std::runtime_error("item " + std::to_string(index));
      }
      ++done;
      --inside;
    };
    try {
      pool.parallel_for(1000, item);
      ADD_FAILURE() << "nothing was thrown";
    } catch (const std::runtime_error& error) {
      EXPECT_EQ(error.what(), "item " + std::to_string(bad));
    }
    EXPECT_EQ(inside, 0);
    EXPECT_LT(done, 1000);
    done = 0;
    pool.parallel_for(1000, [&](int64_t, int) { ++done; });
    EXPECT_EQ(done, 1000);
  }
}

TEST_P(ThreadPools, AllItemsMayThrow) {
  ThreadPool pool = *ThreadPool::create(GetParam());
  for (int loop = 0; loop < 20; ++loop)
    EXPECT_THROW(pool.parallel_for(100, [](int64_t, int) { throw std::bad_alloc(); }),
                 std::bad_alloc);
}

// A child has none of the pool's threads, and the loop that another thread was in never ends there.
TEST_P(ThreadPools, AChildProcessRunsAlone) {
  ThreadPool pool = *ThreadPool::create(GetParam());
  std::atomic<bool> stop = false;
  std::thread other([&] {
    while (!stop) pool.parallel_for(64, [](int64_t, int) {});
  });
  for (int fork = 0; fork < 20; ++fork) {
    const pid_t child = ::fork();
    if (child == 0) {
      ::alarm(60);
      int sum = 0;
      pool.parallel_for(100, [&](int64_t index, int worker) {
        sum += static_cast<int>(index);
        if (worker != 0) ::_exit(2);
      });
      {
        const ThreadPool own = std::move(pool);
      }  // and ends
      ::_exit(sum == 4950 ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  }
  stop = true;
  other.join();
}

}  // namespace
}  // namespace lathe::runtime
