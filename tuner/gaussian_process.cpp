// Cholesky's factor, and two triangular solves.
#include "tuner/gaussian_process.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace lathe::tuner {
namespace {

/// Solves L z = y in place.
void solve_lower(const std::vector<double>& factor, size_t n, std::vector<double>& y) {
  for (size_t i = 0; i < n; ++i) {
    double sum = y[i];
    const double* row = factor.data() + i * n;
    for (size_t k = 0; k < i; ++k) sum -= row[k] * y[k];
    y[i] = sum / row[i];
  }
}

}  // namespace

GaussianProcess::GaussianProcess(std::vector<double> covariance, std::span<const double> values,
                                 double noise)
    : n_(values.size()), factor_(std::move(covariance)), weights_(values.begin(), values.end()) {
  for (size_t i = 0; i < n_; ++i) {
    for (size_t j = 0; j <= i; ++j) {
      double sum = factor_[i * n_ + j] + (i == j ? noise : 0);
      for (size_t k = 0; k < j; ++k) sum -= factor_[i * n_ + k] * factor_[j * n_ + k];
      // Rounding may leave a hair below the noise; the square root must exist.
      factor_[i * n_ + j] =
          i == j ? std::sqrt(std::max(sum, noise / 2)) : sum / factor_[j * n_ + j];
    }
  }
  solve_lower(factor_, n_, weights_);
  for (size_t i = n_; i-- > 0;) {
    double sum = weights_[i];
    for (size_t k = i + 1; k < n_; ++k) sum -= factor_[k * n_ + i] * weights_[k];
    weights_[i] = sum / factor_[i * n_ + i];
  }
}

GaussianProcess::Prediction GaussianProcess::predict(std::span<const double> covariance,
                                                     double variance) const {
  Prediction prediction;
  for (size_t i = 0; i < n_; ++i) prediction.mean += covariance[i] * weights_[i];
  std::vector<double> solved(covariance.begin(), covariance.end());
  solve_lower(factor_, n_, solved);
  double explained = 0;
  for (const double part : solved) explained += part * part;
  prediction.deviation = std::sqrt(std::max(variance - explained, 0.0));
  return prediction;
}

double expected_improvement(const GaussianProcess::Prediction& prediction, double best) {
  const double gain = best - prediction.mean;
  if (prediction.deviation <= 0) return std::max(gain, 0.0);
  const double z = gain / prediction.deviation;
  const double density = std::exp(-z * z / 2) / std::sqrt(2 * std::numbers::pi);
  const double below = std::erfc(-z / std::numbers::sqrt2) / 2;
  return gain * below + prediction.deviation * density;
}

}  // namespace lathe::tuner
