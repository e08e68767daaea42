// Points in the order of their distance from the default.
#include "compiler/fallback.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace lathe::compiler {
namespace {

// Knobs that differ, then steps along their values: few changes keep most of what the default's
// author knew.
std::pair<int64_t, int64_t> distance(const SearchSpace& space, const Schedule& point) {
  std::pair<int64_t, int64_t> sum = {0, 0};
  for (const Knob& knob : space.knobs()) {
    const auto place = [&](int64_t value) {
      return std::find(knob.values.begin(), knob.values.end(), value) - knob.values.begin();
    };
    const int64_t steps = std::abs(place(point[knob.name]) - place(knob.default_value));
    sum.first += steps != 0 ? 1 : 0;
    sum.second += steps;
  }
  return sum;
}

}  // namespace

std::vector<Schedule> points_by_nearness(const SearchSpace& space) {
  std::vector<std::pair<std::pair<int64_t, int64_t>, Schedule>> judged;
  for (Schedule& point : space.points())
    judged.emplace_back(distance(space, point), std::move(point));
  std::stable_sort(judged.begin(), judged.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<Schedule> points;
  for (auto& [how_far, point] : judged) points.push_back(std::move(point));
  return points;
}

Result<Schedule> nearest_accepted(const SearchSpace& space,
                                  const std::function<Status(const Schedule&)>& accept) {
  Schedule first = space.default_schedule();
  const Status verdict = accept(first);
  if (verdict) return first;
  if (verdict.error().code != ErrorCode::rejected) return tl::unexpected(verdict.error());
  std::vector<Schedule> points = points_by_nearness(space);
  for (size_t i = 0; i < std::min(points.size(), kFallbackPoints); ++i) {
    if (points[i] == first) continue;
    const Status other = accept(points[i]);
    if (other) return std::move(points[i]);
    if (other.error().code != ErrorCode::rejected) return tl::unexpected(other.error());
  }
  return tl::unexpected(verdict.error());
}

}  // namespace lathe::compiler
