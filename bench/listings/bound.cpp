// bound: prints the cycles a vector that a listing needs at least on a CPU.
#include <cstdio>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "bench/listings/listing.h"
#include "support/hardware.h"

namespace {

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
  nlohmann::ordered_json document = {{"cpu", cpu}, {"cycles_per_vector", nlohmann::json::object()}};
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
