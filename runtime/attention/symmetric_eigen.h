// Eigenvectors of a symmetric matrix.
#pragma once

#include <cstddef>
#include <vector>

namespace lathe::runtime {

struct EigenSystem {
  std::vector<double> values;   ///< descending
  std::vector<double> vectors;  ///< [n, n]: row i belongs to value i; orthonormal
};

/// Of a symmetric matrix [n, n] of finite numbers, by Jacobi's method: every pair of rows is turned
/// until what is off the diagonal vanishes beside it. Some 10 n^3 steps; the same on every host
/// that adds and multiplies as IEEE 754 says.
EigenSystem symmetric_eigen(std::vector<double> matrix, size_t n);

}  // namespace lathe::runtime
