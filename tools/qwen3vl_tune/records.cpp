// Commands that read records: status, explain.
#include <algorithm>

#include "compiler/family.h"
#include "compiler/sizes.h"
#include "compiler/version.h"
#include "runtime/cpu/thread_pool.h"
#include "runtime/library/choose_schedule.h"
#include "runtime/library/record_key.h"
#include "runtime/library/record_trust.h"
#include "store/store.h"
#include "support/text.h"
#include "tools/common/arguments.h"
#include "tools/common/kernel_json.h"
#include "tools/common/layout_text.h"
#include "tools/common/output.h"
#include "tools/qwen3vl_tune/commands.h"

namespace lathe::tools {
namespace {

// How this host's shared operands lie, by operand, target and threads: the newest records.
Result<std::vector<store::KeyedWinner>> layouts_here(store::Store& store) {
  LATHE_TRY(const auto winners, store.winners(store::host_id("cpu", support::host_identity())));
  std::vector<store::KeyedWinner> layouts;
  for (const store::KeyedWinner& record : winners) {
    const compiler::SharedOperand* operand = operand_of(record);
    if (operand == nullptr || record.key.family_revision != revision_of(*operand)) continue;
    const auto same =
        std::find_if(layouts.begin(), layouts.end(), [&](const store::KeyedWinner& other) {
          return other.key.problem == record.key.problem && other.key.target == record.key.target &&
                 other.key.threads == record.key.threads;
        });
    if (same == layouts.end())
      layouts.push_back(record);
    else if (same->winner.recorded_us < record.winner.recorded_us)
      *same = record;
  }
  return layouts;
}

nlohmann::json summary_json(const store::Summary& summary) {
  nlohmann::json hosts = nlohmann::json::array();
  for (const store::HostSummary& host : summary.hosts) {
    nlohmann::json families = nlohmann::json::array();
    for (const store::FamilySummary& family : host.families) {
      families.push_back({{"family", family.family},
                          {"revision", family.revision},
                          {"keys", family.keys},
                          {"trials", family.trials},
                          {"winners", family.winners}});
    }
    hosts.push_back({{"id", host.host.id},
                     {"device", host.host.device},
                     {"identity", host.host.identity},
                     {"description", host.host.description},
                     {"families", families}});
  }
  return {{"path", summary.path},
          {"file_bytes", summary.file_bytes},
          {"schema_version", summary.schema_version},
          {"journal_mode", summary.journal_mode},
          {"hosts", hosts}};
}

// Why a fetch does not take the record; empty where it does.
std::string unused_because(const store::KeyedWinner& record, const compiler::Problem& problem,
                           const ir::Target& target) {
  if (record.key.compiler_version != compiler::kVersion) {
    return fmt::format("it was made by code generator version {}, this is version {}",
                       support::printable(record.key.compiler_version), compiler::kVersion);
  }
  const auto schedule =
      runtime::usable_schedule(record.winner, problem.family().space(problem, target));
  return schedule ? std::string() : schedule.error().message;
}

}  // namespace

Result<store::Store> open_store(const CommonOptions& common, store::OpenMode mode) {
  return store::Store::open_chosen(common.db, {.mode = mode});
}

Result<int> status_command(const CommonOptions& common) {
  LATHE_TRY(store::Store store, open_store(common, store::OpenMode::read_only));
  LATHE_TRY(const store::Summary summary, store.summary());
  LATHE_TRY(const std::vector<store::KeyedWinner> layouts, layouts_here(store));
  if (common.json) {
    nlohmann::json document = summary_json(summary);
    document.update(empty_layouts());
    for (const store::KeyedWinner& record : layouts) {
      LATHE_TRY(const LayoutChoice choice, choice_of(record, store));
      nlohmann::json entry = layout_json(choice);
      entry.update({{"target", record.key.target}, {"threads", record.key.threads}});
      document[field_of(*choice.operand)].push_back(std::move(entry));
    }
    print_json(document);
    return kSuccess;
  }
  fmt::print("{}: {} KiB, schema {}, journal {}\n", summary.path, summary.file_bytes / 1024,
             summary.schema_version, summary.journal_mode);
  const std::string here = store::host_id("cpu", support::host_identity());
  for (const store::HostSummary& host : summary.hosts) {
    fmt::print("\n{} {}{}\n", host.host.id, host.host.description,
               host.host.id == here ? " (this host)" : "");
    std::vector<std::vector<std::string>> rows = {
        {"family", "revision", "problems", "trials", "winners"}};
    for (const store::FamilySummary& family : host.families) {
      rows.push_back({family.family, std::to_string(family.revision), std::to_string(family.keys),
                      std::to_string(family.trials), std::to_string(family.winners)});
    }
    fmt::print("{}", format_table(rows));
  }
  if (layouts.empty()) return kSuccess;
  std::vector<std::vector<std::string>> rows = {
      {"operand", "target", "threads", "layout", "sums over the default's"}};
  for (const store::KeyedWinner& record : layouts) {
    LATHE_TRY(const LayoutChoice choice, choice_of(record, store));
    rows.push_back({choice.name(), record.key.target, std::to_string(record.key.threads),
                    choice.layout_text(), standings_text(choice)});
  }
  fmt::print("\nlayouts on this host\n{}", fit_table(rows, output_columns(), {4, 0}));
  return kSuccess;
}

Result<int> explain_command(const CommonOptions& common, const std::string& line,
                            const runtime::Backends& backends) {
  LATHE_TRY(const compiler::Problem problem, compiler::parse_problem(line));
  LATHE_TRY(const runtime::SelectedTarget selected,
            runtime::select_target(backends, common.target));
  LATHE_TRY(store::Store store, open_store(common, store::OpenMode::read_only));
  LATHE_TRY(const auto winners, store.winners(store::host_id("cpu", support::host_identity())));
  const std::string target = runtime::target_identity(selected.target);
  nlohmann::json kernels = nlohmann::json::array();
  std::string text;
  bool used = false;
  for (const store::KeyedWinner& record : winners) {
    if (record.key.problem != problem.line() || record.key.target != target) continue;
    if (common.threads != 0 && record.key.threads != common.threads) continue;
    if (record.key.family_revision != problem.family().revision) continue;
    LATHE_TRY(const compiler::Sizes at, compiler::parse_sizes(record.key.at));
    const std::string unused = unused_because(record, problem, selected.target);
    used = used || unused.empty();
    nlohmann::json entry =
        kernel_json(problem, at, record.key, record.winner, unused.empty() ? "exact" : "unused");
    if (!unused.empty()) entry["unused_because"] = unused;
    kernels.push_back(std::move(entry));
    text += explain_text(record.key, record.winner);
    if (!unused.empty()) text += fmt::format("  not used   {}\n", unused);
    text += "\n";
  }
  runtime::RecordContext context;
  context.threads = common.threads;
  if (context.threads == 0) {
    LATHE_TRY(context.threads, runtime::default_threads());
  }
  if (!used) {
    LATHE_TRY(runtime::ScheduleChoice choice,
              runtime::choose_schedule(problem, selected.target, context, store));
    if (choice.match == Match::default_) {
      LATHE_TRY(choice.schedule, runtime::buildable_default(problem, selected));
    }
    const std::string schedule =
        problem.family().space(problem, selected.target).print(choice.schedule);
    LATHE_TRY(const compiler::Sizes at, compiler::complete_sizes(problem));
    nlohmann::json entry = problem_json(problem, at);
    entry.update({{"at", compiler::print(at)},
                  {"target", target},
                  {"schedule", schedule},
                  {"match", to_string(choice.match)},
                  {"why", choice.reason}});
    kernels.push_back(std::move(entry));
    text += fmt::format(
        "{}\n  not tuned on this host for target {}\n  schedule   {}\n  match      {}: {}\n",
        problem.line(), target, schedule, to_string(choice.match), choice.reason);
  }
  nlohmann::json document = empty_layouts();
  if (const auto shared = shared_by(problem, selected.target)) {
    LATHE_TRY(const auto record, runtime::layout_record(*shared, selected.target, context, store));
    LayoutChoice choice{shared->operand, shared->identity, "", {}, "not compared on this host"};
    if (record) {
      LATHE_TRY(choice, choice_of(*record, store));
    }
    LATHE_TRY(choice.layout, runtime::choose_layout(*shared, selected.target, context, store));
    text +=
        fmt::format("{}\n  layout     {}{}\n  why        {}\n", choice.name(), choice.layout_text(),
                    record ? fmt::format(" (sums: {})", standings_text(choice)) : "",
                    support::printable(choice.why));
    document[field_of(*choice.operand)].push_back(layout_json(choice));
  }
  if (common.json) {
    document["kernels"] = std::move(kernels);
    print_json(document);
  } else {
    fmt::print("{}", text);
  }
  return kSuccess;
}

}  // namespace lathe::tools
