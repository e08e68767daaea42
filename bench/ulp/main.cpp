// ulp: the error of every vector function over all 2^32 f32 inputs, as the table of
// docs/numerics.md.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "bench/probes/native.h"
#include "compiler/math/catalogue.h"
#include "support/hardware.h"

namespace lathe::bench {
namespace {

using compiler::math::Division;
using compiler::math::Function;

constexpr size_t kChunk = size_t{1} << 16;
constexpr std::string_view kTargets[] = {"avx2", "sse"};  // fused, not fused

struct Worst {
  double ulp = 0;
  float at = 0;
  void see(double error, float x) {
    if (error > ulp) {
      ulp = error;
      at = x;
    }
  }
};

// One row of the table: a function with one kind of division, on both targets.
struct Candidate {
  Division division;
  std::vector<Native> kernels;  // by target
  std::vector<Worst> worst;
};

void measure_chunk(const Function& function, uint64_t chunk, uint64_t stride,
                   const std::vector<Candidate>& candidates, std::vector<Worst>& worst) {
  std::vector<float> x(kChunk), y(kChunk);
  std::vector<double> exact(kChunk);
  for (size_t i = 0; i < kChunk; ++i) {
    const auto bits = static_cast<uint32_t>((chunk * kChunk + i) * stride);
    std::memcpy(&x[i], &bits, sizeof bits);
    exact[i] = function.exact(double{x[i]});
  }
  constexpr size_t lanes_of[] = {8, 4};
  size_t slot = 0;
  for (const Candidate& candidate : candidates)
    for (const Native& kernel : candidate.kernels) {
      const uint64_t vectors = kChunk / lanes_of[slot % std::size(kTargets)];
      const uint64_t slots[] = {reinterpret_cast<uint64_t>(x.data()),
                                reinterpret_cast<uint64_t>(y.data()), vectors};
      kernel(slots);
      for (size_t i = 0; i < kChunk; ++i)
        if (compiler::math::measured(function, candidate.division, x[i]))
          worst[slot].see(compiler::math::ulp_error(y[i], exact[i], function.floor), x[i]);
      ++slot;
    }
}

Result<std::vector<Candidate>> measure(const Function& function, unsigned threads,
                                       uint64_t stride) {
  std::vector<Candidate> candidates;
  for (const Division division : {Division::exact, Division::newton}) {
    if (division == Division::newton && !function.divides) continue;
    Candidate candidate{division, {}, std::vector<Worst>(std::size(kTargets))};
    for (const std::string_view name : kTargets) {
      LATHE_TRY(const ir::Target target, ir::parse_target(name));
      LATHE_TRY(Native kernel,
                make_native(compiler::math::unary_program(function, target, {division})));
      candidate.kernels.push_back(std::move(kernel));
    }
    candidates.push_back(std::move(candidate));
  }
  const size_t slots = candidates.size() * std::size(kTargets);
  std::vector<std::vector<Worst>> found(threads, std::vector<Worst>(slots));
  const uint64_t chunks = (uint64_t{1} << 32) / (kChunk * stride);
  std::atomic<uint64_t> next = 0;
  std::vector<std::thread> pool;
  for (unsigned t = 0; t < threads; ++t)
    pool.emplace_back([&, t] {
      for (uint64_t chunk = next++; chunk < chunks; chunk = next++)
        measure_chunk(function, chunk, stride, candidates, found[t]);
    });
  for (std::thread& thread : pool) thread.join();
  for (const std::vector<Worst>& mine : found)
    for (size_t slot = 0; slot < slots; ++slot)
      candidates[slot / std::size(kTargets)].worst[slot % std::size(kTargets)].see(mine[slot].ulp,
                                                                                   mine[slot].at);
  return candidates;
}

// The next half ULP above what was found; with the estimates of other CPUs allowed for.
double limit(const Candidate& candidate) {
  double worst = 0;
  for (const Worst& one : candidate.worst) worst = std::max(worst, one.ulp);
  if (candidate.division == Division::newton) worst += 1.5;
  return std::ceil(2 * worst) / 2;
}

int run(int argc, char** argv) {
  CLI::App app{"Measures every vector function over all f32 inputs; several minutes each."};
  std::vector<std::string> names;
  unsigned threads = static_cast<unsigned>(support::host().available_cpus);
  app.add_option("function", names, "functions (default: all)");
  uint64_t stride = 1;
  app.add_option("--stride", stride, "measure every Nth input only")->check(CLI::Range(1, 65536));
  app.add_option("--threads", threads, "threads")->check(CLI::Range(1, 1024));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  fmt::print("| function | division | limit | fused | at | not fused | at | floor |\n");
  fmt::print("|---|---|---|---|---|---|---|---|\n");
  for (const Function& function : compiler::math::functions()) {
    if (!names.empty() && std::find(names.begin(), names.end(), function.name) == names.end())
      continue;
    const auto candidates = measure(function, threads, stride);
    if (!candidates) {
      fmt::print(stderr, "ulp: {}\n", candidates.error().message);
      return 2;
    }
    for (const Candidate& candidate : *candidates) {
      const char* division = !function.divides                       ? "-"
                             : candidate.division == Division::exact ? "exact"
                                                                     : "newton";
      const std::string floor =
          function.floor == 0 ? std::string("-") : fmt::format("2^{}", std::ilogb(function.floor));
      fmt::print("| {} | {} | {:.1f} | {:.3f} | {} | {:.3f} | {} | {} |\n", function.name, division,
                 limit(candidate), candidate.worst[0].ulp, candidate.worst[0].at,
                 candidate.worst[1].ulp, candidate.worst[1].at, floor);
      std::fflush(stdout);
    }
  }
  return 0;
}

}  // namespace
}  // namespace lathe::bench

int main(int argc, char** argv) { return lathe::bench::run(argc, argv); }
