// How near does a tuning session of limited time come to a full search?
//
//   qwen3vl-tune --model qwen3-vl-2b --effort full --db full.db     times every schedule, once
//   replay collect --db full.db -o records.tsv                      keeps what it found
//   replay run records.tsv --budget 60s                             a session on those times
//   replay compare records/*.tsv                                    strategies beside each other
//   replay distill records/*.tsv -o tuner/prior/experience.txt      what every session begins with
//
// A replayed session is a real one: it chooses, compiles and checks candidates here, in real time.
// Only in place of a kernel's calls it waits as long as the records say that they took, so that
// what it ends with can be held against every other schedule. Exits 1 where a forward pass over any
// number of tokens would be more than 5 % behind.
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>

#include <CLI/CLI.hpp>
#include <unistd.h>

#include <lathe/backends.h>

#include "bench/replay/compare.h"
#include "bench/replay/passes.h"
#include "bench/replay/records.h"
#include "compiler/family.h"
#include "compiler/models/model_kernels.h"
#include "compiler/sizes.h"
#include "support/files.h"
#include "support/interrupt.h"
#include "tuner/session.h"

namespace lathe::bench {
namespace {

namespace models = compiler::models;
using Clock = std::chrono::steady_clock;

constexpr double kAllowed = 1.05;

void wait(double seconds) {
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  while (Clock::now() < end) {
  }
}

/// A worker whose kernels take the recorded time: batch after batch of the schedule's own.
class RecordedTimes {
 public:
  explicit RecordedTimes(const Records& records) : records_(records) {}

  Status operator()(const tuner::Job& job, const tuner::Racer& racer, int64_t repeats) {
    const std::string& problem = racer.kernel->problem.line();
    const auto kernel = records_.find(record_name(problem, job.at, job.cache));
    if (kernel == records_.end())
      return fail(ErrorCode::not_found, "{} at {}: not in the records", problem, job.at);
    const auto space =
        racer.kernel->problem.family().space(racer.kernel->problem, racer.kernel->target);
    const std::string schedule = space.print(racer.kernel->schedule);
    const tuner::TriedSchedule* found = kernel->second.find(schedule);
    if (found == nullptr || found->relative.empty())
      return fail(ErrorCode::not_found, "{}: '{}' has no times in the records", problem, schedule);
    const std::vector<double>& batches = found->relative;
    const double batch = batches[next_[found]++ % batches.size()];
    wait(batch * kernel->second.default_ns * 1e-9 * static_cast<double>(repeats));
    return {};
  }

 private:
  const Records& records_;
  std::map<const tuner::TriedSchedule*, size_t> next_;
};

struct RunOptions {
  std::string records, model = "qwen3-vl-2b", weights = "bf16", strategy = "model";
  double budget_s = 60;
};

Result<std::vector<tuner::Task>> tasks_of(const RunOptions& options, const Records& records,
                                          const ir::Target& target) {
  LATHE_TRY(const models::ModelConfig model, models::load_model(options.model));
  models::Workload workload;
  workload.weights = options.weights;
  workload.target = target;
  LATHE_TRY(const auto kernels, models::model_kernels(model, workload));
  RecordedPasses passes = recorded_passes(kernels, records);
  if (passes.tasks.empty()) {
    return fail(ErrorCode::not_found, "{}: holds no whole pass of {}; {} is missing, for example",
                options.records, options.model,
                passes.missing_kernel.empty() ? "every family" : passes.missing_kernel);
  }
  for (const std::string& pass : passes.missing_passes)
    fmt::print("{}: not in these records\n", pass);
  for (const std::string& family : passes.missing_families)
    fmt::print("{}: not in these records, left out of every pass\n", family);
  return std::move(passes.tasks);
}

// What the records beside this one say of other machines: a session must not know its own result.
Result<std::string> experience_of_others(const std::filesystem::path& path) {
  LATHE_TRY(const RecordFile own, load_file(path));
  std::vector<RecordFile> others;
  for (const auto& entry : std::filesystem::directory_iterator(
           path.has_parent_path() ? path.parent_path() : std::filesystem::path("."))) {
    if (entry.path().extension() != ".tsv") continue;
    LATHE_TRY(RecordFile other, load_file(entry.path()));
    if (other.host != own.host) others.push_back(std::move(other));
  }
  return distill(others);
}

Result<int> run(const RunOptions& options, const std::string& program) {
  LATHE_TRY(const Records records, load(options.records));
  if (records.empty())
    return fail(ErrorCode::invalid_argument, "{}: holds no kernel", options.records);
  const runtime::Backends backends = default_backends();
  tuner::SessionOptions session;
  session.threads = records.begin()->second.threads;
  LATHE_TRY(session.target, runtime::select_target(backends, records.begin()->second.target));
  LATHE_TRY(const std::vector<tuner::Task> tasks,
            tasks_of(options, records, session.target.target));
  session.compare_layouts = false;  // the records are of one for each weight
  session.budget = std::chrono::duration<double>(options.budget_s);
  session.worker_command = {program, "worker", options.records};
  LATHE_TRY(const std::string experience, experience_of_others(options.records));
  session.experience = experience;
  LATHE_TRY(session.strategy, tuner::parse_strategy(options.strategy));

  const std::filesystem::path path =
      std::filesystem::temp_directory_path() / fmt::format("lathe-replay-{}.db", ::getpid());
  Result<tuner::SessionResult> result = [&]() -> Result<tuner::SessionResult> {
    LATHE_TRY(store::Store store, store::Store::open(path));
    return tuner::run_session(tasks, session, store, [](const tuner::Progress& progress) {
      std::fprintf(stderr, "\r%zu/%zu kernels, %zu trials, %.0f s ", progress.tasks_done,
                   progress.tasks, progress.trials_done, progress.elapsed_s);
    });
  }();
  for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::remove(path.string() + suffix);
  if (!result) return tl::unexpected(std::move(result).error());

  fmt::print("\n{:>8} {:>8} {:>8} {:>7}  {}\n", "default", "session", "full", "points", "kernel");
  std::vector<std::pair<std::string, std::array<double, 3>>> passes;  // default, session, full
  for (const tuner::TaskResult& task : result->tasks) {
    const std::string name =
        record_name(task.task.problem.line(), compiler::print(task.task.at), task.task.cache);
    const RecordedKernel& kernel = records.at(name);
    const std::string chosen = task.winner ? task.winner->schedule : kernel.default_schedule;
    const double scale = kernel.default_ns * task.task.weight;
    const tuner::TriedSchedule* found = kernel.find(chosen);
    if (found == nullptr)
      return fail(ErrorCode::internal, "{}: '{}' won without a time", name, chosen);
    const double times[3] = {kernel.schedules.at(kernel.default_schedule).median, found->median,
                             kernel.schedules.at(kernel.winner).median};
    if (passes.empty() || passes.back().first != task.task.pass)
      passes.push_back({task.task.pass, {}});
    for (size_t i = 0; i < 3; ++i) passes.back().second[i] += times[i] * scale;
    fmt::print("{:>8.3f} {:>8.3f} {:>8.3f} {:>7}  {}\n", times[0], times[1], times[2],
               kernel.schedules.size(), name);
  }
  double behind = 0, logarithms = 0;
  for (const auto& [pass, sums] : passes) {
    logarithms += std::log(sums[1] / sums[2]);
    fmt::print("{}: {:.3f} of the full search's time (defaults {:.3f})\n", pass, sums[1] / sums[2],
               sums[0] / sums[2]);
    behind = std::max(behind, sums[1] / sums[2]);
  }
  fmt::print("geometric mean of the passes: {:.3f}\n",
             std::exp(logarithms / static_cast<double>(std::max<size_t>(passes.size(), 1))));
  fmt::print("{:.1f} s for {} kernels, defaults after {:.1f} s\n", result->elapsed_s, tasks.size(),
             result->baselines_s);
  return behind <= kAllowed ? 0 : 1;
}

// Every strategy on every record, each held out of the experience that the model begins with.
Result<int> compare_command(const std::vector<std::string>& files,
                            const std::vector<double>& fractions,
                            const std::vector<std::string>& names) {
  std::vector<tuner::StrategyKind> kinds;
  for (const std::string& name : names) {
    LATHE_TRY(const tuner::StrategyKind kind, tuner::parse_strategy(name));
    kinds.push_back(kind);
  }
  std::vector<RecordFile> records;
  for (const std::string& file : files) {
    LATHE_TRY(RecordFile one, load_file(file));
    records.push_back(std::move(one));
  }
  const runtime::Backends backends = default_backends();
  fmt::print("{:<34} {:>8} {:>8} {:>8}", "geometric mean of chosen / best", "default", "trials",
             "");
  for (const tuner::StrategyKind kind : kinds) fmt::print(" {:>10}", tuner::to_string(kind));
  fmt::print("\n");
  for (const RecordFile& judged : records) {
    for (const double fraction : fractions) {
      fmt::print("{:<34}", judged.label);
      bool first = true;
      for (const tuner::StrategyKind kind : kinds) {
        LATHE_TRY(const Comparison found, compare(kind, judged, records, fraction, backends));
        if (first)
          fmt::print(" {:>8.3f} {:>8} {:>7.0f}%", found.of_default, found.trials, fraction * 100);
        first = false;
        fmt::print(" {:>10.3f}", found.chosen);
        std::fflush(stdout);
      }
      fmt::print("\n");
    }
  }
  return 0;
}

Result<int> distill_command(const std::vector<std::string>& files, const std::string& out) {
  std::vector<RecordFile> records;
  for (const std::string& file : files) {
    LATHE_TRY(RecordFile one, load_file(file));
    records.push_back(std::move(one));
  }
  LATHE_CHECK(support::write_file(out, distill(records)));
  return 0;
}

Result<int> collect_command(const std::string& db, const std::string& out) {
  store::StoreOptions options;
  options.mode = store::OpenMode::read_only;
  LATHE_TRY(store::Store store, store::Store::open(db, options));
  LATHE_TRY(const Records records, collect(store));
  LATHE_CHECK(save(records, out));
  size_t schedules = 0;
  for (const auto& [name, kernel] : records) schedules += kernel.schedules.size();
  fmt::print("{}: {} kernels, {} schedules\n", out, records.size(), schedules);
  return 0;
}

int main_of(int argc, char** argv) {
  CLI::App app("Replays a tuning session on the records of a full search.", "replay");
  RunOptions options;
  std::string db, out;
  CLI::App* collect_app = app.add_subcommand("collect", "writes a store's trials as records");
  collect_app->add_option("--db", db, "the store of a full search")->required();
  collect_app->add_option("-o", out, "the records")->required();
  CLI::App* run_app = app.add_subcommand("run", "a session on recorded times");
  run_app->add_option("records", options.records, "what collect wrote")->required();
  run_app->add_option("--model", options.model, "as for qwen3vl-tune")->capture_default_str();
  run_app->add_option("--weights", options.weights, "as for qwen3vl-tune")->capture_default_str();
  run_app->add_option("--strategy", options.strategy, "exhaustive, random, local or model")
      ->capture_default_str();
  run_app->add_option("--budget", options.budget_s, "seconds")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  std::vector<std::string> files;
  std::vector<double> fractions = {0.02, 0.05, 0.1, 0.2};
  CLI::App* compare_app =
      app.add_subcommand("compare", "search strategies beside each other on recorded times");
  compare_app->add_option("records", files, "what collect wrote, of several machines")->required();
  compare_app->add_option("--fractions", fractions, "of a full search's trials")
      ->capture_default_str()
      ->delimiter(',');
  std::vector<std::string> names = {"exhaustive", "random", "local", "model"};
  compare_app->add_option("--strategies", names, "which")->capture_default_str()->delimiter(',');
  CLI::App* distill_app =
      app.add_subcommand("distill", "records as the experience that every session begins with");
  distill_app->add_option("records", files, "what collect wrote, of several machines")->required();
  distill_app->add_option("-o", out, "the experience")->required();
  CLI::App* worker = app.add_subcommand("worker", "how the program starts its own workers");
  worker->group("");
  worker->add_option("records", options.records)->required();
  app.require_subcommand(1, 1);
  CLI11_PARSE(app, argc, argv);

  Result<int> result = 0;
  if (worker->parsed()) {
    const auto records = load(options.records);
    if (records) return tuner::worker_main(default_backends(), RecordedTimes(*records));
    result = tl::unexpected(records.error());
  } else if (collect_app->parsed()) {
    result = collect_command(db, out);
  } else if (compare_app->parsed()) {
    result = compare_command(files, fractions, names);
  } else if (distill_app->parsed()) {
    result = distill_command(files, out);
  } else {
    support::install_interrupt_handlers();
    result = run(options, std::filesystem::read_symlink("/proc/self/exe").string());
  }
  if (result) return *result;
  std::fprintf(stderr, "replay: %s\n", result.error().message.c_str());
  return 2;
}

}  // namespace
}  // namespace lathe::bench

int main(int argc, char** argv) { return lathe::bench::main_of(argc, argv); }
