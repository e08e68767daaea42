// What all strategies share: which points were tried, and what they took.
#include "tuner/strategies/strategy.h"

#include <algorithm>

namespace lathe::tuner {

Strategy::Strategy(SearchPoints points) {
  for (size_t i = 0; i < points.schedules.size(); ++i)
    points_.push_back({std::move(points.schedules[i]), points.estimates[i]});
  if (!points_.empty()) points_.front().tried = true;  // the default is timed in every race
  left_ = points_.empty() ? 0 : points_.size() - 1;
}

std::vector<std::string> Strategy::propose(size_t count) {
  std::vector<std::string> schedules;
  for (const size_t place : choose(std::min(count, left_))) {
    points_[place].tried = true;
    --left_;
    schedules.push_back(points_[place].schedule);
  }
  return schedules;
}

std::optional<size_t> Strategy::place_of(std::string_view schedule) const {
  const auto found = std::find_if(points_.begin(), points_.end(),
                                  [&](const Point& point) { return point.schedule == schedule; });
  if (found == points_.end()) return std::nullopt;
  return static_cast<size_t>(found - points_.begin());
}

void Strategy::observe(std::string_view schedule, double relative) {
  recall(schedule, relative);
  if (const auto place = place_of(schedule); place && relative > 0) learn(*place);
}

void Strategy::recall(std::string_view schedule, double relative) {
  const auto place = place_of(schedule);
  if (!place || !(relative > 0)) return;
  leave_out(schedule);
  points_[*place].relative = relative;
}

void Strategy::leave_out(std::string_view schedule) {
  const auto place = place_of(schedule);
  if (!place || points_[*place].tried) return;
  points_[*place].tried = true;
  --left_;
}

double Strategy::best() const {
  double best = 1;
  for (const Point& point : points_)
    if (point.relative) best = std::min(best, *point.relative);
  return best;
}

std::string_view to_string(StrategyKind kind) {
  switch (kind) {
    case StrategyKind::exhaustive: return "exhaustive";
    case StrategyKind::random: return "random";
    case StrategyKind::local: return "local";
    case StrategyKind::model: return "model";
  }
  return "unknown";
}

Result<StrategyKind> parse_strategy(std::string_view text) {
  for (const StrategyKind kind : kStrategies)
    if (to_string(kind) == text) return kind;
  return fail(ErrorCode::invalid_argument,
              "strategy: found '{}', expected exhaustive, random, local or model", text);
}

std::unique_ptr<Strategy> make_strategy(StrategyKind kind, SearchPoints points,
                                        Experience& experience, int kernel) {
  switch (kind) {
    case StrategyKind::exhaustive: return make_exhaustive(std::move(points));
    case StrategyKind::random: return make_random(std::move(points));
    case StrategyKind::local: return make_local_search(std::move(points));
    case StrategyKind::model: break;
  }
  return make_model_guided(std::move(points), experience, kernel);
}

}  // namespace lathe::tuner
