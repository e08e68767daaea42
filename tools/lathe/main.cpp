// lathe: the compiler driver. Runs, checks and prints graphs; emits and times kernels; lists
// families.
#include <algorithm>
#include <exception>

#include <CLI/CLI.hpp>

#include <lathe/backends.h>

#include "support/interrupt.h"
#include "tools/common/output.h"
#include "tools/lathe/commands.h"

namespace {

using lathe::ErrorCode;
using lathe::Result;
using namespace lathe::tools;

constexpr const char* kProgram = "lathe";

lathe::runtime::Backends linked_backends() {
  lathe::runtime::Backends backends = lathe::default_backends();
#if LATHE_HAS_CODEGEN_LLVM
  backends.push_back(lathe::llvm_backend());
#endif
  return backends;
}

// Before the options are parsed, and where they are not.
bool wants_json(int argc, char** argv) {
  return std::any_of(argv + 1, argv + argc,
                     [](const char* text) { return std::string_view(text) == "--json"; });
}

int run(int argc, char** argv) {
  DriverOptions driver;
  RunOptions run_options;
  EmitOptions emit_options;
  BenchOptions bench_options;
  std::string graph, after, sizes;

  CLI::App app(
      "The kernel compiler's driver: runs, checks and prints graphs, emits and times kernels.",
      kProgram);
  app.fallthrough();
  app.add_flag("--json", driver.json, "print one JSON document on standard output");
  app.require_subcommand(1);
  const auto add_driver_options = [&](CLI::App* command) {
    command->add_option("--device", driver.device, "cpu")->capture_default_str();
    command->add_option(
        "--target", driver.target,
        "reference, interpret, scalar, sse, avx2, avx512 or llvm (default: the widest)");
    command->add_option("--cpu", driver.cpu,
                        "a named machine to emit for, such as haswell or cortex-a76");
    command->add_option("--threads", driver.threads, "threads (default: the physical cores)");
    command->add_option("--schedule", driver.schedule, "knobs, such as unroll=2,stream=on");
    command->add_option("--db", driver.db,
                        "the store of tuned schedules, which is only read, or none (default: the "
                        "one in the user's cache folder)");
  };

  CLI::App* run = app.add_subcommand("run", "runs a graph on .npy files");
  run->add_option("graph", run_options.graph, "a .lir file")->required();
  // One each: the graph may stand behind them.
  run->add_option("--in", run_options.in, "NAME=FILE.npy for each input (bf16 as uint16 bits)")
      ->allow_extra_args(false);
  run->add_option("--out", run_options.out, "NAME=FILE.npy for outputs to keep")
      ->allow_extra_args(false);
  run->add_flag("--strict", run_options.strict,
                "refuse a graph with nodes that only the reference interpreter can run");
  add_driver_options(run);
  CLI::App* check = app.add_subcommand("check", "parses and verifies a graph");
  check->add_option("graph", graph, "a .lir file")->required();
  CLI::App* print = app.add_subcommand("print", "prints a graph, or what a pass makes of it");
  print->add_option("graph", graph, "a .lir file")->required();
  print->add_option("--after", after, "a pass: select_kernels, fuse_elementwise, …, or all");
  print->add_option("--at", sizes, "sizes of the named dimensions for --after, such as tokens=512");
  CLI::App* emit = app.add_subcommand("emit", "what a problem's kernel becomes");
  emit->add_option("--problem", emit_options.problem, "a problem line; lathe catalog has examples")
      ->required();
  emit->add_option("--as", emit_options.as, "program, plan, asm, llvm, object or artifact")
      ->capture_default_str();
  emit->add_option(
      "--out", emit_options.out,
      "the file to write it to; an object needs one, an artifact has its header printed "
      "without");
  add_driver_options(emit);
  CLI::App* bench =
      app.add_subcommand("bench", "times a problem's kernel against this machine's roofs");
  CLI::Option* problem = bench->add_option("--problem", bench_options.problem, "a problem line");
  bench
      ->add_option("--artifact", bench_options.artifact,
                   "a file of lathe emit --as artifact, to be timed in place of a problem's kernel")
      ->excludes(problem);
  bench->add_option("--at", bench_options.at, "sizes, such as rows=512");
  bench->add_option("--cache", bench_options.cache, "cold or warm")->capture_default_str();
  bench->add_option("--seconds", bench_options.seconds, "time to spend")->capture_default_str();
  add_driver_options(bench);
  CLI::App* catalog =
      app.add_subcommand("catalog", "families, targets, knobs, an example of each family");

  const bool json = wants_json(argc, argv);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    const std::vector<std::string> extra = app.remaining();
    if (app.get_subcommands().empty() && !extra.empty() && extra.front()[0] != '-') {
      return report_error(kProgram,
                          {ErrorCode::invalid_argument,
                           fmt::format("unknown command '{}'; expected run, check, print, emit, "
                                       "bench or catalog",
                                       extra.front())},
                          json);
    }
    return report_error(
        kProgram, {ErrorCode::invalid_argument, std::string(error.what()) + "; see lathe --help"},
        json);
  }
  lathe::support::exit_when_interrupted();
  const lathe::runtime::Backends backends = linked_backends();
  Result<int> result = 0;
  if (run->parsed()) result = run_command(driver, run_options, backends);
  if (check->parsed()) result = check_command(driver, graph);
  if (print->parsed()) result = print_command(driver, graph, after, sizes);
  if (emit->parsed()) result = emit_command(driver, emit_options, backends);
  if (bench->parsed()) result = bench_command(driver, bench_options, backends);
  if (catalog->parsed()) result = catalog_command(driver, backends);
  return result ? *result : report_error(kProgram, result.error(), driver.json);
}

}  // namespace

int main(int argc, char** argv) {
  lathe::tools::open_standard_descriptors();
  lathe::tools::print_whole_lines();
  int status = 0;
  try {
    status = run(argc, argv);
  } catch (const std::exception& exception) {
    status =
        report_error(kProgram, {ErrorCode::internal, exception.what()}, wants_json(argc, argv));
  }
  return lathe::tools::check_output(kProgram, status);
}
