// emit, bench and catalog: commands on problems.
#include <algorithm>
#include <cstdio>
#include <memory>

#include "compiler/family.h"
#include "compiler/sizes.h"
#include "ir/plan/plan.h"
#include "ir/program/printer.h"
#include "runtime/artifact/artifact.h"
#include "runtime/cpu/thread_pool.h"
#include "runtime/launch/compiled_kernel.h"
#include "runtime/library/choose_schedule.h"
#include "store/store.h"
#include "support/files.h"
#include "support/log.h"
#include "tools/common/arguments.h"
#include "tools/common/kernel_json.h"
#include "tools/common/output.h"
#include "tools/lathe/commands.h"
#include "tuner/race.h"
#include "tuner/roofline.h"
#include "tuner/statistics.h"
#if LATHE_HAS_CODEGEN_LLVM
#include "codegen/llvm/backend.h"
#endif

namespace lathe::tools {
namespace {

// --schedule over the default; without it what the store knows, when a kernel is to run here.
Result<runtime::ScheduleChoice> choose(const DriverOptions& driver,
                                       const compiler::Problem& problem,
                                       const runtime::SelectedTarget& selected, bool ask_store) {
  const compiler::SearchSpace space = problem.family().space(problem, selected.target);
  if (!driver.schedule.empty()) {
    auto given = space.parse(driver.schedule);
    if (!given) return fail_with_context("--schedule", std::move(given).error());
    compiler::Schedule schedule = std::move(*given);
    return runtime::ScheduleChoice{std::move(schedule), Match::default_, "given by --schedule"};
  }
  if (ask_store && driver.db != "none") {
    // As in a fetch, a store that cannot be read is no reason not to run; nor is that the cache
    // folder has none yet a reason to say so.
    Result<store::Store> store =
        store::Store::open_chosen(driver.db, {.mode = store::OpenMode::read_only});
    const bool is_expected =
        !store && driver.db.empty() && store.error().code == ErrorCode::not_found;
    runtime::RecordContext context;
    context.threads = driver.threads;
    if (context.threads == 0) {
      LATHE_TRY(context.threads, runtime::default_threads());
    }
    Error error;
    if (store) {
      auto choice = runtime::choose_schedule(problem, selected.target, context, *store);
      if (choice) return choice;
      error = std::move(choice).error();
    } else {
      error = std::move(store).error();
    }
    if (!is_expected) support::log_warn("{}; using the default schedule", error.message);
  }
  // Where nothing fits, the stage that refuses the default says why.
  return runtime::ScheduleChoice{
      runtime::buildable_default(problem, selected).value_or(space.default_schedule()),
      Match::default_, "the family's default"};
}

void show(const DriverOptions& driver, const compiler::Problem& problem, const ir::Target& target,
          const std::string& schedule, const std::string& text) {
  if (driver.json) {
    print_json({{"problem", problem.line()},
                {"target", runtime::target_identity(target)},
                {"schedule", schedule},
                {"text", text}});
  } else {
    std::fwrite(text.data(), 1, text.size(), stdout);
  }
}

}  // namespace

Result<runtime::SelectedTarget> driver_target(const DriverOptions& driver,
                                              const runtime::Backends& backends, bool must_run) {
  if (driver.device != "cpu")
    return fail(ErrorCode::invalid_argument, "--device: found '{}', expected cpu", driver.device);
  if (driver.cpu.empty() && must_run) return runtime::select_target(backends, driver.target);
  if (driver.cpu.empty() && driver.target.empty()) return runtime::select_target(backends, "");
  if (!driver.cpu.empty() && must_run) {
    return fail(ErrorCode::invalid_argument,
                "--cpu {} is for lathe emit: kernels run on this machine only", driver.cpu);
  }
  const std::string name = driver.target.empty() ? "llvm" : driver.target;
  const auto path = ir::parse_target(name);
  if (!path && name != "llvm") return tl::unexpected(path.error());
  Error refusal{ErrorCode::not_found, fmt::format("no code generator makes target '{}'", name)};
  for (const auto& backend : backends) {
    auto target = backend->target(name, driver.cpu);
    if (target) return runtime::SelectedTarget{std::move(*target), backend};
    // What counts is why the backend of that path refuses the machine.
    if (path ? backend->emits(*path) : backend->name() == name) refusal = std::move(target).error();
  }
  return tl::unexpected(std::move(refusal));
}

namespace {

// What the code generator is told.
Result<std::string> emitted_source(const std::string& form, const ir::plan::Plan& plan) {
  if (form == "plan") return ir::plan::print(plan);
  std::string text;
  for (const ir::program::Program& program : plan.programs) {
    if (form == "program") {
      text += ir::program::print(program);
      continue;
    }
#if LATHE_HAS_CODEGEN_LLVM
    LATHE_TRY(const std::string ir_text, codegen::llvm::emit_llvm_ir(program));
    text += ir_text;
#else
    return fail(ErrorCode::unsupported, "--as llvm: this build has no LLVM");
#endif
  }
  return text;
}

// LLVM disassembles for every backend.
Result<std::string> listing(const codegen::KernelImage& image, const codegen::Backend& own,
                            const runtime::Backends& backends) {
  Result<std::string> text = own.disassemble(image);
  for (const auto& backend : backends)
    if (!text) text = backend->disassemble(image);
  return text;
}

// What `--as` asks for.
Result<std::string> emitted(const EmitOptions& options, const compiler::Problem& problem,
                            const runtime::SelectedTarget& selected,
                            const compiler::Schedule& schedule, const runtime::Backends& backends) {
  if (options.as == "plan" || options.as == "program" || options.as == "llvm") {
    LATHE_TRY(const ir::plan::Plan plan,
              problem.family().build(problem, schedule, selected.target));
    LATHE_CHECK(ir::plan::verify(plan));
    return emitted_source(options.as, plan);
  }
  auto built = runtime::build_artifact(problem, schedule, selected.target, *selected.backend);
  if (!built)
    return tl::unexpected(
        runtime::with_remedy(problem, selected, schedule, std::move(built).error()));
  const runtime::Artifact artifact = std::move(*built);
  if (options.as == "artifact") {
    if (options.out.empty()) return runtime::print(artifact);
    return runtime::write_artifact(artifact);
  }
  std::string text;
  for (const codegen::KernelImage& image : artifact.images) {
    if (options.as == "asm") {
      LATHE_TRY(const std::string each, listing(image, *selected.backend, backends));
      text += each;
    } else if (image.format == codegen::KernelImage::Format::object) {
      text.append(reinterpret_cast<const char*>(image.code.data()), image.code.size());
    } else {
      return fail(ErrorCode::unsupported,
                  "--as object: target {} gives flat code; use --target llvm, with --cpu for "
                  "another machine",
                  selected.target.name);
    }
  }
  return text;
}

// The kernel that is timed, its schedule, and how that was found.
struct Timed {
  std::shared_ptr<const runtime::CompiledKernel> kernel;
  std::string schedule, match;
};

Result<Timed> timed_artifact(const std::string& path, const runtime::Backends& backends) {
  LATHE_TRY(const std::string bytes, support::read_file(path, runtime::kMostArtifactBytes));
  auto artifact = runtime::read_artifact(bytes);
  if (!artifact) return fail_with_context(path, std::move(artifact).error());
  const codegen::Backend* loader = runtime::object_loader(*artifact, backends);
  auto kernel = runtime::load_artifact(std::move(*artifact), loader);
  if (!kernel) return fail_with_context(path, std::move(kernel).error());
  // As numbers: this Lathe's space may have other names for them.
  std::string schedule;
  for (const auto& [knob, value] : (*kernel)->schedule.knobs())
    schedule += fmt::format("{}{}={}", schedule.empty() ? "" : " ", knob, value);
  return Timed{std::move(*kernel), std::move(schedule), "artifact"};
}

Result<Timed> timed_problem(const DriverOptions& driver, const compiler::Problem& problem,
                            const runtime::SelectedTarget& selected) {
  LATHE_TRY(runtime::ScheduleChoice choice, choose(driver, problem, selected, true));
  std::shared_ptr<const runtime::CompiledKernel> kernel;
  if (driver.schedule.empty()) {
    LATHE_TRY(kernel, runtime::compile_chosen(problem, selected, choice));
  } else {
    auto compiled =
        runtime::compile_kernel(problem, choice.schedule, selected.target, *selected.backend);
    if (!compiled)
      return tl::unexpected(
          runtime::with_remedy(problem, selected, choice.schedule, std::move(compiled).error()));
    kernel = std::move(*compiled);
  }
  return Timed{std::move(kernel),
               problem.family().space(problem, selected.target).print(choice.schedule),
               std::string(to_string(choice.match))};
}

Result<Timed> timed_kernel(const DriverOptions& driver, const BenchOptions& options,
                           const runtime::SelectedTarget& selected,
                           const runtime::Backends& backends) {
  if (options.artifact.empty() && options.problem.empty())
    return fail(ErrorCode::invalid_argument, "found no --problem and no --artifact; give one");
  if (options.artifact.empty()) {
    LATHE_TRY(const compiler::Problem problem, compiler::parse_problem(options.problem));
    return timed_problem(driver, problem, selected);
  }
  if (!driver.schedule.empty())
    return fail(ErrorCode::invalid_argument, "--schedule: an artifact has its own");
  return timed_artifact(options.artifact, backends);
}

}  // namespace

Result<int> emit_command(const DriverOptions& driver, const EmitOptions& options,
                         const runtime::Backends& backends) {
  static const std::vector<std::string> forms = {"program", "plan",   "asm",
                                                 "llvm",    "object", "artifact"};
  if (std::find(forms.begin(), forms.end(), options.as) == forms.end()) {
    return fail(ErrorCode::invalid_argument, "--as: found '{}', expected {}", options.as,
                fmt::join(forms, ", "));
  }
  LATHE_TRY(const compiler::Problem problem, compiler::parse_problem(options.problem));
  LATHE_TRY(const runtime::SelectedTarget selected, driver_target(driver, backends, false));
  LATHE_TRY(const runtime::ScheduleChoice choice, choose(driver, problem, selected, false));
  LATHE_TRY(const std::string text, emitted(options, problem, selected, choice.schedule, backends));
  const std::string schedule =
      problem.family().space(problem, selected.target).print(choice.schedule);
  if (options.as == "object" || !options.out.empty()) {
    if (options.out.empty())
      return fail(ErrorCode::invalid_argument, "--as object: give --out FILE.o");
    LATHE_CHECK(support::write_file(options.out, text));
    if (driver.json) {
      print_json({{"problem", problem.line()},
                  {"target", selected.target.name},
                  {"schedule", schedule},
                  {"out", options.out},
                  {"bytes", text.size()}});
    }
    return kSuccess;
  }
  show(driver, problem, selected.target, schedule, text);
  return kSuccess;
}

Result<int> bench_command(const DriverOptions& driver, const BenchOptions& options,
                          const runtime::Backends& backends) {
  if (options.cache != "cold" && options.cache != "warm") {
    return fail(ErrorCode::invalid_argument, "--cache: found '{}', expected cold or warm",
                options.cache);
  }
  if (!(options.seconds > 0) || options.seconds > 3600)
    return fail(ErrorCode::invalid_argument, "--seconds: found {}, expected up to 3600",
                options.seconds);
  LATHE_TRY(const runtime::SelectedTarget selected, driver_target(driver, backends, true));
  LATHE_TRY(const Timed timed, timed_kernel(driver, options, selected, backends));
  const compiler::Problem& problem = timed.kernel->problem;
  LATHE_TRY(compiler::Sizes given, compiler::parse_sizes(options.at));
  given.merge(compiler::sizes_named_in(options.problem));  // what --at says comes first
  LATHE_TRY(const compiler::Sizes at, compiler::complete_sizes(problem, given));
  int threads = driver.threads;
  if (threads == 0) {
    LATHE_TRY(threads, runtime::default_threads());
  }
  LATHE_TRY(runtime::ThreadPool pool, runtime::ThreadPool::create(threads));
  std::vector<tuner::Racer> racers(1);
  racers[0].kernel = timed.kernel;
  tuner::SharedInputs inputs;
  LATHE_TRY(const tuner::RaceBuffers buffers,
            tuner::RaceBuffers::create(*racers[0].kernel, at, options.cache == "cold", inputs));
  tuner::RaceOptions race_options;
  race_options.seconds = options.seconds;
  race_options.max_rounds = 1 << 20;
  race_options.stop_when_decided = false;
  LATHE_TRY(tuner::ColdCaches caches, tuner::ColdCaches::create(pool));
  tuner::ColdCaches* cold = options.cache == "cold" ? &caches : nullptr;
  LATHE_CHECK(tuner::race(racers, buffers, cold, pool, race_options, [](size_t) {}));

  const compiler::Work work = problem.family().work(problem, at);
  const double bytes = work.bytes_read + work.bytes_written;
  const double written = bytes > 0 ? work.bytes_written / bytes : 0;
  const auto footprint =
      tuner::Footprint::of_kernel(bytes, written, options.cache == "cold", threads);
  LATHE_TRY(const auto meter, tuner::RoofMeter::create(selected, pool));
  LATHE_TRY(const tuner::Roofs roofs,
            meter->measure(footprint, &caches, std::min(options.seconds, 1.0)));
  const auto& batches = racers[0].batches_ns;
  const double median_ns = tuner::median(batches);
  const double gflops = work.flops / median_ns, rate = bytes / median_ns;
  const double fraction = std::max(roofs.gflops > 0 ? gflops / roofs.gflops : 0,
                                   roofs.gbytes_per_s > 0 ? rate / roofs.gbytes_per_s : 0);
  nlohmann::json json = problem_json(problem, at);
  const support::Hardware& host = support::host();
  json.update(
      {{"at", compiler::print(at)},
       {"cpu", host.name},
       {"cpu_caches", {{"l1d", host.l1d_bytes}, {"l2", host.l2_bytes}, {"l3", host.l3_bytes}}},
       {"cache", options.cache},
       {"target", runtime::target_identity(timed.kernel->target)},
       {"schedule", timed.schedule},
       {"match", timed.match},
       {"threads", threads},
       {"median_ns", median_ns},
       {"min_ns", *std::min_element(batches.begin(), batches.end())},
       {"batches", batches.size()},
       {"spread", tuner::relative_spread(batches)},
       {"gflops", gflops},
       {"gbytes_per_s", rate},
       {"roofline_fraction", fraction},
       {"roof_gflops", roofs.gflops},
       {"roof_gbytes_per_s", roofs.gbytes_per_s}});
  if (driver.json) {
    print_json(json);
  } else {
    fmt::print(
        "{}\n  on {}, L1d {} KiB, L2 {} KiB, L3 {} KiB\n  at {}, target {}, {} thread{}, {} "
        "caches, "
        "schedule {} ({})\n",
        problem.line(), host.name, host.l1d_bytes >> 10, host.l2_bytes >> 10, host.l3_bytes >> 10,
        compiler::print(at), runtime::target_identity(timed.kernel->target), threads,
        threads == 1 ? "" : "s", options.cache, timed.schedule, timed.match);
    fmt::print(
        "  {} median, {} best of {} batches; {:.1f} GB/s of {:.1f}, {:.1f} GFLOP/s of {:.1f}: "
        "{:.0f} % of the roof\n",
        format_ns(median_ns), format_ns(*std::min_element(batches.begin(), batches.end())),
        batches.size(), rate, roofs.gbytes_per_s, gflops, roofs.gflops, fraction * 100);
  }
  return kSuccess;
}

Result<int> catalog_command(const DriverOptions& driver, const runtime::Backends& backends) {
  nlohmann::json families = nlohmann::json::array(), targets = nlohmann::json::array();
  const auto runnable = runtime::runnable_targets(backends);
  for (const std::string& name : ir::target_names()) {
    const bool runs = std::any_of(runnable.begin(), runnable.end(),
                                  [&](const auto& target) { return target.target.name == name; });
    targets.push_back({{"target", name}, {"runs_here", runs}});
  }
  if (runnable.empty())
    return fail(ErrorCode::unsupported, "this CPU runs none of the linked targets");
  std::string text;
  for (const compiler::Family* family : compiler::catalogue()) {
    LATHE_TRY(const compiler::Problem problem, compiler::parse_problem(family->example));
    const compiler::SearchSpace space = family->space(problem, runnable.front().target);
    nlohmann::json knobs = nlohmann::json::array();
    text += fmt::format("{}  {}\n  e.g. {}\n", family->name, family->summary, family->example);
    for (const compiler::Knob& knob : space.knobs()) {
      std::vector<std::string> values;
      for (size_t i = 0; i < knob.values.size(); ++i)
        values.push_back(knob.choices.empty() ? std::to_string(knob.values[i]) : knob.choices[i]);
      knobs.push_back({{"knob", knob.name}, {"values", values}, {"meaning", knob.meaning}});
      text += fmt::format("  {:<14} {:<24} {}\n", knob.name,
                          fmt::format("{}", fmt::join(values, " ")), knob.meaning);
    }
    nlohmann::json parameters = nlohmann::json::array();
    for (const compiler::ParameterSpec& parameter : family->parameters) {
      parameters.push_back({{"parameter", parameter.name},
                            {"required", parameter.required},
                            {"meaning", parameter.meaning}});
    }
    families.push_back({{"family", family->name},
                        {"summary", family->summary},
                        {"example", family->example},
                        {"revision", family->revision},
                        {"parameters", std::move(parameters)},
                        {"knobs", std::move(knobs)}});
    text += "\n";
  }
  if (driver.json) {
    print_json({{"targets", std::move(targets)}, {"families", std::move(families)}});
    return kSuccess;
  }
  text += "targets:";
  for (const auto& target : targets) {
    text += " " + target["target"].get<std::string>() +
            (target["runs_here"].get<bool>() ? "" : " (not on this CPU)");
  }
  fmt::print("{}\n", text);
  return kSuccess;
}

}  // namespace lathe::tools
