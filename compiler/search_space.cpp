// Declaring, enumerating, checking and printing the points of a search space.
#include "compiler/search_space.h"

#include <algorithm>
#include <cassert>
#include <charconv>
#include <set>

#include "compiler/remedy.h"
#include "ir/graph/ops.h"

namespace lathe::compiler {
namespace {

std::string values_of(const Knob& knob) {
  std::vector<std::string> names;
  for (const int64_t value : knob.values) names.push_back(value_name(knob, value));
  return fmt::format("{}", fmt::join(names, ", "));
}

tl::unexpected<Error> not_a_value(const Knob& knob, std::string_view found) {
  return fail(ErrorCode::rejected,
              "knob {} ({}): found '{}', expected one of {} for this problem and target", knob.name,
              knob.meaning, found, values_of(knob));
}

Result<int64_t> read_value(const Knob& knob, std::string_view text) {
  for (const int64_t value : knob.values) {
    if (value_name(knob, value) == text) return value;
  }
  return not_a_value(knob, text);
}

std::string names_of(const std::vector<Knob>& knobs) {
  if (knobs.empty()) return "none: leave the schedule out";
  std::vector<std::string_view> names;
  for (const Knob& knob : knobs) names.push_back(knob.name);
  return fmt::format("{}", fmt::join(names, ", "));
}

tl::unexpected<Error> unknown_knob(std::string_view name, const std::vector<Knob>& knobs) {
  std::vector<std::string_view> names;
  for (const Knob& known : knobs) names.push_back(known.name);
  const std::string_view nearest = ir::graph::nearest_name(name, names);
  return fail(
      ErrorCode::not_found, "unknown knob '{}'{}; the knobs of this problem and target are {}",
      name, nearest.empty() ? "" : fmt::format(" (did you mean '{}'?)", nearest), names_of(knobs));
}

template <typename Knobs>
auto find_knob(Knobs& knobs, std::string_view name) {
  return std::find_if(knobs.begin(), knobs.end(),
                      [&](const Knob& candidate) { return candidate.name == name; });
}

Status check_values(const std::vector<Knob>& knobs, const Schedule& schedule) {
  if (schedule.knobs().size() != knobs.size()) {
    return fail(ErrorCode::rejected, "found {} knobs, expected {}: {}", schedule.knobs().size(),
                knobs.size(), names_of(knobs));
  }
  for (const Knob& knob : knobs) {
    if (!schedule.has(knob.name)) return fail(ErrorCode::rejected, "knob {} is missing", knob.name);
    const int64_t value = schedule[knob.name];
    if (std::find(knob.values.begin(), knob.values.end(), value) == knob.values.end())
      return not_a_value(knob, std::to_string(value));
  }
  return {};
}

// The first that does not hold, or null.
const Constraint* broken(const std::vector<Constraint>& constraints, const Schedule& schedule) {
  const auto found = std::find_if(constraints.begin(), constraints.end(),
                                  [&](const Constraint& one) { return !one.holds(schedule); });
  return found == constraints.end() ? nullptr : &*found;
}

using Names = std::set<std::string, std::less<>>;

// `wanted` are the knobs that advice should leave as they are.
Status check_constraints(const SearchSpace& space, const std::vector<Constraint>& constraints,
                         const Schedule& schedule, const Names& wanted) {
  const Constraint* constraint = broken(constraints, schedule);
  if (constraint == nullptr) return {};
  const auto accepts = [&](const Schedule& other) { return broken(constraints, other) == nullptr; };
  const std::string advice = remedy(space, schedule, accepts, wanted);
  return fail(ErrorCode::rejected, "schedule '{}': {}; {}", space.print(schedule),
              constraint->reason,
              advice.empty() ? "leave the schedule out for one that fits" : advice);
}

}  // namespace

void SearchSpace::knob(std::string name, std::vector<int64_t> values, int64_t default_value,
                       std::string meaning) {
  assert(std::find(values.begin(), values.end(), default_value) != values.end());
  knobs_.push_back({std::move(name), std::move(values), {}, default_value, std::move(meaning)});
}

void SearchSpace::choice(std::string name, std::vector<std::string> choices,
                         std::string_view default_choice, std::string meaning) {
  const auto chosen = std::find(choices.begin(), choices.end(), default_choice);
  assert(chosen != choices.end());
  Knob knob{std::move(name), {}, {}, chosen - choices.begin(), std::move(meaning)};
  for (size_t i = 0; i < choices.size(); ++i) knob.values.push_back(static_cast<int64_t>(i));
  knob.choices = std::move(choices);
  knobs_.push_back(std::move(knob));
}

Status SearchSpace::fix(std::string_view name, std::string_view value) {
  const auto knob = find_knob(knobs_, name);
  if (knob == knobs_.end()) return unknown_knob(name, knobs_);
  LATHE_TRY(const int64_t only, read_value(*knob, value));
  knob->values = {only};
  knob->default_value = only;
  return {};
}

void SearchSpace::require(std::function<bool(const Schedule&)> holds, std::string reason) {
  constraints_.push_back({std::move(holds), std::move(reason)});
}

Schedule SearchSpace::default_schedule() const {
  Schedule schedule;
  for (const Knob& knob : knobs_) schedule.set(knob.name, knob.default_value);
  return schedule;
}

std::vector<Schedule> SearchSpace::points() const {
  std::vector<Schedule> all = {Schedule{}};
  for (const Knob& knob : knobs_) {
    std::vector<Schedule> longer;
    for (const Schedule& prefix : all) {
      for (const int64_t value : knob.values) {
        longer.push_back(prefix);
        longer.back().set(knob.name, value);
      }
    }
    all = std::move(longer);
  }
  std::erase_if(all, [&](const Schedule& point) { return broken(constraints_, point) != nullptr; });
  std::stable_partition(
      all.begin(), all.end(),
      [first = default_schedule()](const Schedule& point) { return point == first; });
  return all;
}

bool SearchSpace::holds(const Schedule& schedule) const {
  return check_values(knobs_, schedule).has_value() && broken(constraints_, schedule) == nullptr;
}

Status SearchSpace::check(const Schedule& schedule) const {
  LATHE_CHECK(check_values(knobs_, schedule));
  return check_constraints(*this, constraints_, schedule, {});
}

std::string SearchSpace::print(const Schedule& schedule) const {
  std::vector<std::string> parts;
  for (const Knob& knob : knobs_) {
    if (schedule.has(knob.name)) {
      parts.push_back(fmt::format("{}={}", knob.name, value_name(knob, schedule[knob.name])));
    }
  }
  return fmt::format("{}", fmt::join(parts, " "));
}

Result<Schedule> SearchSpace::parse(std::string_view text) const {
  Schedule schedule = default_schedule();
  Names given;
  while (!text.empty()) {
    const size_t end = std::min(text.find_first_of(", "), text.size());
    const std::string_view item = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (item.empty()) continue;
    const size_t equals = item.find('=');
    if (equals == std::string_view::npos) {
      return fail(ErrorCode::invalid_argument,
                  "schedule: found '{}', expected knob=value; the knobs are {}", item,
                  names_of(knobs_));
    }
    const std::string_view name = item.substr(0, equals);
    const auto knob = find_knob(knobs_, name);
    if (knob == knobs_.end()) return unknown_knob(name, knobs_);
    if (!given.emplace(name).second) {
      return fail(ErrorCode::invalid_argument,
                  "schedule: knob {} is given twice, expected it once; remove one", name);
    }
    LATHE_TRY(const int64_t value, read_value(*knob, item.substr(equals + 1)));
    schedule.set(name, value);
  }
  LATHE_CHECK(check_constraints(*this, constraints_, schedule, given));
  return schedule;
}

}  // namespace lathe::compiler
