// Is memory that was evicted as cold as memory that a rotation has pushed out?
//
//   build/release/bin/cold [--target avx2] [--threads 1] [--rounds 41] [PROBLEM…]
//
// Times kernels three ways in turn: on sets of operands in rotation, several times the last cache
// in all; on one pass of evicted sets, as the tuner does (tuner/race_buffers.h); and on evicted
// sets whose pages the TLBs have forgotten, too. Prints the paired ratios to rotation with the
// interval that holds the median of such rounds in 95 of 100 cases, and over all kernels.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>

#include <CLI/CLI.hpp>
#include <sys/mman.h>
#include <unistd.h>

#include <lathe/backends.h>

#include "compiler/family.h"
#include "compiler/sizes.h"
#include "runtime/library/choose_schedule.h"
#include "runtime/library/target_selection.h"
#include "support/hardware.h"
#include "tuner/race_buffers.h"
#include "tuner/statistics.h"

namespace lathe::bench {
namespace {

using Clock = std::chrono::steady_clock;
using tuner::ColdCaches;
using tuner::RaceBuffers;

constexpr int64_t kCacheMultiple = 4;
constexpr double kBatchSeconds = 500e-6;

struct Options {
  std::string target;
  int threads = 1, rounds = 41;
  std::vector<std::string> problems;
};

// Those of Qwen3-VL-2B that read 8 to 64 MB a call.
const std::vector<std::string> kProblems = {"linear rows=1 n=4096 k=2048 weight=bf16",
                                            "linear rows=16 n=4096 k=2048 weight=bf16",
                                            "linear rows=1 n=12288 k=2048 weight=bf16",
                                            "linear rows=1 n=2048 k=6144 weight=bf16",
                                            "linear rows=1 n=2048 k=2048 weight=bf16",
                                            "linear rows=1 n=4096 k=2048 weight=f32",
                                            "linear rows=16 n=4096 k=2048 weight=f32",
                                            "linear rows=1 n=12288 k=2048 weight=q8_0",
                                            "linear rows=1 n=12288 k=2048 weight=q4_0",
                                            "linear rows=16 n=12288 k=2048 weight=q4_0",
                                            "relu rows=512 width=2048",
                                            "rms_norm rows=512..2047 width=4096",
                                            "elementwise rows=512 width=2048 expr=add(x,r)"};

void forget_pages(std::span<const ColdCaches::Bytes> memory) {
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  for (const ColdCaches::Bytes& bytes : memory) {
    const auto begin = reinterpret_cast<uintptr_t>(bytes.data()) / page * page;
    const auto end = reinterpret_cast<uintptr_t>(bytes.data() + bytes.size());
    auto* pages = reinterpret_cast<void*>(begin);
    // Taking a right away makes every core forget the pages; nobody writes between.
    if (::mprotect(pages, end - begin, PROT_READ) != 0) continue;
    (void)::mprotect(pages, end - begin, PROT_READ | PROT_WRITE);
  }
}

// One way of timing a kernel: its own operands, and what happens before each pass.
struct Way {
  const RaceBuffers* buffers = nullptr;
  std::function<void(size_t)> before{};  ///< none: the sets go round without a rest
  std::vector<runtime::BoundCall> calls{};
  size_t next = 0;
  std::vector<double> ns{};
};

Result<double> time_calls(Way& way, const runtime::CompiledKernel& kernel,
                          runtime::ThreadPool& pool, int64_t count) {
  double seconds = 0;
  const size_t sets = way.calls.size();
  for (int64_t done = 0; done < count;) {
    const auto pass =
        way.before ? std::min<int64_t>(static_cast<int64_t>(sets), count - done) : count - done;
    if (way.before) {
      way.before(static_cast<size_t>(pass));
      way.next = 0;
    }
    const auto begin = Clock::now();
    for (int64_t i = 0; i < pass; ++i) {
      LATHE_CHECK(runtime::run_call(kernel, way.calls[way.next], pool));
      way.next = (way.next + 1) % sets;
    }
    seconds += std::chrono::duration<double>(Clock::now() - begin).count();
    done += pass;
  }
  return seconds * 1e9 / static_cast<double>(count);
}

// Rank interval of the median: about two binomial standard deviations either side.
std::pair<double, double> interval(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const auto n = static_cast<double>(values.size());
  const auto low = static_cast<ptrdiff_t>(std::max(std::floor(n / 2 - std::sqrt(n)), 0.0));
  const auto high = static_cast<ptrdiff_t>(std::min(std::ceil(n / 2 + std::sqrt(n)), n - 1));
  return {values[static_cast<size_t>(low)], values[static_cast<size_t>(high)]};
}

struct Ratios {
  std::vector<double> evicted, forgotten;
};

Result<Ratios> compare(const std::string& line, const runtime::SelectedTarget& selected,
                       const Options& options, ColdCaches& caches, runtime::ThreadPool& pool) {
  LATHE_TRY(const compiler::Problem problem, compiler::parse_problem(line));
  LATHE_TRY(const compiler::Sizes at,
            compiler::complete_sizes(problem, compiler::sizes_named_in(line)));
  LATHE_TRY(const auto kernel,
            runtime::compile_kernel(
                problem, problem.family().space(problem, selected.target).default_schedule(),
                selected.target, *selected.backend));
  tuner::SharedInputs inputs;
  LATHE_TRY(const RaceBuffers one, RaceBuffers::create(*kernel, at, true, inputs));
  int64_t touched = 0;
  for (const ColdCaches::Bytes& bytes : one.touched(1))
    touched += static_cast<int64_t>(bytes.size());
  const int64_t whole = kCacheMultiple * support::host().l3_bytes;
  LATHE_TRY(const RaceBuffers many, RaceBuffers::create(*kernel, at, false, inputs,
                                                        static_cast<size_t>(whole / touched + 2)));
  std::vector<Way> ways = {
      {&many},
      {&one, [&](size_t sets) { caches.make_cold(one.touched(sets), one.written_share()); }},
      {&one, [&](size_t sets) {
         caches.make_cold(one.touched(sets), one.written_share());
         forget_pages(one.touched(sets));
       }}};
  for (Way& way : ways) {
    for (size_t set = 0; set < way.buffers->sets(); ++set) {
      LATHE_TRY(const auto views, way.buffers->views(set, *kernel));
      LATHE_CHECK(runtime::bind_call(*kernel, views, pool.threads(), way.calls.emplace_back()));
    }
    LATHE_TRY(const double warm_up, time_calls(way, *kernel, pool, 2));
    (void)warm_up;
  }
  LATHE_TRY(const double call_ns, time_calls(ways[0], *kernel, pool, 2));
  const auto count = std::max<int64_t>(static_cast<int64_t>(kBatchSeconds * 1e9 / call_ns) + 1, 2);
  for (int round = 0; round < options.rounds; ++round) {
    for (size_t k = 0; k < ways.size(); ++k) {
      Way& way = ways[(k + static_cast<size_t>(round)) % ways.size()];
      LATHE_TRY(const double ns, time_calls(way, *kernel, pool, count));
      way.ns.push_back(ns);
    }
  }
  Ratios ratios;
  for (size_t i = 0; i < ways[0].ns.size(); ++i) {
    ratios.evicted.push_back(ways[1].ns[i] / ways[0].ns[i]);
    ratios.forgotten.push_back(ways[2].ns[i] / ways[0].ns[i]);
  }
  const auto [low, high] = interval(ratios.evicted);
  fmt::print("{:>8.1f} us {:>5.1f} MB {:>4} sets {:>4}  {:.3f} [{:.3f}, {:.3f}]  {:.3f}  {}\n",
             tuner::median(ways[0].ns) * 1e-3, static_cast<double>(touched) * 1e-6, many.sets(),
             one.sets(), tuner::median(ratios.evicted), low, high, tuner::median(ratios.forgotten),
             line);
  std::fflush(stdout);
  return ratios;
}

Result<int> run(const Options& options) {
  const runtime::Backends backends = default_backends();
  LATHE_TRY(const runtime::SelectedTarget selected,
            runtime::select_target(backends, options.target));
  LATHE_TRY(runtime::ThreadPool pool, runtime::ThreadPool::create(options.threads));
  LATHE_TRY(ColdCaches caches, ColdCaches::create(pool));
  fmt::print("{}, {}, {} thread(s)\n", support::describe(support::host()), selected.target.name,
             options.threads);
  fmt::print("rotation of {} x the last cache; evicted and evicted with TLBs over it\n",
             kCacheMultiple);
  std::vector<double> evicted, forgotten;
  for (const std::string& line : options.problems.empty() ? kProblems : options.problems) {
    LATHE_TRY(const Ratios ratios, compare(line, selected, options, caches, pool));
    evicted.push_back(tuner::median(ratios.evicted));
    forgotten.push_back(tuner::median(ratios.forgotten));
  }
  const auto [low, high] = interval(evicted);
  fmt::print("median over {} kernels: evicted {:.3f} [{:.3f}, {:.3f}], with TLBs {:.3f}\n",
             evicted.size(), tuner::median(evicted), low, high, tuner::median(forgotten));
  return 0;
}

int main_of(int argc, char** argv) {
  CLI::App app("Compares ways of making operands cold.", "cold");
  Options options;
  app.add_option("--target", options.target, "instruction set; default: the widest");
  app.add_option("--threads", options.threads)->capture_default_str();
  app.add_option("--rounds", options.rounds)->capture_default_str()->check(CLI::PositiveNumber);
  app.add_option("problems", options.problems, "problem lines; default: some of Qwen3-VL-2B's");
  CLI11_PARSE(app, argc, argv);
  const Result<int> result = run(options);
  if (result) return *result;
  std::fprintf(stderr, "cold: %s\n", result.error().message.c_str());
  return 2;
}

}  // namespace
}  // namespace lathe::bench

int main(int argc, char** argv) { return lathe::bench::main_of(argc, argv); }
