// Fits a router's weights to the mass of dense attention, one head of k after the other.
//
// A head's scores are a bilinear form of pooled blocks, of some rank: s = (q · A) · (k · B)ᵀ. What
// blocks that are kept always take of the mass needs no score, so the softmax is over the others,
// and a block of tokens counts for as much as it gives them.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "compiler/check_inputs.h"
#include "runtime/attention/router_sample.h"
#include "runtime/attention/visible_blocks.h"
#include "support/error.h"

namespace lathe {
namespace {

using runtime::VisibleBlocks;

/// Row-major.
struct Matrix {
  Matrix() = default;
  Matrix(int64_t rows, int64_t columns)
      : rows(rows), columns(columns), values(static_cast<size_t>(rows * columns)) {}
  double* row(int64_t i) { return values.data() + i * columns; }
  const double* row(int64_t i) const { return values.data() + i * columns; }

  int64_t rows = 0, columns = 0;
  std::vector<double> values;
};

// c += a · b, or with `transposed` aᵀ · b.
void add_product(const Matrix& a, const Matrix& b, bool transposed, Matrix& c) {
  for (int64_t i = 0; i < a.rows; ++i) {
    for (int64_t k = 0; k < a.columns; ++k) {
      const double factor = a.row(i)[k];
      const double* from = b.row(transposed ? i : k);
      double* to = c.row(transposed ? k : i);
      for (int64_t j = 0; j < b.columns; ++j) to[j] += factor * from[j];
    }
  }
}

Matrix product_of(const Matrix& a, const Matrix& b) {
  Matrix c(a.rows, b.columns);
  add_product(a, b, /*transposed=*/false, c);
  return c;
}

/// One block of tokens: what it gives to the blocks of keys that need a score.
struct Row {
  int64_t query = 0;                ///< its row of Part::q
  std::vector<int64_t> candidates;  ///< rows of Part::k
  std::vector<double> share;        ///< of what they get together
  double weight = 0;                ///< that, of all mass
};
/// One sample, for one head of k.
struct Part {
  Matrix q, k;  ///< pooled blocks, each column divided by its root mean square over the samples
  std::vector<Row> rows;
};

std::vector<double> root_mean_squares(const std::vector<Part>& parts, Matrix Part::* of) {
  std::vector<double> squares(static_cast<size_t>((parts.front().*of).columns));
  double count = 0;
  for (const Part& part : parts) {
    const Matrix& matrix = part.*of;
    count += static_cast<double>(matrix.rows);
    for (int64_t i = 0; i < matrix.rows; ++i)
      for (int64_t j = 0; j < matrix.columns; ++j)
        squares[static_cast<size_t>(j)] += matrix.row(i)[j] * matrix.row(i)[j];
  }
  for (double& square : squares) square = square > 0 ? std::sqrt(square / count) : 1;
  return squares;
}

void divide_columns(std::vector<Part>& parts, Matrix Part::* of, const std::vector<double>& by) {
  for (Part& part : parts) {
    Matrix& matrix = part.*of;
    for (int64_t i = 0; i < matrix.rows; ++i)
      for (int64_t j = 0; j < matrix.columns; ++j) matrix.row(i)[j] /= by[static_cast<size_t>(j)];
  }
}

// Columns of unit length, each orthogonal to those before it (Gram and Schmidt, twice, so that
// nothing is left of what cancels). A column of which nothing is left becomes 0.
void orthonormalize(Matrix& m) {
  const auto dot = [&](int64_t a, int64_t b) {
    double sum = 0;
    for (int64_t i = 0; i < m.rows; ++i) sum += m.row(i)[a] * m.row(i)[b];
    return sum;
  };
  for (int64_t j = 0; j < m.columns; ++j) {
    const double before = std::sqrt(dot(j, j));
    for (int pass = 0; pass < 2; ++pass) {
      for (int64_t other = 0; other < j; ++other) {
        const double along = dot(j, other);
        for (int64_t i = 0; i < m.rows; ++i) m.row(i)[j] -= along * m.row(i)[other];
      }
    }
    const double length = std::sqrt(dot(j, j));
    const double factor = length > 1e-12 * before ? 1 / length : 0;
    for (int64_t i = 0; i < m.rows; ++i) m.row(i)[j] *= factor;
  }
}

Matrix transposed(const Matrix& m) {
  Matrix t(m.columns, m.rows);
  for (int64_t i = 0; i < m.rows; ++i)
    for (int64_t j = 0; j < m.columns; ++j) t.row(j)[i] = m.row(i)[j];
  return t;
}

/// Steps of Adam (Kingma and Ba, 2015) for one matrix, with weight decay beside them (Loshchilov
/// and Hutter, 2019).
class Adam {
 public:
  explicit Adam(size_t count) : mean_(count), square_(count) {}
  void step(const Matrix& gradient, double rate, double decay, int number, Matrix& m) {
    constexpr double kMean = 0.9, kSquare = 0.99, kLeast = 1e-12;
    for (size_t i = 0; i < m.values.size(); ++i) {
      const double g = gradient.values[i];
      mean_[i] = kMean * mean_[i] + (1 - kMean) * g;
      square_[i] = kSquare * square_[i] + (1 - kSquare) * g * g;
      const double of_mean = mean_[i] / (1 - std::pow(kMean, number));
      const double of_square = square_[i] / (1 - std::pow(kSquare, number));
      m.values[i] -= rate * (of_mean / (std::sqrt(of_square) + kLeast) + decay * m.values[i]);
    }
  }

 private:
  std::vector<double> mean_, square_;
};

class HeadFit {
 public:
  HeadFit(std::vector<Part> parts, const RouterFit& fit) : parts_(std::move(parts)), fit_(fit) {
    of_q_ = root_mean_squares(parts_, &Part::q);
    of_k_ = root_mean_squares(parts_, &Part::k);
    divide_columns(parts_, &Part::q, of_q_);
    divide_columns(parts_, &Part::k, of_k_);
    for (const Part& part : parts_)
      for (const Row& row : part.rows) total_ += row.weight;
  }

  /// Fits A and B, for pooled blocks as they are.
  void run(Matrix& a, Matrix& b) {
    start(a, b);
    Adam of_a(a.values.size()), of_b(b.values.size());
    for (int step = 1; total_ > 0 && step <= fit_.steps; ++step) {
      Matrix da(a.rows, a.columns), db(b.rows, b.columns);
      for (const Part& part : parts_) add_gradient(part, a, b, da, db);
      const double rate = fit_.learning_rate * (1 - static_cast<double>(step - 1) / fit_.steps);
      of_a.step(da, rate, fit_.decay, step, a);
      of_b.step(db, rate, fit_.decay, step, b);
    }
    for (int64_t i = 0; i < a.rows; ++i)
      for (int64_t r = 0; r < a.columns; ++r) a.row(i)[r] /= of_q_[static_cast<size_t>(i)];
    for (int64_t i = 0; i < b.rows; ++i)
      for (int64_t r = 0; r < b.columns; ++r) b.row(i)[r] /= of_k_[static_cast<size_t>(i)];
  }

 private:
  // The first singular vectors of the gradient of the whole form where it is 0, on both sides; so
  // scaled that scores have a mean square of 1.
  void start(Matrix& a, Matrix& b) {
    const int64_t wide = parts_.front().q.columns, dim = parts_.front().k.columns;
    Matrix gradient(wide, dim);
    for (const Part& part : parts_) {
      for (const Row& row : part.rows) {
        const double* q = part.q.row(row.query);
        const double even = 1.0 / static_cast<double>(row.candidates.size());
        std::vector<double> k(static_cast<size_t>(dim));
        for (size_t c = 0; c < row.candidates.size(); ++c)
          for (int64_t j = 0; j < dim; ++j)
            k[static_cast<size_t>(j)] += (row.share[c] - even) * part.k.row(row.candidates[c])[j];
        for (int64_t i = 0; i < wide; ++i)
          for (int64_t j = 0; j < dim; ++j)
            gradient.row(i)[j] += row.weight * q[i] * k[static_cast<size_t>(j)];
      }
    }
    b = Matrix(dim, fit_.rank);
    compiler::Random random(20240607);
    for (double& value : b.values) value = random.normal();
    constexpr int kIterations = 30;
    const Matrix back = transposed(gradient);
    for (int i = 0; i < kIterations; ++i) {
      orthonormalize(b);
      a = product_of(gradient, b);
      b = product_of(back, a);
    }
    orthonormalize(b);
    a = product_of(gradient, b);
    orthonormalize(a);
    rescale(a, b);
  }

  void rescale(Matrix& a, Matrix& b) const {
    double squares = 0, count = 0;
    for (const Part& part : parts_) {
      const Matrix q = product_of(part.q, a), k = product_of(part.k, b);
      for (const Row& row : part.rows) {
        for (const int64_t candidate : row.candidates) {
          const double score = std::inner_product(q.row(row.query), q.row(row.query) + q.columns,
                                                  k.row(candidate), 0.0);
          squares += score * score;
          count += 1;
        }
      }
    }
    if (squares <= 0) return;
    const double factor = std::pow(count / squares, 0.25);
    for (double& value : a.values) value *= factor;
    for (double& value : b.values) value *= factor;
  }

  // Of the mean divergence: softmax less share, for each row and candidate.
  void add_gradient(const Part& part, const Matrix& a, const Matrix& b, Matrix& da,
                    Matrix& db) const {
    const Matrix q = product_of(part.q, a), k = product_of(part.k, b);
    Matrix dq(q.rows, q.columns), dk(k.rows, k.columns);
    std::vector<double> scores;
    for (const Row& row : part.rows) {
      const double* of_q = q.row(row.query);
      scores.clear();
      for (const int64_t candidate : row.candidates)
        scores.push_back(std::inner_product(of_q, of_q + q.columns, k.row(candidate), 0.0));
      const double largest = *std::max_element(scores.begin(), scores.end());
      double sum = 0;
      for (double& score : scores) sum += score = std::exp(score - largest);
      for (size_t c = 0; c < scores.size(); ++c) {
        const double d = (scores[c] / sum - row.share[c]) * row.weight / total_;
        const double* of_k = k.row(row.candidates[c]);
        for (int64_t r = 0; r < q.columns; ++r) {
          dq.row(row.query)[r] += d * of_k[r];
          dk.row(row.candidates[c])[r] += d * of_q[r];
        }
      }
    }
    add_product(part.q, dq, /*transposed=*/true, da);
    add_product(part.k, dk, /*transposed=*/true, db);
  }

  std::vector<Part> parts_;
  const RouterFit& fit_;
  std::vector<double> of_q_, of_k_;
  double total_ = 0;  ///< mass that needs scores
};

Matrix rows_of_head(const std::vector<double>& pooled, int64_t heads, int64_t head,
                    int64_t columns) {
  const auto size = pooled.size() / static_cast<size_t>(heads);
  Matrix matrix(static_cast<int64_t>(size) / columns, columns);
  std::copy_n(pooled.begin() + static_cast<std::ptrdiff_t>(size) * head, size,
              matrix.values.begin());
  return matrix;
}

/// All heads' parts of one sample.
Result<std::vector<Part>> parts_of(const RouterSample& sample, const RouterFit& fit) {
  LATHE_TRY(const runtime::SampleSizes sizes, runtime::check_sample(sample));
  LATHE_TRY(const std::vector<float> mass, block_mass(sample, fit.block, fit.causal));
  const auto q = runtime::pooled_blocks(sample.q, fit.block, sizes.kv_heads);
  const auto k = runtime::pooled_blocks(sample.k, fit.block, sizes.kv_heads);
  const BlockSelection selection{.block = fit.block,
                                 .tokens = sizes.tokens,
                                 .context = sizes.context,
                                 .causal = fit.causal,
                                 .sinks = fit.sinks,
                                 .local = fit.local};
  std::vector<Part> parts;
  for (int64_t head = 0; head < sizes.kv_heads; ++head) {
    Part& part = parts.emplace_back();
    part.q = rows_of_head(q, sizes.kv_heads, head, sizes.group() * sizes.dim);
    part.k = rows_of_head(k, sizes.kv_heads, head, sizes.dim);
    for (int64_t i = 0; i < part.q.rows; ++i) {
      const VisibleBlocks visible(selection, i);
      const float* of_row = mass.data() + (head * part.q.rows + i) * part.k.rows;
      Row row;
      row.query = i;
      for (int64_t j = 0; j < visible.end; ++j) {
        if (visible.is_kept(j)) continue;
        row.candidates.push_back(j);
        row.share.push_back(double{of_row[j]});
        row.weight += double{of_row[j]};
      }
      if (row.candidates.size() < 2 || row.weight <= 0) continue;
      for (double& share : row.share) share /= row.weight;
      part.rows.push_back(std::move(row));
    }
  }
  return parts;
}

Status check_fit(std::span<const RouterSample> samples, const RouterFit& fit) {
  if (samples.empty())
    return fail(ErrorCode::invalid_argument, "fit_router: found no samples, expected one or more");
  const int64_t dim = samples.front().k.rank == 3 ? samples.front().k.shape[2] : 0;
  if (fit.block < 1 || fit.rank < 1 || fit.rank > dim || fit.sinks < 0 || fit.local < 1 ||
      fit.steps < 0 || !(fit.learning_rate >= 0) || !(fit.decay >= 0)) {
    return fail(ErrorCode::invalid_argument,
                "fit_router: found block {}, rank {}, sinks {}, local {}, steps {}, learning_rate "
                "{}, decay {}; expected block and local from 1 on, a rank of 1 to {}, the size of "
                "a head, and nothing negative",
                fit.block, fit.rank, fit.sinks, fit.local, fit.steps, fit.learning_rate, fit.decay,
                dim);
  }
  return {};
}

void append(const Matrix& matrix, double factor, std::vector<float>& to) {
  for (const double value : matrix.values) to.push_back(static_cast<float>(value * factor));
}

}  // namespace

Result<RouterWeights> fit_router(std::span<const RouterSample> samples, const RouterFit& fit) {
  LATHE_CHECK(check_fit(samples, fit));
  LATHE_TRY(const runtime::SampleSizes sizes, runtime::check_sample(samples.front()));
  std::vector<std::vector<Part>> of_heads(static_cast<size_t>(sizes.kv_heads));
  for (const RouterSample& sample : samples) {
    LATHE_TRY(const runtime::SampleSizes these, runtime::check_sample(sample));
    if (these.heads != sizes.heads || these.kv_heads != sizes.kv_heads || these.dim != sizes.dim) {
      return fail(ErrorCode::invalid_argument,
                  "fit_router: found a sample of {} and {} heads of {}, expected {} and {} of {}, "
                  "as the first has",
                  these.heads, these.kv_heads, these.dim, sizes.heads, sizes.kv_heads, sizes.dim);
    }
    LATHE_TRY(std::vector<Part> parts, parts_of(sample, fit));
    for (size_t head = 0; head < parts.size(); ++head)
      of_heads[head].push_back(std::move(parts[head]));
  }
  RouterWeights weights{.heads = sizes.heads,
                        .kv_heads = sizes.kv_heads,
                        .dim = sizes.dim,
                        .rank = fit.rank,
                        .wq = {},
                        .wk = {}};
  for (std::vector<Part>& parts : of_heads) {
    Matrix a, b;
    HeadFit(std::move(parts), fit).run(a, b);
    // The router divides its scores by the root of a head's size.
    append(a, std::sqrt(static_cast<double>(sizes.dim)), weights.wq);
    append(b, 1, weights.wk);
  }
  return weights;
}

}  // namespace lathe
