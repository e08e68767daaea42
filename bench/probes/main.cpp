// probes: times each probe beside its bound, in turn, and prints what it reached.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <limits>
#include <optional>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "bench/probes/probe.h"
#include "support/hardware.h"

namespace lathe::bench {
namespace {

constexpr int kRounds = 100;
constexpr double kSliceSeconds = 300e-6;

double seconds_of(const std::function<void()>& run, int64_t times) {
  const auto start = std::chrono::steady_clock::now();
  for (int64_t i = 0; i < times; ++i) run();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Seconds a unit of work: the fastest of many slices. Every round visits all, so that a change of
// the clock meets all alike.
std::vector<double> race(const std::vector<Timed>& all) {
  std::vector<int64_t> times;
  for (const Timed& timed : all) {
    int64_t count = 1;
    while (seconds_of(timed.run, count) < kSliceSeconds) count *= 2;
    times.push_back(count);
  }
  std::vector<double> best(all.size(), std::numeric_limits<double>::infinity());
  for (int round = 0; round < kRounds; ++round)
    for (size_t i = 0; i < all.size(); ++i)
      best[i] = std::min(best[i], seconds_of(all[i].run, times[i]) /
                                      (all[i].work * static_cast<double>(times[i])));
  return best;
}

// Goals are for AVX2; other paths are measured for comparison.
struct Row {
  std::string target, probe, unit;
  double value = 0;
  std::optional<double> goal;
  bool at_least = false;  // value >= goal is what was asked for, else value <= goal
  bool met() const { return at_least ? value >= *goal : value <= *goal; }
};

struct Report {
  double clock_hz = 0;
  std::vector<Row> rows;
};

// The least time of an FMA over the loops; loops of 128-bit code without FMA count their pairs.
double peak(const std::vector<double>& seconds, size_t loops) {
  return *std::min_element(seconds.begin(), seconds.begin() + static_cast<std::ptrdiff_t>(loops));
}

Status measure(const std::string& name, Report& report) {
  LATHE_TRY(const ir::Target target, ir::parse_target(name));
  LATHE_TRY(const ir::Target avx2, ir::parse_target("avx2"));
  LATHE_TRY(std::vector<Timed> all, fma_loops(target));
  const size_t loops = all.size();
  LATHE_TRY(const std::vector<Timed> clock_loops, fma_loops(avx2));
  LATHE_TRY(const Probe multiply, multiply_probe(target));
  LATHE_TRY(const Probe dot, q4_dot_probe(target));
  LATHE_TRY(const Probe exp, exp_probe(target, false));
  LATHE_TRY(const Probe exp_nonpositive, exp_probe(target, true));
  for (const Probe* probe : {&multiply, &dot, &exp, &exp_nonpositive}) {
    LATHE_CHECK(probe->check());
    all.push_back(probe->timed);
  }
  all.insert(all.end(), clock_loops.begin(), clock_loops.end());
  const std::vector<double> seconds = race(all);
  const size_t clocks = loops + 4;
  // Two 256-bit FMAs a cycle, on every CPU that has them at full width.
  const double hz =
      0.5 / *std::min_element(seconds.begin() + static_cast<std::ptrdiff_t>(clocks), seconds.end());
  report.clock_hz = std::max(report.clock_hz, hz);
  const auto row = [&](const std::string& probe, double value, const std::string& unit, double goal,
                       bool at_least) {
    const bool judged = target.isa == ir::Isa::avx2;
    report.rows.push_back(
        {name, probe, unit, value, judged ? std::optional(goal) : std::nullopt, at_least});
  };
  row(multiply.timed.name, 100 * peak(seconds, loops) / seconds[loops], "% of FMA peak", 97, true);
  row(dot.timed.name, seconds[loops + 1] * hz, "cycles / 32 weights", 2.5, false);
  row(exp.timed.name, seconds[loops + 2] * hz, "cycles / vector", 6, false);
  row(exp_nonpositive.timed.name, seconds[loops + 3] * hz, "cycles / vector", 6, false);
  return {};
}

void print(const Report& report) {
  fmt::print("{}; clock {:.2f} GHz by the FMA loop; one thread, data in L1\n\n",
             support::host().name, report.clock_hz * 1e-9);
  fmt::print("{:<8} {:<22} {:>9} {:<20} {:>8}\n", "target", "probe", "found", "", "goal");
  for (const Row& row : report.rows) {
    fmt::print("{:<8} {:<22} {:>9.2f} {:<20}", row.target, row.probe, row.value, row.unit);
    if (row.goal)
      fmt::print(" {} {:>5} {}", row.at_least ? ">=" : "<=", *row.goal,
                 row.met() ? "met" : "missed");
    fmt::print("\n");
  }
}

void print_json(const Report& report) {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const Row& row : report.rows) {
    nlohmann::ordered_json entry = {
        {"target", row.target}, {"probe", row.probe}, {"value", row.value}, {"unit", row.unit}};
    if (row.goal) {
      entry["goal"] = *row.goal;
      entry["met"] = row.met();
    }
    rows.push_back(std::move(entry));
  }
  const nlohmann::ordered_json document = {
      {"cpu", support::host().name}, {"clock_hz", report.clock_hz}, {"probes", rows}};
  fmt::print("{}\n", document.dump(2));
}

int run(int argc, char** argv) {
  CLI::App app{"Times the probes of the kernel instruction set beside their bounds."};
  bool json = false;
  std::vector<std::string> targets;
  app.add_flag("--json", json, "print one JSON document");
  app.add_option("--target", targets, "instruction paths (default: avx2, and avx512 where it runs)")
      ->check(CLI::IsMember({"avx2", "avx512"}));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (targets.empty()) {
    targets = {"avx2"};
    const auto wide = support::Isa::avx512f | support::Isa::avx512bw | support::Isa::avx512dq |
                      support::Isa::avx512vl;
    if (support::host().isa.contains(wide)) targets.emplace_back("avx512");
  }
  Report report;
  for (const std::string& target : targets) {
    if (const Status status = measure(target, report); !status) {
      fmt::print(stderr, "probes: {}\n", status.error().message);
      return status.error().code == ErrorCode::mismatch ? 1 : 2;
    }
  }
  json ? print_json(report) : print(report);
  return 0;
}

}  // namespace
}  // namespace lathe::bench

int main(int argc, char** argv) { return lathe::bench::run(argc, argv); }
