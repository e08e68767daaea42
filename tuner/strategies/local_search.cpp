// From the default on, neighbours of the fastest schedule so far: those that differ in one knob,
// then in two. Among equals the static estimate decides.
#include <algorithm>

#include "tuner/strategies/strategy.h"

namespace lathe::tuner {
namespace {

class LocalSearch final : public Strategy {
 public:
  explicit LocalSearch(SearchPoints points) : Strategy(std::move(points)) {
    Experience names;
    for (const Point& point : this->points())
      features_.push_back(names.features_of(point.schedule));
  }

  double promise() override { return left() > 0 ? 0.01 : 0; }

 protected:
  std::vector<size_t> choose(size_t count) override {
    size_t fastest = 0;
    for (size_t i = 0; i < points().size(); ++i)
      if (points()[i].relative && *points()[i].relative < points()[fastest].relative.value_or(1))
        fastest = i;
    std::vector<std::pair<int, size_t>> order;
    for (size_t i = 0; i < points().size(); ++i)
      if (!points()[i].tried) order.emplace_back(knobs_between(i, fastest), i);
    std::stable_sort(order.begin(), order.end(), [&](const auto& a, const auto& b) {
      if (a.first != b.first) return a.first < b.first;
      return points()[a.second].estimate < points()[b.second].estimate;
    });
    std::vector<size_t> places;
    for (const auto& [knobs, place] : order)
      if (places.size() < count) places.push_back(place);
    return places;
  }

 private:
  int knobs_between(size_t a, size_t b) const {
    int different = 0;
    for (size_t k = 0; k < std::min(features_[a].size(), features_[b].size()); ++k)
      different += features_[a][k].value != features_[b][k].value ? 1 : 0;
    return different;
  }

  std::vector<Experience::Features> features_;  ///< of each point, knobs in one order
};

}  // namespace

std::unique_ptr<Strategy> make_local_search(SearchPoints points) {
  return std::make_unique<LocalSearch>(std::move(points));
}

}  // namespace lathe::tuner
