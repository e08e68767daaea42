// Declaring, enumerating, checking and printing the points of a search space.
#include "compiler/search_space.h"

#include <algorithm>
#include <cassert>
#include <charconv>

#include "ir/graph/ops.h"

namespace lathe::compiler {
namespace {

std::string name_of(const Knob& knob, int64_t value) {
  const bool named = value >= 0 && static_cast<size_t>(value) < knob.choices.size();
  return named ? knob.choices[static_cast<size_t>(value)] : std::to_string(value);
}

std::string values_of(const Knob& knob) {
  std::vector<std::string> names;
  for (const int64_t value : knob.values) names.push_back(name_of(knob, value));
  return fmt::format("{}", fmt::join(names, ", "));
}

Result<int64_t> read_value(const Knob& knob, std::string_view text) {
  for (const int64_t value : knob.values) {
    if (name_of(knob, value) == text) return value;
  }
  return fail(ErrorCode::rejected, "knob {}: found '{}', expected one of {}", knob.name, text,
              values_of(knob));
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
  std::erase_if(all, [&](const Schedule& point) { return !check(point).has_value(); });
  std::stable_partition(
      all.begin(), all.end(),
      [first = default_schedule()](const Schedule& point) { return point == first; });
  return all;
}

Status SearchSpace::check(const Schedule& schedule) const {
  if (schedule.knobs().size() != knobs_.size()) {
    return fail(ErrorCode::rejected, "found {} knobs, expected {}", schedule.knobs().size(),
                knobs_.size());
  }
  for (const Knob& knob : knobs_) {
    if (!schedule.has(knob.name)) return fail(ErrorCode::rejected, "knob {} is missing", knob.name);
    const int64_t value = schedule[knob.name];
    if (std::find(knob.values.begin(), knob.values.end(), value) == knob.values.end()) {
      return fail(ErrorCode::rejected, "knob {}: found {}, expected one of {}", knob.name, value,
                  values_of(knob));
    }
  }
  for (const Constraint& constraint : constraints_) {
    if (!constraint.holds(schedule)) {
      return fail(ErrorCode::rejected, "schedule '{}': {}", print(schedule), constraint.reason);
    }
  }
  return {};
}

std::string SearchSpace::print(const Schedule& schedule) const {
  std::vector<std::string> parts;
  for (const Knob& knob : knobs_) {
    if (schedule.has(knob.name)) {
      parts.push_back(fmt::format("{}={}", knob.name, name_of(knob, schedule[knob.name])));
    }
  }
  return fmt::format("{}", fmt::join(parts, " "));
}

Result<Schedule> SearchSpace::parse(std::string_view text) const {
  Schedule schedule = default_schedule();
  while (!text.empty()) {
    const size_t end = std::min(text.find_first_of(", "), text.size());
    const std::string_view item = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (item.empty()) continue;
    const size_t equals = item.find('=');
    if (equals == std::string_view::npos) {
      return fail(ErrorCode::invalid_argument, "schedule: found '{}', expected knob=value", item);
    }
    const std::string_view name = item.substr(0, equals);
    const auto knob = std::find_if(knobs_.begin(), knobs_.end(),
                                   [&](const Knob& candidate) { return candidate.name == name; });
    if (knob == knobs_.end()) {
      std::vector<std::string_view> names;
      for (const Knob& known : knobs_) names.push_back(known.name);
      const std::string_view nearest = ir::graph::nearest_name(name, names);
      return fail(ErrorCode::not_found, "unknown knob '{}'; {}", name,
                  nearest.empty() ? fmt::format("expected one of {}", fmt::join(names, ", "))
                                  : fmt::format("did you mean '{}'?", nearest));
    }
    LATHE_TRY(const int64_t value, read_value(*knob, item.substr(equals + 1)));
    schedule.set(name, value);
  }
  LATHE_CHECK(check(schedule));
  return schedule;
}

}  // namespace lathe::compiler
