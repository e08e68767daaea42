// Every point, in a random order that is the same each time: what others must be better than.
#include <algorithm>
#include <numeric>
#include <random>

#include "tuner/strategies/strategy.h"

namespace lathe::tuner {
namespace {

class Random final : public Strategy {
 public:
  explicit Random(SearchPoints points)
      : Strategy(std::move(points)), order_(this->points().size()) {
    std::iota(order_.begin(), order_.end(), size_t{0});
    std::mt19937 random(1);
    // Not std::shuffle, whose order differs between libraries.
    for (size_t i = order_.size(); i > 1; --i) std::swap(order_[i - 1], order_[random() % i]);
  }

  double promise() override { return left() > 0 ? 0.01 : 0; }

 protected:
  std::vector<size_t> choose(size_t count) override {
    std::vector<size_t> places;
    for (const size_t place : order_)
      if (!points()[place].tried && places.size() < count) places.push_back(place);
    return places;
  }

 private:
  std::vector<size_t> order_;
};

}  // namespace

std::unique_ptr<Strategy> make_random(SearchPoints points) {
  return std::make_unique<Random>(std::move(points));
}

}  // namespace lathe::tuner
