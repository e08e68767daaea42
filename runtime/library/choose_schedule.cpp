// From store records to a schedule: exact, near, other host, default, nearest that fits.
#include "runtime/library/choose_schedule.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "compiler/fallback.h"
#include "compiler/remedy.h"
#include "compiler/sizes.h"
#include "runtime/library/forced_knobs.h"
#include "runtime/library/record_trust.h"
#include "support/log.h"

namespace lathe::runtime {
namespace {

using compiler::Problem;
using compiler::Schedule;

constexpr double kOtherLayout = 1;  ///< as far as the next bucket

// How far a record's problem is from ours: bucket steps plus octaves of integer sizes, and another
// layout. Records that differ in anything else (types, flags, fragments) are no neighbours.
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
      // How an operand lies, which others share, matters less than what it is.
      const compiler::SharedOperand* shared = ours.family().shared;
      if (shared == nullptr || shared->parameter != name) return std::nullopt;
      sum += kOtherLayout;
    }
  }
  return sum;
}

// A record as a choice: its schedule where that is usable, and why it was taken.
std::optional<ScheduleChoice> taken_from(const store::KeyedWinner& record, const store::Key& key,
                                         const compiler::SearchSpace& space, Match match) {
  auto schedule = usable_schedule(record.winner, space);
  if (!schedule) return std::nullopt;
  // Whether to write past the caches depends on the problem's own footprint, not its neighbour's.
  if (record.key.problem != key.problem && schedule->has("stream")) {
    schedule->set("stream", space.default_schedule()["stream"]);
    if (!space.holds(*schedule)) return std::nullopt;
  }
  return ScheduleChoice{
      std::move(*schedule), match,
      fmt::format("taken from {} ({})", record.key.problem, store::differences(record.key, key))};
}

bool is_of_this_host(const store::Key& found, const store::Key& key) {
  return found.host == key.host && found.target == key.target;
}

// The same problem, timed at another size of its bucket or with other cache contents, is still this
// bucket's own record.
bool is_of_this_bucket(const store::Key& found, const store::Key& key) {
  store::Key same = found;
  same.at = key.at;
  same.cache = key.cache;
  return same == key;
}

// From the problem's own records on this host, of which those that differ least from the key come
// first; of equals the newest.
std::optional<ScheduleChoice> from_own_records(const std::vector<store::KeyedWinner>& records,
                                               const compiler::SearchSpace& space,
                                               const store::Key& key) {
  std::vector<const store::KeyedWinner*> own;
  for (const store::KeyedWinner& record : records)
    if (record.key != key && is_of_this_host(record.key, key)) own.push_back(&record);
  const auto rank = [&](const store::KeyedWinner* record) {
    return std::pair(!is_of_this_bucket(record->key, key),
                     store::count_differences(record->key, key));
  };
  std::stable_sort(own.begin(), own.end(),
                   [&](const auto* a, const auto* b) { return rank(a) < rank(b); });
  for (const store::KeyedWinner* record : own) {
    const Match match = is_of_this_bucket(record->key, key) ? Match::exact : Match::near;
    if (auto choice = taken_from(*record, key, space, match)) return choice;
  }
  return std::nullopt;
}

// From this host's records of other problems, nearest first: of equally near ones that whose key
// differs least, then the newest.
Result<std::optional<ScheduleChoice>> from_neighbours(const Problem& problem,
                                                      const compiler::SearchSpace& space,
                                                      const store::Key& key, store::Store& store) {
  // Beyond these, records that this space does not know say nothing about the ones that follow.
  constexpr std::size_t kMostTried = 16;
  LATHE_TRY(const std::vector<store::Key> keys, store.neighbours(key));
  using Rank = std::tuple<double, int, std::size_t>;
  std::vector<Rank> ranks;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (const auto how_far = distance(problem, keys[i].problem))
      ranks.emplace_back(*how_far, store::count_differences(keys[i], key), i);
  }
  const std::size_t tried = std::min(kMostTried, ranks.size());
  std::partial_sort(ranks.begin(), ranks.begin() + static_cast<std::ptrdiff_t>(tried), ranks.end());
  for (std::size_t i = 0; i < tried; ++i) {
    const store::Key& found = keys[std::get<2>(ranks[i])];
    LATHE_TRY(const store::Lookup lookup, store.find(found));
    if (!lookup.winner) continue;
    if (auto choice = taken_from({found, *lookup.winner}, key, space, Match::near)) return choice;
  }
  return std::nullopt;
}

std::optional<ScheduleChoice> from_other_hosts(const std::vector<store::KeyedWinner>& records,
                                               const compiler::SearchSpace& space,
                                               const store::Key& key) {
  for (const store::KeyedWinner& record : records) {
    if (record.key.host == key.host || record.key.target != key.target) continue;
    if (auto schedule = usable_schedule(record.winner, space)) {
      return ScheduleChoice{
          std::move(*schedule), Match::other_host,
          fmt::format("tuned on another host ({})", store::differences(record.key, key))};
    }
  }
  return std::nullopt;
}

// Whether all of a schedule's programs can be emitted for the target.
Status emits(const Problem& problem, const Schedule& schedule, const SelectedTarget& selected) {
  LATHE_CHECK(build_artifact(problem, schedule, selected.target, *selected.backend));
  return {};
}

}  // namespace

Result<ScheduleChoice> default_choice(const Problem& problem, const ir::Target& target,
                                      std::string reason) {
  LATHE_TRY(const compiler::SearchSpace space, search_space(problem, target));
  return ScheduleChoice{space.default_schedule(), Match::default_, std::move(reason)};
}

Result<ScheduleChoice> choose_schedule(const Problem& problem, const ir::Target& target,
                                       const RecordContext& context, store::Store& store) {
  const auto sizes = compiler::complete_sizes(problem);
  if (!sizes) return default_choice(problem, target, sizes.error().message);
  const store::Key key = record_key(problem, *sizes, target, context);
  LATHE_TRY(const compiler::SearchSpace space, search_space(problem, target));
  LATHE_TRY(const store::Lookup lookup, store.find(key));
  std::string reason = lookup.miss.reason;
  if (lookup.winner) {
    auto schedule = usable_schedule(*lookup.winner, space);
    if (schedule) return ScheduleChoice{std::move(*schedule), Match::exact, "tuned here"};
    reason = schedule.error().message;
  }
  LATHE_TRY(const std::vector<store::KeyedWinner> records, store.of_problem(key));
  if (auto choice = from_own_records(records, space, key)) return std::move(*choice);
  LATHE_TRY(auto neighbour, from_neighbours(problem, space, key, store));
  if (neighbour) return std::move(*neighbour);
  if (auto choice = from_other_hosts(records, space, key)) return std::move(*choice);
  return ScheduleChoice{space.default_schedule(), Match::default_, std::move(reason)};
}

Result<std::shared_ptr<const CompiledKernel>> compile_chosen(const Problem& problem,
                                                             const SelectedTarget& selected,
                                                             ScheduleChoice& choice) {
  std::shared_ptr<const CompiledKernel> kernel;
  const auto compile = [&](const Schedule& schedule) -> Status {
    LATHE_TRY(kernel, compile_kernel(problem, schedule, selected.target, *selected.backend,
                                     selected.execution));
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
  LATHE_TRY(const compiler::SearchSpace space, search_space(problem, selected.target));
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
  LATHE_TRY(const compiler::SearchSpace space, search_space(problem, selected.target));
  return compiler::nearest_accepted(
      space, [&](const Schedule& schedule) { return emits(problem, schedule, selected); });
}

Error with_remedy(const Problem& problem, const SelectedTarget& selected, const Schedule& schedule,
                  Error error) {
  constexpr size_t kTries = 1000;
  int emissions = 64;  // of which each takes milliseconds
  const compiler::SearchSpace space = problem.family().space(problem, selected.target);
  if (error.code != ErrorCode::rejected || !space.holds(schedule)) return error;
  const std::string advice = compiler::remedy(
      space, schedule,
      [&](const Schedule& other) {
        return space.holds(other) && emissions-- > 0 && emits(problem, other, selected).has_value();
      },
      {}, kTries);
  if (!advice.empty()) {
    error.message =
        fmt::format("schedule '{}': {}: {}", space.print(schedule), error.message, advice);
  }
  return error;
}

}  // namespace lathe::runtime
