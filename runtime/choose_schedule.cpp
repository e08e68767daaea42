// From store records to a schedule: exact, near, other host, default, nearest that fits.
#include "runtime/choose_schedule.h"

#include <cmath>
#include <limits>
#include <optional>

#include "compiler/fallback.h"
#include "compiler/sizes.h"
#include "runtime/record_trust.h"
#include "support/log.h"

namespace lathe::runtime {
namespace {

using compiler::Problem;
using compiler::Schedule;

// How far a record's problem is from ours: bucket steps plus octaves of integer sizes. Records that
// differ in anything else (types, flags, fragments) are no neighbours.
std::optional<double> distance(const Problem& ours, const std::string& line) {
  auto theirs = compiler::parse_problem(line);
  if (!theirs || &theirs->family() != &ours.family()) return std::nullopt;
  double sum = 0;
  for (const compiler::ParameterSpec& parameter : ours.family().parameters) {
    const std::string& name = parameter.name;
    if (std::holds_alternative<compiler::Bucket>(parameter.default_value)) {
      sum += compiler::bucket_distance(ours.bucket(name), theirs->bucket(name));
    } else if (std::holds_alternative<int64_t>(parameter.default_value)) {
      const double a = static_cast<double>(ours.integer(name));
      const double b = static_cast<double>(theirs->integer(name));
      if (a == b) continue;
      if (a <= 0 || b <= 0) return std::nullopt;
      sum += std::fabs(std::log2(a / b));
    } else if (std::holds_alternative<double>(parameter.default_value)) {
      continue;  // eps and the like do not change what is fast
    } else if (std::holds_alternative<bool>(parameter.default_value)) {
      if (ours.flag(name) != theirs->flag(name)) return std::nullopt;
    } else if (std::holds_alternative<ir::Type>(parameter.default_value)) {
      if (ours.type(name) != theirs->type(name)) return std::nullopt;
    } else if (ours.text(name) != theirs->text(name)) {
      return std::nullopt;
    }
  }
  return sum;
}

std::optional<ScheduleChoice> nearest(const Problem& problem, const compiler::SearchSpace& space,
                                      const store::Key& key, store::Store& store) {
  auto records = store.near(key);
  if (!records) return std::nullopt;
  double best = std::numeric_limits<double>::infinity();
  std::optional<ScheduleChoice> choice;
  for (const store::KeyedWinner& record : *records) {
    const auto how_far = distance(problem, record.key.problem);
    if (!how_far || *how_far >= best) continue;
    auto schedule = usable_schedule(record.winner, space);
    if (!schedule) continue;
    // Whether to write past the caches depends on the problem's own footprint, not its neighbour's.
    if (schedule->has("stream") && record.key.problem != key.problem)
      schedule->set("stream", space.default_schedule()["stream"]);
    if (!space.check(*schedule)) continue;
    best = *how_far;
    // The same problem, timed at another size of its bucket or with other cache contents, is still
    // this bucket's own record.
    store::Key same = record.key;
    same.at = key.at;
    same.cache = key.cache;
    choice = ScheduleChoice{
        std::move(*schedule), same == key ? Match::exact : Match::near,
        fmt::format("taken from {} ({})", record.key.problem, store::differences(record.key, key))};
    if (same == key) break;
  }
  return choice;
}

std::optional<ScheduleChoice> from_other_host(const compiler::SearchSpace& space,
                                              const store::Key& key, store::Store& store) {
  auto records = store.other_hosts(key);
  if (!records) return std::nullopt;
  for (const store::KeyedWinner& record : *records) {
    if (auto schedule = usable_schedule(record.winner, space)) {
      return ScheduleChoice{
          std::move(*schedule), Match::other_host,
          fmt::format("tuned on another host ({})", store::differences(record.key, key))};
    }
  }
  return std::nullopt;
}

}  // namespace

ScheduleChoice choose_schedule(const Problem& problem, const ir::Target& target,
                               const RecordContext& context, store::Store* store) {
  const compiler::SearchSpace space = problem.family().space(problem, target);
  ScheduleChoice fallback{space.default_schedule(), Match::default_, "no store is open"};
  if (store == nullptr) return fallback;
  const auto sizes = compiler::complete_sizes(problem);
  if (!sizes) return {fallback.schedule, Match::default_, sizes.error().message};
  const store::Key key = record_key(problem, *sizes, target, context);
  auto lookup = store->find(key);
  if (!lookup) return {fallback.schedule, Match::default_, lookup.error().message};
  std::string reason = lookup->miss.reason;
  if (lookup->winner) {
    auto schedule = usable_schedule(*lookup->winner, space);
    if (schedule) return {std::move(*schedule), Match::exact, "tuned here"};
    reason = schedule.error().message;
  }
  if (auto choice = nearest(problem, space, key, *store)) return std::move(*choice);
  if (auto choice = from_other_host(space, key, *store)) return std::move(*choice);
  return {fallback.schedule, Match::default_, reason};
}

Result<std::shared_ptr<const CompiledKernel>> compile_chosen(const Problem& problem,
                                                             const SelectedTarget& selected,
                                                             ScheduleChoice& choice) {
  std::shared_ptr<const CompiledKernel> kernel;
  const auto compile = [&](const Schedule& schedule) -> Status {
    LATHE_TRY(kernel, compile_kernel(problem, schedule, selected.target, *selected.backend));
    return {};
  };
  if (choice.match != Match::default_) {
    const Status status = compile(choice.schedule);
    if (status) return kernel;
    support::log_warn("{}: the recorded schedule does not compile ({}); using the default",
                      problem.line(), status.error().message);
    choice.match = Match::default_;
    choice.reason = status.error().message;
  }
  const compiler::SearchSpace space = problem.family().space(problem, selected.target);
  Status refusal;
  LATHE_TRY(choice.schedule,
            compiler::nearest_accepted(space, [&](const Schedule& schedule) -> Status {
              Status status = compile(schedule);
              if (!status && refusal) refusal = status;
              return status;
            }));
  if (!refusal)
    choice.reason = fmt::format("the default does not fit: {}", refusal.error().message);
  return kernel;
}

Result<Schedule> buildable_default(const Problem& problem, const SelectedTarget& selected) {
  const compiler::SearchSpace space = problem.family().space(problem, selected.target);
  return compiler::nearest_accepted(space, [&](const Schedule& schedule) -> Status {
    LATHE_TRY(const ir::plan::Plan plan,
              problem.family().build(problem, schedule, selected.target));
    for (const ir::program::Program& program : plan.programs)
      LATHE_CHECK(selected.backend->compile(program));
    return {};
  });
}

}  // namespace lathe::runtime
