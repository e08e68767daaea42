// Matrices of doubles, and what linear algebra the fitting of routers and factors needs of them.
//
// Eigen computes; matrix.cpp alone includes it. Sums are made in one order on every host: blocks of
// products do not follow the host's caches.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <lathe/error.h>

namespace lathe::runtime {

/// Row-major; of zeros when it is made.
struct Matrix {
  Matrix() = default;
  Matrix(int64_t rows, int64_t columns)
      : rows(rows), columns(columns), values(static_cast<size_t>(rows * columns)) {}
  double* row(int64_t i) { return values.data() + i * columns; }
  const double* row(int64_t i) const { return values.data() + i * columns; }

  int64_t rows = 0, columns = 0;
  std::vector<double> values;
};

/// a · b.
Matrix product(const Matrix& a, const Matrix& b);
/// a · bᵀ.
Matrix product_transposed(const Matrix& a, const Matrix& b);
/// c += aᵀ · b.
void add_transposed_product(const Matrix& a, const Matrix& b, Matrix& c);

struct EigenSystem {
  std::vector<double> values;  ///< descending
  Matrix vectors;              ///< [n, n]: row i belongs to value i; orthonormal
};

/// Of a symmetric matrix [n, n] of finite numbers; only its lower half is read. internal where the
/// iteration does not converge.
Result<EigenSystem> symmetric_eigen(const Matrix& matrix);

}  // namespace lathe::runtime
