// Regression by a Gaussian process (Rasmussen and Williams 2006, algorithm 2.1).
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace lathe::tuner {

/// Values at points that are known by their covariances alone. The prior mean is 0. A plain value.
class GaussianProcess {
 public:
  /// `covariance`: n x n, row-major, symmetric and positive semidefinite; `noise`: variance of each
  /// value's error, above 0.
  GaussianProcess(std::vector<double> covariance, std::span<const double> values, double noise);

  struct Prediction {
    double mean = 0, deviation = 0;
  };
  /// At a point of that covariance with each known one, and of that variance.
  Prediction predict(std::span<const double> covariance, double variance) const;

 private:
  size_t n_ = 0;
  std::vector<double> factor_;   ///< of Cholesky, lower triangle
  std::vector<double> weights_;  ///< inverse covariance times values
};

/// How much a normal variable is expected to lie below `best`: the expected improvement (Jones,
/// Schonlau and Welch 1998).
double expected_improvement(const GaussianProcess::Prediction& prediction, double best);

}  // namespace lathe::tuner
