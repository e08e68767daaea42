// Every allocation of opening, fetching, packing and running fails once: each time an exception or
// an error, nothing is left behind, and the same call then succeeds.
#include <atomic>
#include <cstdlib>
#include <functional>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <lathe/c.h>
#include <lathe/lathe.h>

#include "tests/temporary_folder.h"

namespace {

std::atomic<int64_t> allocations_left{-1};  // -1: as many as wanted
std::atomic<bool> exhausted{false};         // none, from the one that failed on

bool may_allocate() {
  // Several threads may be at it: just one of them has the last.
  int64_t left = allocations_left.load(std::memory_order_relaxed);
  while (left >= 0) {
    const int64_t next = left > 0 ? left - 1 : exhausted ? 0 : -1;
    if (!allocations_left.compare_exchange_weak(left, next, std::memory_order_relaxed)) continue;
    return left > 0;
  }
  return true;
}

}  // namespace

// Eigen takes its memory from malloc, which the linker leads here.
extern "C" void* __real_malloc(std::size_t bytes);   // NOLINT: the linker's name
extern "C" void* __wrap_malloc(std::size_t bytes) {  // NOLINT: likewise
  return may_allocate() ? __real_malloc(bytes) : nullptr;
}

namespace {

void* allocate(std::size_t bytes, std::size_t alignment) {
  if (!may_allocate()) throw std::bad_alloc();
  void* memory =
      alignment <= alignof(std::max_align_t)
          ? __real_malloc(bytes == 0 ? 1 : bytes)
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

struct Call {
  const char* name;
  std::function<lathe_status()> run;
  bool succeeds;  ///< with memory
};

// Calls of C while memory is short from some allocation on and stays so: each answers, and a failed
// one says why, in a thread that never had an error before.
void expect_answers(std::span<const Call> calls) {
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
}

TEST(AllocationFailures, OfCallsFromCWithMemoryExhausted) {
  lathe_library* library = nullptr;
  ASSERT_EQ(lathe_library_open("", 1, "none", &library), LATHE_OK);
  float values[64] = {};
  const int64_t shape[] = {1, 64};
  const lathe_view view = {values, LATHE_F32, 2, shape, nullptr};
  const lathe_view unknown = {values, static_cast<lathe_type>(99), 2, shape, nullptr};
  lathe_kernel* silu = nullptr;
  ASSERT_EQ(lathe_library_fetch(library, "silu rows=1 width=64", &silu), LATHE_OK);
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
  expect_answers(calls);
  lathe_kernel_release(silu);
  lathe_library_close(library);
}

// Sizes are small: every allocation of every call fails once.
TEST(AllocationFailures, OfAttentionFromCWithMemoryExhausted) {
  const tests::TemporaryFolder folder;
  const std::string stem = folder.path() / "weights", other = folder.path() / "other";
  lathe_library* library = nullptr;
  ASSERT_EQ(lathe_library_open("", 1, "none", &library), LATHE_OK);
  constexpr int64_t kTokens = 12, kDim = 3, kPages = 6;
  std::vector<float> keys(kTokens * kDim);
  for (size_t i = 0; i < keys.size(); ++i) keys[i] = static_cast<float>(i * i % 7) - 3;
  float scores[kPages] = {}, codes[kPages * 2] = {}, y[kDim] = {}, rows[kTokens] = {};
  int32_t counts[kPages] = {}, lists[kPages * kPages] = {};
  const int64_t of_keys[] = {kTokens, 1, kDim}, of_cache[] = {1, kTokens, 1, kDim},
                by_page[] = {1, kPages, 2, 1, kDim}, of_codes[] = {1, kPages, 1, 2},
                of_query[] = {1, 1, 1, kDim}, of_scores[] = {1, 1, kPages},
                of_rows[] = {kTokens, 1, 1}, of_list[] = {1, 1, 3},
                of_blocks[] = {1, 1, kPages, kPages};
  const auto view = [](void* data, lathe_type type, std::span<const int64_t> shape) {
    return lathe_view{data, type, static_cast<int32_t>(shape.size()), shape.data(), nullptr};
  };
  const lathe_view x = view(keys.data(), LATHE_F32, of_keys);
  const lathe_view cache = view(keys.data(), LATHE_F32, of_cache);
  const lathe_view pages = view(keys.data(), LATHE_F32, by_page);
  const lathe_view query = view(keys.data(), LATHE_F32, of_query);
  const lathe_view page_codes = view(codes, LATHE_F32, of_codes);
  const lathe_view page_scores = view(scores, LATHE_F32, of_scores);
  const lathe_view page_list = view(lists, LATHE_I32, of_list);
  const lathe_view out = view(y, LATHE_F32, of_query), row = view(rows, LATHE_F32, of_rows);
  std::vector<float> zeros(kPages * kPages);
  const lathe_view block_scores = view(zeros.data(), LATHE_F32, of_blocks);
  const lathe_view block_counts = view(counts, LATHE_I32, of_scores);
  const lathe_view block_lists = view(lists, LATHE_I32, of_blocks);
  const lathe_sample sample = {x, x};
  const lathe_block_selection selection = {2, kTokens, kTokens, LATHE_CAUSAL_END, 0, 0.1, 1, 1};
  lathe_router_options of_router = LATHE_ROUTER_DEFAULTS;
  lathe_page_coder_options of_coder = LATHE_PAGE_CODER_DEFAULTS;
  of_router.block = of_coder.page = of_router.rank = of_coder.rank = 2;
  of_router.steps = of_coder.steps = 1;
  lathe_sparse_decode_options of_decode = LATHE_SPARSE_DECODE_DEFAULTS;
  of_decode.dim = kDim;
  of_decode.page = 2;
  of_decode.kept = 3;
  of_decode.learned = 1;
  of_decode.rank = 2;

  lathe_router* router = nullptr;
  lathe_page_coder* coder = nullptr;
  lathe_factors* factors = nullptr;
  lathe_sparse_decode *decode = nullptr, *another = nullptr;
  ASSERT_EQ(lathe_router_fit(&sample, 1, &sample, 1, &of_router, &router), LATHE_OK)
      << lathe_last_error();
  ASSERT_EQ(lathe_router_save(router, stem.c_str()), LATHE_OK);
  ASSERT_EQ(lathe_page_coder_fit(&sample, 1, &sample, 1, &of_coder, &coder), LATHE_OK);
  ASSERT_EQ(lathe_page_coder_save(coder, other.c_str()), LATHE_OK);
  ASSERT_EQ(lathe_factorise(&x, 1, &factors), LATHE_OK);
  ASSERT_EQ(lathe_sparse_decode_fetch(library, &of_decode, &decode), LATHE_OK)
      << lathe_last_error();
  lathe_sparse_decode_operands operands = {};
  operands.q = &query;
  operands.k = operands.v = &cache;
  operands.bounds = &page_codes;
  operands.w = lathe_page_coder_parts(coder, nullptr);
  operands.y = &out;
  const int64_t rank = 1;
  lathe_low_rank_loss loss;
  // What a call has made is released again.
  const auto once = [](auto* made, auto release, const auto& make) {
    const lathe_status status = make(&made);
    release(made);
    return status;
  };
  const Call calls[] = {
      {"lists of blocks",
       [&] { return lathe_select_blocks(&block_scores, &selection, &block_counts, &block_lists); },
       true},
      {"lists of pages",
       [&] { return lathe_select_pages(&page_scores, nullptr, 2, 1, 1, &page_list); }, true},
      {"a router",
       [&] {
         return once(router, lathe_router_release, [&](lathe_router** made) {
           return lathe_router_fit(&sample, 1, &sample, 1, &of_router, made);
         });
       },
       true},
      {"a router of no sample",
       [&] {
         return once(router, lathe_router_release, [&](lathe_router** made) {
           return lathe_router_fit(nullptr, 0, nullptr, 0, &of_router, made);
         });
       },
       false},
      {"a router from files",
       [&] {
         return once(router, lathe_router_release,
                     [&](lathe_router** made) { return lathe_router_load(stem.c_str(), made); });
       },
       true},
      {"a router as files", [&] { return lathe_router_save(router, stem.c_str()); }, true},
      {"a coder",
       [&] {
         return once(coder, lathe_page_coder_release, [&](lathe_page_coder** made) {
           return lathe_page_coder_fit(&sample, 1, &sample, 1, &of_coder, made);
         });
       },
       true},
      {"a coder from files",
       [&] {
         return once(coder, lathe_page_coder_release, [&](lathe_page_coder** made) {
           return lathe_page_coder_load(other.c_str(), made);
         });
       },
       true},
      {"a coder as files", [&] { return lathe_page_coder_save(coder, other.c_str()); }, true},
      {"codes", [&] { return lathe_page_codes(coder, &pages, &page_codes); }, true},
      {"sparse decode", [&] { return lathe_sparse_decode_run(decode, &operands); }, true},
      {"factors",
       [&] {
         return once(factors, lathe_factors_release,
                     [&](lathe_factors** made) { return lathe_factorise(&x, 1, made); });
       },
       true},
      {"rows of factors", [&] { return lathe_factors_rows(factors, &x, &row); }, true},
      {"losses", [&] { return lathe_low_rank_losses(&x, &x, &x, &rank, 1, 0, &loss); }, true},
      {"a fetch of sparse decode",
       [&] {
         return once(another, lathe_sparse_decode_release, [&](lathe_sparse_decode** made) {
           return lathe_sparse_decode_fetch(library, &of_decode, made);
         });
       },
       true},
  };
  expect_answers(calls);
  lathe_sparse_decode_release(decode);
  lathe_factors_release(factors);
  lathe_page_coder_release(coder);
  lathe_router_release(router);
  lathe_library_close(library);
}

}  // namespace
}  // namespace lathe
