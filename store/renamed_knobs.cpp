// The table of renamed knobs, and how it is applied.
#include "store/renamed_knobs.h"

#include <algorithm>

namespace lathe::store {
namespace {

struct Renamed {
  std::string_view family, before, now;
};

// Append only: records are kept for as long as their family's revision lasts.
constexpr Renamed kRenamed[] = {
    {"linear", "tile", "mr"},
    {"linear", "vectors", "nr"},
    {"linear", "rows", "mc"},
    {"linear", "columns", "nc"},
    {"linear", "depth", "kc"},
    {"batched_matmul", "tile", "mr"},
    {"batched_matmul", "vectors", "nr"},
    {"batched_matmul", "rows", "mc"},
    {"batched_matmul", "columns", "nc"},
    {"batched_matmul", "depth", "kc"},
};

std::string_view current_name(std::string_view family, std::string_view knob) {
  const auto* const found =
      std::find_if(std::begin(kRenamed), std::end(kRenamed),
                   [&](const Renamed& one) { return one.family == family && one.before == knob; });
  return found == std::end(kRenamed) ? knob : found->now;
}

}  // namespace

std::string with_current_names(std::string_view family, std::string_view schedule) {
  std::string text;
  while (!schedule.empty()) {
    const size_t end = std::min(schedule.find_first_of(", "), schedule.size());
    const std::string_view item = schedule.substr(0, end);
    const size_t equals = item.find('=');
    if (equals == std::string_view::npos) {
      text += item;
    } else {
      text += current_name(family, item.substr(0, equals));
      text += item.substr(equals);
    }
    if (end < schedule.size()) text += schedule[end];
    schedule.remove_prefix(std::min(end + 1, schedule.size()));
  }
  return text;
}

void use_current_names(std::string_view family, Trial& trial) {
  trial.schedule = with_current_names(family, trial.schedule);
}

void use_current_names(std::string_view family, Winner& winner) {
  winner.schedule = with_current_names(family, winner.schedule);
  winner.runner_up = with_current_names(family, winner.runner_up);
}

}  // namespace lathe::store
