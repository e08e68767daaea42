// By a Gaussian process over the logarithm of a schedule's time beside its kernel's default. Two
// observations go together as far as both their kernels and their schedules are alike
// (tuner/experience.h), so that a kernel learns from its own trials most, then from its neighbours
// of this session, then from other hosts. The points with the greatest expected improvement are
// next.
#include <algorithm>
#include <cmath>

#include "tuner/gaussian_process.h"
#include "tuner/strategies/strategy.h"

namespace lathe::tuner {
namespace {

constexpr size_t kObservations = 160;
constexpr double kDeviation = 0.25;  ///< of a schedule's logarithm around the mean
constexpr double kMean = 0.08;       ///< schedules are slower than the default more often than not
constexpr double kNoise = 0.02;      ///< of a race's median
/// What the static estimate's logarithm counts: it orders the points of which nothing is known.
constexpr double kEstimate = 0.02;
constexpr double kMostEstimate = 2;

class ModelGuided final : public Strategy {
 public:
  ModelGuided(SearchPoints points, Experience& experience, int kernel)
      : Strategy(std::move(points)), experience_(experience), kernel_(kernel) {
    for (const Point& point : this->points())
      features_.push_back(experience.features_of(point.schedule));
    experience_.add(kernel_, this->points().front().schedule, 1);
  }

  double promise() override {
    if (left() == 0) return 0;
    const auto ranked = rank();
    // As a share of the best's time; improvements are of logarithms.
    return ranked.empty() ? 0 : 1 - std::exp(-ranked.front().first);
  }

 protected:
  std::vector<size_t> choose(size_t count) override {
    const auto ranked = rank();
    std::vector<size_t> places;
    for (size_t i = 0; i < std::min(count, ranked.size()); ++i) places.push_back(ranked[i].second);
    return places;
  }

  void learn(size_t place) override {
    experience_.add(kernel_, points()[place].schedule, *points()[place].relative);
  }

 private:
  double prior_mean(size_t place) const {
    const double ratio = points()[place].estimate / points().front().estimate;
    if (!std::isfinite(ratio) || ratio <= 0) return kMean;
    return (place == 0 ? 0 : kMean) +
           kEstimate * std::clamp(std::log(ratio), -kMostEstimate, kMostEstimate);
  }

  static double alike(double kernels, const Experience::Features& a,
                      const Experience::Features& b) {
    return kDeviation * kDeviation * std::exp(-kernels - Experience::distance(a, b));
  }

  // Points not tried with their expected improvement, the greatest first.
  std::vector<std::pair<double, size_t>> rank() const {
    const auto near = experience_.nearest(kernel_, kObservations);
    const size_t n = near.size();
    std::vector<double> covariance(n * n), values(n);
    for (size_t i = 0; i < n; ++i) {
      values[i] = near[i].observation->log_time - kMean;
      for (size_t j = 0; j <= i; ++j) {
        const double kernels = near[i].kernel == near[j].kernel
                                   ? 0
                                   : experience_.distance(near[i].kernel, near[j].kernel);
        covariance[i * n + j] = covariance[j * n + i] =
            alike(kernels, near[i].observation->knobs, near[j].observation->knobs);
      }
    }
    const GaussianProcess process(std::move(covariance), values, kNoise * kNoise);
    const double fastest = std::log(best());
    std::vector<std::pair<double, size_t>> ranked;
    std::vector<double> with(n);
    for (size_t place = 0; place < points().size(); ++place) {
      if (points()[place].tried) continue;
      for (size_t i = 0; i < n; ++i)
        with[i] = alike(near[i].distance, near[i].observation->knobs, features_[place]);
      auto prediction = process.predict(with, kDeviation * kDeviation);
      prediction.mean += prior_mean(place);
      ranked.emplace_back(expected_improvement(prediction, fastest), place);
    }
    std::stable_sort(ranked.begin(), ranked.end(),
                     [](const auto& a, const auto& b) { return a.first > b.first; });
    return ranked;
  }

  Experience& experience_;
  int kernel_;
  std::vector<Experience::Features> features_;  ///< of each point
};

}  // namespace

std::unique_ptr<Strategy> make_model_guided(SearchPoints points, Experience& experience,
                                            int kernel) {
  return std::make_unique<ModelGuided>(std::move(points), experience, kernel);
}

}  // namespace lathe::tuner
