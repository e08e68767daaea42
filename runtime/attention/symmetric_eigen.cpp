// Jacobi's method with the rotations of Golub and van Loan, Matrix Computations, 8.5.
#include "runtime/attention/symmetric_eigen.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace lathe::runtime {
namespace {

constexpr int kMostSweeps = 64;  // convergence is quadratic: ten are usual
constexpr double kNegligible = 1e-15;

// Rows p and q of [n, n], turned.
void turn_rows(std::vector<double>& m, size_t n, size_t p, size_t q, double c, double s) {
  for (size_t i = 0; i < n; ++i) {
    const double a = m[p * n + i], b = m[q * n + i];
    m[p * n + i] = c * a - s * b;
    m[q * n + i] = s * a + c * b;
  }
}

void turn_columns(std::vector<double>& m, size_t n, size_t p, size_t q, double c, double s) {
  for (size_t i = 0; i < n; ++i) {
    const double a = m[i * n + p], b = m[i * n + q];
    m[i * n + p] = c * a - s * b;
    m[i * n + q] = s * a + c * b;
  }
}

}  // namespace

EigenSystem symmetric_eigen(std::vector<double> matrix, size_t n) {
  std::vector<double> vectors(n * n);
  for (size_t i = 0; i < n; ++i) vectors[i * n + i] = 1;
  double largest = 0;
  for (const double x : matrix) largest = std::max(largest, std::fabs(x));
  const double negligible = largest * kNegligible;
  bool has_turned = true;
  for (int sweep = 0; sweep < kMostSweeps && has_turned; ++sweep) {
    has_turned = false;
    for (size_t p = 0; p + 1 < n; ++p) {
      for (size_t q = p + 1; q < n; ++q) {
        const double off = matrix[p * n + q];
        if (std::fabs(off) <= negligible) continue;
        has_turned = true;
        const double tau = (matrix[q * n + q] - matrix[p * n + p]) / (2 * off);
        const double t = (tau < 0 ? -1 : 1) / (std::fabs(tau) + std::sqrt(1 + tau * tau));
        const double c = 1 / std::sqrt(1 + t * t), s = t * c;
        turn_rows(matrix, n, p, q, c, s);
        turn_columns(matrix, n, p, q, c, s);
        turn_rows(vectors, n, p, q, c, s);
      }
    }
  }
  std::vector<size_t> order(n);
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return matrix[a * n + a] > matrix[b * n + b]; });
  EigenSystem result;
  for (const size_t i : order) {
    result.values.push_back(matrix[i * n + i]);
    result.vectors.insert(result.vectors.end(),
                          vectors.begin() + static_cast<std::ptrdiff_t>(i * n),
                          vectors.begin() + static_cast<std::ptrdiff_t>((i + 1) * n));
  }
  return result;
}

}  // namespace lathe::runtime
