// Every allocation of opening, fetching, packing and running fails once: each time an exception or
// an error, nothing is left behind, and the same call then succeeds.
#include <atomic>
#include <cstdlib>
#include <functional>
#include <new>
#include <string_view>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <lathe/c.h>
#include <lathe/lathe.h>

namespace {

std::atomic<int64_t> allocations_left{-1};  // -1: as many as wanted
std::atomic<bool> exhausted{false};         // none, from the one that failed on

void* allocate(std::size_t bytes, std::size_t alignment) {
  // Several threads may be at it: just one of them has the last.
  int64_t left = allocations_left.load(std::memory_order_relaxed);
  while (left >= 0) {
    const int64_t next = left > 0 ? left - 1 : exhausted ? 0 : -1;
    if (!allocations_left.compare_exchange_weak(left, next, std::memory_order_relaxed)) continue;
    if (left == 0) throw std::bad_alloc();
    break;
  }
  void* memory =
      alignment <= alignof(std::max_align_t)
          ? std::malloc(bytes == 0 ? 1 : bytes)
          : std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

void* operator new(std::size_t bytes) { return allocate(bytes, 1); }
void* operator new[](std::size_t bytes) { return allocate(bytes, 1); }
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return allocate(bytes, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t bytes, std::align_val_t alignment) {
  return allocate(bytes, static_cast<std::size_t>(alignment));
}
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  try {
    return allocate(bytes, 1);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}
void* operator new[](std::size_t bytes, const std::nothrow_t& tag) noexcept {
  return operator new(bytes, tag);
}
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

namespace lathe {
namespace {

// Lets the first, the second, … allocation of `work` fail until none is left to fail; after each
// failure `again` must succeed. Returns how many failed.
int64_t fail_each(const std::function<bool()>& work, const std::function<bool()>& again) {
  for (int64_t count = 0;; ++count) {
    allocations_left = count;
    bool done = false;
    try {
      done = work();
    } catch (const std::bad_alloc&) {
    }
    const bool failed = allocations_left == -1;
    allocations_left = -1;
    if (!failed) {
      EXPECT_TRUE(done);
      return count;
    }
    if (!again()) {
      ADD_FAILURE() << "after allocation " << count << " failed";
      return count;
    }
  }
}

TEST(AllocationFailures, OfOpening) {
  const auto open = [] { return Library::open({.threads = 2, .store = "none"}).has_value(); };
  EXPECT_GT(fail_each(open, open), 5);
}

TEST(AllocationFailures, OfFetching) {
  for (const char* problem : {"rms_norm rows=8 width=40", "linear rows=1 n=32 k=64 weight=bf16"}) {
    auto library = Library::open({.threads = 1, .store = "none"});
    ASSERT_TRUE(library);
    const int64_t failed = fail_each([&] { return library->fetch_problem(problem).has_value(); },
                                     [&] {
                                       const bool fetched =
                                           library->fetch_problem(problem).has_value();
                                       // The next failure is to be one of a library that does not
                                       // have it yet.
                                       library = Library::open({.threads = 1, .store = "none"});
                                       return fetched && library.has_value();
                                     });
    EXPECT_GT(failed, 100) << problem;
  }
}

TEST(AllocationFailures, OfPackingAndRunning) {
  const auto library = Library::open({.threads = 2, .store = "none"});
  ASSERT_TRUE(library);
  const auto kernel = library->fetch_problem("linear rows=8 n=32 k=64 weight=i8 panel=16");
  ASSERT_TRUE(kernel) << kernel.error().message;
  std::vector<float> w(32 * 64, 0.5F), x(8 * 64, 1), y(8 * 32);
  const TensorView matrix(w.data(), {32, 64});
  const PackOptions options = {.panel = 16, .as = DataType::i8};
  const auto run = [&] {
    const auto packed = library->pack_weight(matrix, options);
    if (!packed) return false;
    const Status status =
        (*kernel)(TensorView(x.data(), {8, 64}), *packed, {}, TensorView(y.data(), {8, 32}));
    return status.has_value();
  };
  EXPECT_GT(fail_each(run, run), 3);
  EXPECT_NEAR(y[0], 32, 0.5);
}

// Calls of C while memory is short from some allocation on and stays so: each answers, and a failed
// one says why, in a thread that never had an error before.
TEST(AllocationFailures, OfCallsFromCWithMemoryExhausted) {
  lathe_library* library = nullptr;
  ASSERT_EQ(lathe_library_open("", 1, "none", &library), LATHE_OK);
  float values[64] = {};
  const int64_t shape[] = {1, 64};
  const lathe_view view = {values, LATHE_F32, 2, shape, nullptr};
  const lathe_view unknown = {values, static_cast<lathe_type>(99), 2, shape, nullptr};
  lathe_kernel* silu = nullptr;
  ASSERT_EQ(lathe_library_fetch(library, "silu rows=1 width=64", &silu), LATHE_OK);
  struct Call {
    const char* name;
    std::function<lathe_status()> run;
    bool succeeds;  ///< with memory
  };
  lathe_kernel* fetched = nullptr;
  lathe_weight* weight = nullptr;
  const auto fetch = [&](const char* problem) {
    const lathe_status status = lathe_library_fetch(library, problem, &fetched);
    if (status == LATHE_OK) lathe_kernel_release(fetched);
    return status;
  };
  const Call calls[] = {
      {"a null library", [&] { return lathe_library_fetch(nullptr, "silu", &fetched); }, false},
      {"a null kernel", [&] { return lathe_kernel_run(nullptr, &view, 1, &view, 1); }, false},
      {"an unknown type", [&] { return lathe_kernel_run(silu, &unknown, 1, &view, 1); }, false},
      {"too few operands", [&] { return lathe_kernel_run(silu, &view, 0, &view, 1); }, false},
      {"an unknown family", [&] { return fetch("sulu rows=1 width=64"); }, false},
      {"a kernel of its own", [&] { return fetch("relu rows=1 width=65"); }, true},
      {"a run", [&] { return lathe_kernel_run(silu, &view, 1, &view, 1); }, true},
      {"a missing file", [&] { return lathe_weight_map(library, "missing", 1, &weight); }, false},
      {"a weight",
       [&] {
         const lathe_status status = lathe_weight_pack(library, &view, 0, 16, &weight);
         if (status == LATHE_OK) lathe_weight_release(weight);
         return status;
       },
       true},
  };
  for (const Call& call : calls) {
    bool all_done = false;
    for (int64_t count = 0; !all_done; ++count) {
      lathe_status status = LATHE_OK;
      bool said = false;
      std::thread([&] {
        exhausted = true;
        allocations_left = count;
        status = call.run();
        all_done = allocations_left > 0;
        exhausted = false;
        allocations_left = -1;
        said = *lathe_last_error() != 0;
      }).join();
      EXPECT_TRUE(said || status == LATHE_OK) << call.name << ", allocation " << count;
      if (!call.succeeds) {
        EXPECT_NE(status, LATHE_OK) << call.name;
      }
    }
    EXPECT_EQ(call.run() == LATHE_OK, call.succeeds) << call.name;
  }
  lathe_kernel_release(silu);
  lathe_library_close(library);
}

}  // namespace
}  // namespace lathe
