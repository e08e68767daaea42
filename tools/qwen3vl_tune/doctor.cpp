// doctor: tries everything that tuning and running depend on, and says what to do where it fails.
#include <cmath>

#include <unistd.h>

#include "compiler/family.h"
#include "compiler/sizes.h"
#include "runtime/cpu/executable_memory.h"
#include "runtime/cpu/thread_pool.h"
#include "runtime/library/choose_schedule.h"
#include "store/store.h"
#include "support/files.h"
#include "support/hardware.h"
#include "tools/common/kernel_json.h"
#include "tools/common/output.h"
#include "tools/qwen3vl_tune/commands.h"
#include "tuner/check.h"

namespace lathe::tools {
namespace {

struct Finding {
  std::string what;
  bool good = true;
  std::string detail;
};

// Compiles, runs and checks a small kernel on one target.
Finding try_target(const runtime::SelectedTarget& selected) {
  Finding finding{"target " + selected.target.name, false, ""};
  const auto attempt = [&]() -> Status {
    LATHE_TRY(const compiler::Problem problem, compiler::parse_problem("rms_norm rows=8 width=72"));
    runtime::ScheduleChoice choice;
    LATHE_TRY(const auto kernel, runtime::compile_chosen(problem, selected, choice));
    LATHE_TRY(const compiler::Sizes at, compiler::complete_sizes(problem));
    LATHE_TRY(runtime::ThreadPool pool, runtime::ThreadPool::create(1));
    tuner::SharedInputs inputs;
    tuner::Checker checker(problem, at, inputs);
    LATHE_CHECK(checker.check_interpreted(*kernel, *selected.backend));
    LATHE_TRY(finding.detail, checker.check_native(*kernel, *selected.backend, pool));
    return {};
  };
  const Status status = attempt();
  finding.good = status.has_value();
  if (!status) finding.detail = status.error().message;
  return finding;
}

Finding try_store(const CommonOptions& common) {
  Finding finding{"store", false, ""};
  const auto attempt = [&]() -> Status {
    auto store = open_store(common, store::OpenMode::read_only);
    if (!store && store.error().code == ErrorCode::not_found) {
      finding.detail = store.error().message;  // as before the first session
      return {};
    }
    if (!store) return tl::unexpected(store.error());
    LATHE_TRY(const std::string state, store->check());
    LATHE_TRY(const store::Summary summary, store->summary());
    finding.detail = fmt::format("{}: {}, journal {}", summary.path, state, summary.journal_mode);
    if (::access(summary.path.c_str(), W_OK) != 0)
      finding.detail += "; it can be read, but this user cannot write to it";
    if (state != "ok") return fail(ErrorCode::corrupt, "{}", finding.detail);
    return {};
  };
  const Status status = attempt();
  finding.good = status.has_value();
  if (!status) finding.detail = status.error().message;
  return finding;
}

}  // namespace

Result<int> doctor_command(const CommonOptions& common, const runtime::Backends& backends) {
  const support::Hardware& host = support::host();
  std::vector<Finding> findings;
  findings.push_back({"machine", true, fmt::format("{} ({})", host.name, host.microarchitecture)});
  if (!host.isa_unsaved.empty()) {
    findings.push_back({"operating system", false,
                        fmt::format("does not save the registers of {}; they are not used",
                                    support::to_string(host.isa_unsaved))});
  }
  const auto threads = runtime::default_threads();
  findings.push_back({"threads", threads.has_value(),
                      threads ? fmt::format("{} of {} cores, {} logical CPUs", *threads,
                                            host.available_cores, host.available_cpus)
                              : threads.error().message});
  const std::byte code[] = {std::byte{0xC3}};
  const auto mapped = runtime::ExecutableMemory::map(code);
  findings.push_back({"executable memory", mapped.has_value(),
                      mapped ? "pages are written, then made executable" : mapped.error().message});
  const auto targets = runtime::runnable_targets(backends);
  if (targets.empty())
    findings.push_back(
        {"targets", false, "this CPU runs none of the linked code generators' targets"});
  for (const runtime::SelectedTarget& target : targets) findings.push_back(try_target(target));
  findings.push_back(try_store(common));

  bool good = true;
  nlohmann::json list = nlohmann::json::array();
  for (const Finding& finding : findings) {
    good = good && finding.good;
    list.push_back({{"check", finding.what}, {"good", finding.good}, {"detail", finding.detail}});
  }
  if (common.json) {
    print_json({{"host", host_json(host)}, {"good", good}, {"checks", std::move(list)}});
  } else {
    fmt::print("{}\n", support::describe(host));
    for (const Finding& finding : findings)
      fmt::print("{} {}: {}\n", finding.good ? "ok  " : "FAIL", finding.what, finding.detail);
  }
  return good ? kSuccess : kMismatch;
}

}  // namespace lathe::tools
