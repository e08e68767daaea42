// Linear algebra by Eigen.
#include "runtime/attention/matrix.h"

#include <algorithm>

#include "support/error.h"

// Sizes of blocks are fixed rather than asked of the CPU. The name keeps our code apart from
// another Eigen in a program that links both: compiled with other flags, the same names would be
// other code.
#define EIGEN_NO_CPUID
#define EIGEN_DONT_PARALLELIZE
#define Eigen lathe_eigen
#include <Eigen/Core>
#include <Eigen/Eigenvalues>
#undef Eigen

namespace lathe::runtime {
namespace {

using Dense =
    lathe_eigen::Matrix<double, lathe_eigen::Dynamic, lathe_eigen::Dynamic, lathe_eigen::RowMajor>;

lathe_eigen::Map<const Dense> map_of(const Matrix& m) {
  return {m.values.data(), m.rows, m.columns};
}
lathe_eigen::Map<Dense> map_of(Matrix& m) { return {m.values.data(), m.rows, m.columns}; }

}  // namespace

Matrix product(const Matrix& a, const Matrix& b) {
  Matrix c(a.rows, b.columns);
  map_of(c).noalias() += map_of(a) * map_of(b);
  return c;
}

Matrix product_transposed(const Matrix& a, const Matrix& b) {
  Matrix c(a.rows, b.rows);
  map_of(c).noalias() += map_of(a) * map_of(b).transpose();
  return c;
}

void add_transposed_product(const Matrix& a, const Matrix& b, Matrix& c) {
  map_of(c).noalias() += map_of(a).transpose() * map_of(b);
}

Result<EigenSystem> symmetric_eigen(const Matrix& matrix) {
  const lathe_eigen::SelfAdjointEigenSolver<Dense> solver(map_of(matrix));
  if (solver.info() != lathe_eigen::Success) {
    return fail(ErrorCode::internal, "eigenvectors of a matrix of {} rows did not converge",
                matrix.rows);
  }
  EigenSystem system{std::vector<double>(static_cast<size_t>(matrix.rows)),
                     Matrix(matrix.rows, matrix.rows)};
  lathe_eigen::Map<lathe_eigen::VectorXd>(system.values.data(), matrix.rows) =
      solver.eigenvalues().reverse();
  map_of(system.vectors) = solver.eigenvectors().transpose().colwise().reverse();
  return system;
}

}  // namespace lathe::runtime
