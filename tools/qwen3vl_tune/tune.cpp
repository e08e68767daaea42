// The tuning command: model to tasks, tasks to a session, results to a table or JSON.
#include <algorithm>

#include <unistd.h>

#include "compiler/family.h"
#include "compiler/sizes.h"
#include "runtime/cpu/thread_pool.h"
#include "runtime/library/forced_knobs.h"
#include "store/store.h"
#include "tools/common/arguments.h"
#include "tools/common/kernel_json.h"
#include "tools/common/layout_text.h"
#include "tools/common/output.h"
#include "tools/common/progress_display.h"
#include "tools/qwen3vl_tune/commands.h"
#include "tools/qwen3vl_tune/model_workload.h"
#include "tools/qwen3vl_tune/pass_summary.h"
#include "tuner/session.h"

namespace lathe::tools {
namespace {

namespace models = compiler::models;

Result<tuner::Effort> parse_effort(const std::string& text) {
  if (text == "quick") return tuner::Effort::quick;
  if (text == "normal") return tuner::Effort::normal;
  if (text == "full") return tuner::Effort::full;
  return fail(ErrorCode::invalid_argument, "--effort: found '{}', expected quick, normal or full",
              text);
}

Result<bool> parse_layouts(const std::string& text) {
  if (text == "choose") return true;
  if (text == "default") return false;
  return fail(ErrorCode::invalid_argument, "--layouts: found '{}', expected choose or default",
              text);
}

// What a session is to tune, and how it is called.
struct Work {
  std::string name;
  std::vector<tuner::Task> tasks;
};

Result<Work> work_of_model(const TuneOptions& options, const ir::Target& target) {
  LATHE_TRY(const ModelWorkload asked, model_workload(options, target));
  LATHE_TRY(const auto kernels, models::model_kernels(asked.model, asked.workload));
  Work work{asked.model.name, {}};
  for (const models::ModelKernel& kernel : kernels) {
    const std::string& family = kernel.problem.family().name;
    if (!options.families.empty() && std::find(options.families.begin(), options.families.end(),
                                               family) == options.families.end()) {
      continue;
    }
    work.tasks.push_back({kernel.problem, kernel.at, kernel.cache, kernel.where,
                          static_cast<double>(kernel.launches), kernel.pass, kernel.part_of,
                          kernel.launches_in});
  }
  return work;
}

// Problems by their lines, and of each family the problem of its example.
Result<Work> work_of_problems(const TuneOptions& options) {
  LATHE_TRY(const compiler::Sizes given, compiler::parse_sizes(options.at));
  Work work;
  const auto add = [&](const std::string& line) -> Status {
    tuner::Task task;
    LATHE_TRY(task.problem, compiler::parse_problem(line));
    compiler::Sizes sizes = given;  // what --at says comes before what the line says
    sizes.merge(compiler::sizes_named_in(line));
    LATHE_TRY(task.at, compiler::complete_sizes(task.problem, sizes));
    task.cache = options.cache;
    task.where = task.problem.family().name;
    work.name += (work.name.empty() ? "" : ", ") + task.problem.line();
    work.tasks.push_back(std::move(task));
    return {};
  };
  for (const std::string& line : options.problems) LATHE_CHECK(add(line));
  for (const std::string& name : options.families) {
    LATHE_TRY(const compiler::Family* family, compiler::find_family(name));
    LATHE_CHECK(add(family->example));
  }
  return work;
}

Result<Work> work_of(const TuneOptions& options, const ir::Target& target) {
  if (options.cache != "cold" && options.cache != "warm") {
    return fail(ErrorCode::invalid_argument, "--cache: found '{}', expected cold or warm",
                options.cache);
  }
  for (const std::string& name : options.families) LATHE_CHECK(compiler::find_family(name));
  if (options.model.empty()) return work_of_problems(options);
  LATHE_TRY(Work work, work_of_model(options, target));
  if (work.tasks.empty()) {
    return fail(ErrorCode::invalid_argument, "--family: {} has no kernel of these families",
                options.model);
  }
  return work;
}

Result<std::string> own_program() {
  char path[4096];
  const ssize_t length = ::readlink("/proc/self/exe", path, sizeof path);
  if (length <= 0 || static_cast<size_t>(length) >= sizeof path)
    return fail(ErrorCode::io_error, "cannot find this program's own file to start workers");
  return std::string(path, static_cast<size_t>(length));
}

std::vector<std::string> row_of(const tuner::TaskResult& result) {
  const std::string problem = result.task.problem.line();
  if (!result.winner)
    return {result.task.where, problem, "-", "-", "-", "-", "-", result.problem_note};
  const store::Winner& winner = *result.winner;
  return {result.task.where,
          problem,
          format_ns(winner.default_ns),
          format_ns(winner.tuned_ns),
          fmt::format("{:.2f}x", winner.speedup),
          fmt::format("{:.0f} %", winner.roofline_fraction * 100),
          winner.bound,
          winner.schedule};
}

LayoutChoice choice_of(const tuner::LayoutResult& result) {
  return {result.candidates.operand, result.candidates.identity, result.layout, result.standings,
          result.decided ? result.why : "the time did not suffice to compare; run again"};
}

void print_table(const tuner::SessionResult& session) {
  std::vector<std::vector<std::string>> rows = {
      {"kernel", "problem", "default", "tuned", "gain", "of roof", "bound by", "schedule"}};
  for (const tuner::TaskResult& result : session.tasks) rows.push_back(row_of(result));
  fmt::print("{}", fit_table(rows, output_columns(), {7, 1, 0}));
  std::vector<LayoutChoice> choices;
  for (const tuner::LayoutResult& result : session.layouts) choices.push_back(choice_of(result));
  if (!choices.empty()) {
    fmt::print("\n{}", fit_table(layout_rows(choices), output_columns(), {3, 2, 0}));
  }
  fmt::print("{}{}", summary_text(session.tasks), layout_gains_text(choices));
}

nlohmann::json spent_json(const tuner::SessionResult& session) {
  const tuner::Spent& spent = session.spent;
  return {{"list", session.listing_s}, {"compile", spent.compile},   {"interpret", spent.interpret},
          {"check", spent.check},      {"operands", spent.operands}, {"time", spent.time},
          {"roofs", spent.roofs}};
}

nlohmann::json to_json(const tuner::SessionResult& session, const std::string& model) {
  nlohmann::json kernels = nlohmann::json::array();
  for (const tuner::TaskResult& result : session.tasks) {
    nlohmann::json entry;
    if (result.winner) {
      entry = kernel_json(result.task.problem, result.task.at, result.key, *result.winner, "exact");
    } else {
      entry = problem_json(result.task.problem, result.task.at);
      entry["error"] = result.problem_note;
    }
    entry["where"] = result.task.where;
    entry["launches"] = result.task.weight;
    kernels.push_back(std::move(entry));
  }
  nlohmann::json document = empty_layouts();
  for (const tuner::LayoutResult& result : session.layouts) {
    nlohmann::json entry = layout_json(choice_of(result));
    entry["decided"] = result.decided;
    document[field_of(*result.candidates.operand)].push_back(std::move(entry));
  }
  document.update({{"host", host_json(support::host())},
                   {"model", model},
                   {"passes", summary_json(summarise(session.tasks))},
                   {"elapsed_s", session.elapsed_s},
                   {"baselines_s", session.baselines_s},
                   {"spent_s", spent_json(session)},
                   {"interrupted", session.interrupted},
                   {"complete", !session.budget_exhausted},
                   {"kernels", std::move(kernels)}});
  return document;
}

}  // namespace

Result<int> tune_command(const CommonOptions& common, const TuneOptions& options,
                         const runtime::Backends& backends) {
  if (common.device != "cpu") {
    return fail(ErrorCode::invalid_argument, "--device: found '{}', expected cpu", common.device);
  }
  if (options.objective == "energy") {
    return fail(ErrorCode::unsupported,
                "--objective: found 'energy', but this version reads no energy counters; use "
                "--objective time");
  }
  if (options.objective != "time") {
    return fail(ErrorCode::invalid_argument, "--objective: found '{}', expected time",
                options.objective);
  }
  tuner::SessionOptions session;
  LATHE_TRY(session.effort, parse_effort(options.effort));
  LATHE_TRY(session.compare_layouts, parse_layouts(options.layouts));
  if (!options.budget.empty()) {
    LATHE_TRY(session.budget, parse_duration(options.budget));
  }
  LATHE_TRY(session.target, runtime::select_target(backends, common.target));
  LATHE_TRY(Work work, work_of(options, session.target.target));
  // A problem names its layout itself.
  if (options.model.empty()) session.compare_layouts = false;
  session.threads = common.threads;
  if (session.threads == 0) {
    LATHE_TRY(session.threads, runtime::default_threads());
  }
  if (session.threads < 0 || session.threads > runtime::kMaxThreads) {
    return fail(ErrorCode::invalid_argument, "--threads: found {}, expected 1..{}", session.threads,
                runtime::kMaxThreads);
  }
  session.deterministic = options.deterministic;
  LATHE_TRY(const std::string program, own_program());
  session.worker_command = {program, "--worker"};

  LATHE_TRY(const std::vector<runtime::ForcedKnob> forced, runtime::forced_knobs());
  if (!forced.empty() && common.db.empty()) {
    return fail(ErrorCode::invalid_argument,
                "{} is set: what is tuned under it would win for every program of this user; name "
                "a store of its own by --db, or unset it",
                runtime::kForceVariable);
  }
  LATHE_TRY(store::Store store, open_store(common, store::OpenMode::read_write));

  if (!common.json) {
    const size_t kernels = work.tasks.size();
    print_note(fmt::format("{} on {}: {} kernel{}, target {}, {} thread{}, store {}\n", work.name,
                           support::host().name, kernels, kernels == 1 ? "" : "s",
                           session.target.target.name, session.threads,
                           session.threads == 1 ? "" : "s", store.path().string()));
  }
  Result<tuner::SessionResult> result = [&] {
    ProgressDisplay display;
    return tuner::run_session(work.tasks, session, store,
                              [&](const tuner::Progress& progress) { display.show(progress); });
  }();
  if (!result) return tl::unexpected(std::move(result).error());

  if (common.json) {
    print_json(to_json(*result, work.name));
  } else {
    print_table(*result);
    print_note(fmt::format("{} in {}{}\n",
                           result->interrupted ? "interrupted; the best so far is kept" : "done",
                           format_seconds(result->elapsed_s),
                           result->budget_exhausted ? "; run again to search on" : ""));
  }
  if (result->interrupted) return kInterrupted;
  const bool all =
      std::all_of(result->tasks.begin(), result->tasks.end(),
                  [](const tuner::TaskResult& task) { return task.winner.has_value(); });
  return all ? kSuccess : kMismatch;
}

}  // namespace lathe::tools
