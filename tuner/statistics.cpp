// Medians, spreads and the sign test.
#include "tuner/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

namespace lathe::tuner {
namespace {

double quantile(std::vector<double>& samples, double fraction) {
  const auto index =
      static_cast<ptrdiff_t>(fraction * static_cast<double>(samples.size() - 1) + 0.5);
  std::nth_element(samples.begin(), samples.begin() + index, samples.end());
  return samples[static_cast<size_t>(index)];
}

}  // namespace

double median(std::vector<double> samples) {
  if (samples.empty()) return 0;
  const size_t half = samples.size() / 2;
  std::nth_element(samples.begin(), samples.begin() + static_cast<ptrdiff_t>(half), samples.end());
  const double upper = samples[half];
  if (samples.size() % 2 == 1) return upper;
  return (upper +
          *std::max_element(samples.begin(), samples.begin() + static_cast<ptrdiff_t>(half))) /
         2;
}

double relative_spread(std::vector<double> samples) {
  if (samples.size() < 4) return 0;
  const double middle = median(samples);
  if (middle <= 0) return 0;
  return (quantile(samples, 0.75) - quantile(samples, 0.25)) / middle;
}

double confidence_faster(std::span<const double> a, std::span<const double> b) {
  const size_t pairs = std::min(a.size(), b.size());
  int wins = 0, losses = 0;
  for (size_t i = 0; i < pairs; ++i) {
    wins += a[i] < b[i] ? 1 : 0;
    losses += a[i] > b[i] ? 1 : 0;
  }
  const int n = wins + losses;
  if (n == 0) return 0.5;
  // p = P(at least `wins` of n fair coins): a large p-value means no evidence that a is faster.
  // Half the weight of the observed count itself keeps the measure symmetric: swapping a and b
  // gives 1 - it.
  double p = 0, log_choose = -n * std::log(2.0);
  std::vector<double> probability(static_cast<size_t>(n) + 1);
  for (int k = 0; k <= n; ++k) {
    probability[static_cast<size_t>(k)] = std::exp(log_choose);
    log_choose += std::log(static_cast<double>(n - k)) - std::log(static_cast<double>(k + 1));
  }
  for (int k = wins; k <= n; ++k) p += probability[static_cast<size_t>(k)];
  return 1 - p + probability[static_cast<size_t>(wins)] / 2;
}

double relative_error(std::vector<double> samples) {
  const double middle = median(samples);
  if (samples.size() < 3 || middle <= 0) return std::numeric_limits<double>::infinity();
  double sum = 0, most = 0;
  for (const double sample : samples) {
    const double deviation = std::fabs(sample - middle);
    sum += deviation;
    most = std::max(most, deviation);
  }
  auto count = static_cast<double>(samples.size());
  if (samples.size() >= 5) sum -= most, count -= 1;
  constexpr double kNormal = 1.2533;  // sqrt(pi / 2): standard over mean absolute deviation, and
                                      // error of the median over that of the mean
  return kNormal * kNormal * sum / count / middle / std::sqrt(static_cast<double>(samples.size()));
}

bool tied(std::span<const double> a, std::span<const double> b, double margin) {
  std::vector<double> ratios;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) ratios.push_back(a[i] / b[i]);
  return std::fabs(median(ratios) - 1) + 2 * relative_error(ratios) < margin;
}

double confidence_smaller_sum(std::span<const WeightedPairs> tasks) {
  constexpr int kResamplings = 1000;
  std::mt19937 random(1);
  double smaller = 0;
  std::vector<double> a, b;
  for (int i = 0; i < kResamplings; ++i) {
    double difference = 0;
    for (const WeightedPairs& task : tasks) {
      const size_t rounds = std::min(task.a.size(), task.b.size());
      a.clear();
      b.clear();
      for (size_t k = 0; k < rounds; ++k) {
        const size_t round = random() % rounds;
        a.push_back(task.a[round]);
        b.push_back(task.b[round]);
      }
      difference += task.weight * (median(a) - median(b));
    }
    smaller += difference < 0 ? 1 : difference == 0 ? 0.5 : 0;
  }
  return smaller / kResamplings;
}

bool clearly_slower(std::span<const double> candidate, std::span<const double> leader,
                    double margin, double certainty) {
  const double ours = median({candidate.begin(), candidate.end()});
  const double best = median({leader.begin(), leader.end()});
  return ours > best * (1 + margin) && confidence_faster(leader, candidate) >= certainty;
}

}  // namespace lathe::tuner
