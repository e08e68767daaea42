// Warm fetch, look-up among many records, emission of every family's default kernel, and a launch
// on one row.
#include <filesystem>

#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <unistd.h>

#include <lathe/lathe.h>

#include "codegen/backend.h"
#include "compiler/family.h"
#include "compiler/sizes.h"
#include "runtime/library/choose_schedule.h"
#include "support/hardware.h"

namespace {

lathe::Library& library() {
  static lathe::Library opened = [] {
    lathe::LibraryOptions options;
    options.store = "none";
    options.threads = 1;
    return *lathe::Library::open(options);
  }();
  return opened;
}

void warm_fetch(benchmark::State& state) {
  const lathe::RmsNorm norm{.width = 2048, .residual = true, .rows = 512};
  if (!library().fetch(norm)) state.SkipWithError("the kernel does not compile");
  for (auto _ : state) benchmark::DoNotOptimize(library().fetch(norm));
}
BENCHMARK(warm_fetch);

void warm_fetch_by_line(benchmark::State& state) {
  for (auto _ : state)
    benchmark::DoNotOptimize(library().fetch_problem("silu rows=512 width=2048"));
}
BENCHMARK(warm_fetch_by_line);

void launch_one_row(benchmark::State& state) {
  const auto silu = library().fetch(lathe::Silu{.width = 16, .rows = 1});
  alignas(64) float x[16] = {}, y[16];
  for (auto _ : state)
    benchmark::DoNotOptimize(
        (*silu)({lathe::TensorView(x, {1, 16})}, {lathe::TensorView(y, {1, 16})}));
}
BENCHMARK(launch_one_row);

void open_library(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(lathe::Library::open());
}
BENCHMARK(open_library)->Unit(benchmark::kMicrosecond);

// A store with `count` winners of softmax at that many widths, those of warm operands, in a folder
// of its own that goes with it.
class RecordedWidths {
 public:
  explicit RecordedWidths(int64_t count)
      : folder_(std::filesystem::temp_directory_path() / fmt::format("lathe-micro-{}", ::getpid())),
        target_(*lathe::ir::parse_target("sse")) {
    std::filesystem::create_directory(folder_);
    store_.emplace(*lathe::store::Store::open(folder_ / "store.db"));
    (void)store_->record_host("cpu", lathe::support::host_identity(), "this");
    lathe::store::Winner winner;
    winner.verified = "everything";
    for (int64_t width = 1; width <= count; ++width) {
      const auto recorded = problem(width);
      winner.schedule = recorded.family()
                            .space(recorded, target_)
                            .print(recorded.family().space(recorded, target_).default_schedule());
      (void)store_->record_winner(
          lathe::runtime::record_key(recorded, *lathe::compiler::complete_sizes(recorded), target_,
                                     {.cache = "warm"}),
          winner);
    }
  }
  ~RecordedWidths() {
    store_.reset();
    std::filesystem::remove_all(folder_);
  }
  RecordedWidths(const RecordedWidths&) = delete;
  RecordedWidths& operator=(const RecordedWidths&) = delete;

  lathe::runtime::ScheduleChoice choose(int64_t width) {
    return *lathe::runtime::choose_schedule(problem(width), target_, {}, *store_);
  }

 private:
  static lathe::compiler::Problem problem(int64_t width) {
    return *lathe::compiler::parse_problem(fmt::format("softmax rows=8 width={}", width));
  }

  std::filesystem::path folder_;
  lathe::ir::Target target_;
  std::optional<lathe::store::Store> store_;
};

// How a fetch that compiles finds its schedule: the problem's own record, and where there is none
// that of the nearest.
void look_up(benchmark::State& state) {
  RecordedWidths records(state.range(0));
  const int64_t width = state.range(0) / 2 + (state.range(1) == 0 ? 0 : state.range(0));
  state.SetLabel(state.range(1) == 0 ? "own record" : "nearest of others");
  for (auto _ : state) benchmark::DoNotOptimize(records.choose(width));
}
BENCHMARK(look_up)
    ->ArgNames({"records", "others"})
    ->ArgsProduct({{1000, 100000}, {0, 1}})
    ->Unit(benchmark::kMicrosecond);

// Family `index`'s example problem with its default schedule: machine code from a built program.
void emit(benchmark::State& state) {
  const auto& family = *lathe::compiler::catalogue()[static_cast<size_t>(state.range(0))];
  const auto problem = lathe::compiler::parse_problem(family.example);
  const auto backend = lathe::x86_backend();
  const auto target = backend->target("avx2", "");
  const auto plan =
      family.build(*problem, family.space(*problem, *target).default_schedule(), *target);
  state.SetLabel(family.name);
  for (auto _ : state)
    for (const auto& program : plan->programs) benchmark::DoNotOptimize(backend->compile(program));
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::RegisterBenchmark("emit", emit)
      ->DenseRange(0, static_cast<int>(lathe::compiler::catalogue().size()) - 1)
      ->Unit(benchmark::kMicrosecond);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
