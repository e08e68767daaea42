// bound: prints the cycles a vector that a listing needs at least on a CPU, and this CPU's clock.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "bench/listings/listing.h"
#include "support/hardware.h"

namespace {

// Cycles a nanosecond now: the best of some runs of dependent multiplications, three cycles each on
// every x86-64 CPU of the port tables. 0 elsewhere.
double clock_ghz() {
#if defined(__x86_64__)
  constexpr int kTrips = 20'000, kChain = 8, kLatency = 3;
  double best = 0;
  for (int round = 0; round < 50; ++round) {
    uint64_t value = 3;
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < kTrips; ++i) {
      asm volatile(
          "imul %0, %0\n\timul %0, %0\n\timul %0, %0\n\timul %0, %0\n\t"
          "imul %0, %0\n\timul %0, %0\n\timul %0, %0\n\timul %0, %0"
          : "+r"(value));
    }
    const std::chrono::duration<double, std::nano> time = std::chrono::steady_clock::now() - begin;
    best = std::max(best, kTrips * kChain * kLatency / time.count());
  }
  return best;
#else
  return 0;
#endif
}

int run(int argc, char** argv) {
  CLI::App app{"The instruction bound of a listing: cycles a vector of eight lanes."};
  std::vector<std::string> files;
  std::string cpu = lathe::support::host().microarchitecture;
  bool json = false;
  app.add_option("--listing", files, "listings (bench/listings/*.s)")->required();
  app.add_option("--cpu", cpu, "micro-architecture (default: this host's)");
  app.add_flag("--json", json, "print one JSON document");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  nlohmann::ordered_json document = {
      {"cpu", cpu}, {"clock_ghz", clock_ghz()}, {"cycles_per_vector", nlohmann::json::object()}};
  for (const std::string& file : files) {
    const auto cycles = lathe::bench::listing_cycles(file, cpu);
    if (!cycles) {
      fmt::print(stderr, "bound: {}\n", cycles.error().message);
      return 2;
    }
    if (json)
      document["cycles_per_vector"][file] = *cycles;
    else
      fmt::print("{:6.2f} cycles a vector on {}  {}\n", *cycles, cpu, file);
  }
  if (json) fmt::print("{}\n", document.dump(2));
  return 0;
}

}  // namespace

int main(int argc, char** argv) { return run(argc, argv); }
