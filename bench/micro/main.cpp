// Warm fetch, emission of every family's default kernel, and a launch on one row.
#include <benchmark/benchmark.h>

#include <lathe/lathe.h>

#include "codegen/backend.h"
#include "compiler/family.h"

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
