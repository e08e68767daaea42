// Every point, in the order of the static estimate.
#include <algorithm>

#include "tuner/strategies/strategy.h"

namespace lathe::tuner {
namespace {

class Exhaustive final : public Strategy {
 public:
  using Strategy::Strategy;

  // Each point is as promising as the next: searches compare by the time spent alone.
  double promise() override { return left() > 0 ? 0.01 : 0; }

 protected:
  std::vector<size_t> choose(size_t count) override {
    std::vector<size_t> places;
    for (size_t i = 0; i < points().size(); ++i)
      if (!points()[i].tried) places.push_back(i);
    std::stable_sort(places.begin(), places.end(), [&](size_t a, size_t b) {
      return points()[a].estimate < points()[b].estimate;
    });
    places.resize(std::min(places.size(), count));
    return places;
  }
};

}  // namespace

std::unique_ptr<Strategy> make_exhaustive(SearchPoints points) {
  return std::make_unique<Exhaustive>(std::move(points));
}

}  // namespace lathe::tuner
