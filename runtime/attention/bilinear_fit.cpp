// Whitening, two starts and Adam.
#include "runtime/attention/bilinear_fit.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "support/error.h"

namespace lathe::runtime {
namespace {

constexpr double kNoCandidate = -1;
// What directions that hardly occur are taken to have, of the mean variance.
constexpr double kRidge = 1e-3;
constexpr int kStepsBetweenChecks = 10;

/// Coordinates x · to of unit variance; `from` leads back: to · fromᵀ is the identity.
struct Whitening {
  Matrix to, from;
};

Result<Whitening> whitening_of(const std::vector<MassPart>& parts, Matrix MassPart::* of) {
  const int64_t n = (parts.front().*of).columns;
  Matrix products(n, n);
  double rows = 0, variance = 0;
  for (const MassPart& part : parts) {
    add_transposed_product(part.*of, part.*of, products);
    rows += static_cast<double>((part.*of).rows);
  }
  for (double& value : products.values) value /= rows;
  LATHE_TRY(const EigenSystem axes, symmetric_eigen(products));
  for (const double value : axes.values) variance += std::max(value, 0.0) / static_cast<double>(n);
  if (variance == 0) variance = 1;
  Whitening whitening{Matrix(n, n), Matrix(n, n)};
  for (int64_t j = 0; j < n; ++j) {
    const double spread =
        std::sqrt(std::max(axes.values[static_cast<size_t>(j)], 0.0) + kRidge * variance);
    for (int64_t i = 0; i < n; ++i) {
      whitening.to.row(i)[j] = axes.vectors.row(j)[i] / spread;
      whitening.from.row(i)[j] = axes.vectors.row(j)[i] * spread;
    }
  }
  return whitening;
}

/// Factors of the nearest matrix of some rank: a · bᵀ, the singular values shared between both.
struct Factors {
  Matrix a, b;
};

Result<Factors> nearest_factors(const Matrix& m, int64_t rank) {
  Matrix products(m.columns, m.columns);
  add_transposed_product(m, m, products);
  LATHE_TRY(const EigenSystem axes, symmetric_eigen(products));
  Factors factors{{}, Matrix(m.columns, rank)};
  for (int64_t r = 0; r < rank; ++r) {
    for (int64_t i = 0; i < m.columns; ++i) factors.b.row(i)[r] = axes.vectors.row(r)[i];
  }
  factors.a = product(m, factors.b);
  for (int64_t r = 0; r < rank; ++r) {
    const double squared = std::max(axes.values[static_cast<size_t>(r)], 0.0);
    const double shared = std::sqrt(std::sqrt(squared));
    for (int64_t i = 0; i < m.rows; ++i) factors.a.row(i)[r] *= shared > 0 ? 1 / shared : 0;
    for (int64_t i = 0; i < m.columns; ++i) factors.b.row(i)[r] *= shared;
  }
  return factors;
}

void scale(Matrix& m, double factor) {
  for (double& value : m.values) value *= factor;
}

bool is_finite(const Matrix& m) {
  return std::all_of(m.values.begin(), m.values.end(),
                     [](double value) { return std::isfinite(static_cast<float>(value)); });
}

double weight_of(const std::vector<MassPart>& parts) {
  double total = 0;
  for (const MassPart& part : parts)
    total = std::accumulate(part.weight.begin(), part.weight.end(), total);
  return total;
}

/// Makes of one part's scores their derivatives: softmax less share, times the row's weight.
/// Returns the divergence, of each row times its weight.
double derive(const MassPart& part, Matrix& scores) {
  double loss = 0;
  for (int64_t i = 0; i < scores.rows; ++i) {
    const double weight = part.weight[static_cast<size_t>(i)];
    const double* share = part.share.row(i);
    double* row = scores.row(i);
    if (weight == 0) {
      std::fill(row, row + scores.columns, 0.0);
      continue;
    }
    double largest = -INFINITY, sum = 0;
    for (int64_t j = 0; j < scores.columns; ++j)
      if (share[j] >= 0) largest = std::max(largest, row[j]);
    for (int64_t j = 0; j < scores.columns; ++j)
      if (share[j] >= 0) sum += std::exp(row[j] - largest);
    const double log_sum = std::log(sum);
    for (int64_t j = 0; j < scores.columns; ++j) {
      const double log_softmax = row[j] - largest - log_sum;
      row[j] = share[j] >= 0 ? weight * (std::exp(log_softmax) - share[j]) : 0;
      if (share[j] > 0) loss += weight * share[j] * (std::log(share[j]) - log_softmax);
    }
  }
  return loss;
}

double mean_loss(const std::vector<MassPart>& parts, const Factors& form) {
  const double total = weight_of(parts);
  double loss = 0;
  for (const MassPart& part : parts) {
    Matrix scores = product_transposed(product(part.q, form.a), product(part.k, form.b));
    loss += derive(part, scores);
  }
  return total > 0 ? loss / total : 0;
}

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

class Fitter {
 public:
  Fitter(std::vector<MassPart> parts, std::vector<MassPart> held_out, const BilinearFit& fit)
      : parts_(std::move(parts)), held_out_(std::move(held_out)), fit_(fit) {}

  Result<BilinearForm> run(const Matrix& prior) {
    LATHE_TRY(const Whitening of_q, whitening_of(parts_, &MassPart::q));
    LATHE_TRY(const Whitening of_k, whitening_of(parts_, &MassPart::k));
    for (std::vector<MassPart>* parts : {&parts_, &held_out_}) {
      for (MassPart& part : *parts) {
        part.q = product(part.q, of_q.to);
        part.k = product(part.k, of_k.to);
      }
    }
    // The first of equal ones is kept: without anything to learn from, the prior.
    if (!prior.values.empty()) {
      Matrix turned(of_q.from.columns, prior.columns);
      add_transposed_product(of_q.from, prior, turned);
      LATHE_TRY(Factors nearest, nearest_factors(product(turned, of_k.from), fit_.rank));
      descend(std::move(nearest));
    }
    LATHE_TRY(Factors of_gradient, start_of_gradient());
    descend(std::move(of_gradient));
    BilinearForm form;
    form.loss = mean_loss(parts_, best_->factors);
    form.held_out_loss = mean_loss(held_out_, best_->factors);
    form.a = product(of_q.to, best_->factors.a);
    form.b = product(of_k.to, best_->factors.b);
    if (!is_finite(form.a) || !is_finite(form.b) || !std::isfinite(form.loss)) {
      return fail(ErrorCode::invalid_argument,
                  "the fit left the finite numbers of f32: found a learning_rate of {}, expected a "
                  "lower one",
                  fit_.learning_rate);
    }
    return form;
  }

 private:
  struct Candidate {
    Factors factors;
    double loss = 0;  ///< by which it is chosen
  };

  // The gradient is of the whole form; its scale is the best of a few, from scores whose mean
  // square is 1.
  Result<Factors> start_of_gradient() const {
    Matrix gradient(parts_.front().q.columns, parts_.front().k.columns);
    for (const MassPart& part : parts_) {
      Matrix even(part.share.rows, part.share.columns);
      derive(part, even);
      scale(even, -1);
      add_transposed_product(part.q, product(even, part.k), gradient);
    }
    LATHE_TRY(Factors start, nearest_factors(gradient, fit_.rank));
    const double unit = root_mean_square_score(start);
    if (unit == 0) return start;
    constexpr int kHalvings = 8;
    double best_factor = 0, least = INFINITY;
    for (int i = -kHalvings; i <= kHalvings; ++i) {
      const double factor = std::sqrt(std::exp2(0.5 * i) / unit);
      Factors scaled = start;
      scale(scaled.a, factor);
      scale(scaled.b, factor);
      const double loss = mean_loss(parts_, scaled);
      if (loss >= least) continue;
      least = loss;
      best_factor = factor;
    }
    scale(start.a, best_factor);
    scale(start.b, best_factor);
    return start;
  }

  double root_mean_square_score(const Factors& form) const {
    double squares = 0, count = 0;
    for (const MassPart& part : parts_) {
      const Matrix scores = product_transposed(product(part.q, form.a), product(part.k, form.b));
      for (size_t i = 0; i < scores.values.size(); ++i) {
        if (part.share.values[i] < 0) continue;
        squares += scores.values[i] * scores.values[i];
        count += 1;
      }
    }
    return squares > 0 ? std::sqrt(squares / count) : 0;
  }

  void descend(Factors form) {
    const double total = weight_of(parts_);
    Adam of_a(form.a.values.size()), of_b(form.b.values.size());
    for (int step = 1; total > 0 && step <= fit_.steps; ++step) {
      if (!held_out_.empty() && step % kStepsBetweenChecks == 1) consider(form);
      Factors gradient{Matrix(form.a.rows, form.a.columns), Matrix(form.b.rows, form.b.columns)};
      for (const MassPart& part : parts_) {
        const Matrix q = product(part.q, form.a), k = product(part.k, form.b);
        Matrix scores = product_transposed(q, k);
        derive(part, scores);
        scale(scores, 1 / total);
        Matrix of_k(k.rows, k.columns);
        add_transposed_product(scores, q, of_k);
        add_transposed_product(part.q, product(scores, k), gradient.a);
        add_transposed_product(part.k, of_k, gradient.b);
      }
      const double rate = fit_.learning_rate * (1 - static_cast<double>(step - 1) / fit_.steps);
      of_a.step(gradient.a, rate, fit_.decay, step, form.a);
      of_b.step(gradient.b, rate, fit_.decay, step, form.b);
    }
    consider(form);
  }

  void consider(const Factors& form) {
    const double loss = mean_loss(held_out_.empty() ? parts_ : held_out_, form);
    if (!best_ || loss < best_->loss) best_ = Candidate{form, loss};
  }

  std::vector<MassPart> parts_, held_out_;
  const BilinearFit& fit_;
  std::optional<Candidate> best_;
};

}  // namespace

void MassPart::set_row(int64_t i, std::span<const double> mass,
                       std::span<const char> is_candidate) {
  double* row = share.row(i);
  double sum = 0;
  int64_t count = 0;
  for (size_t j = 0; j < mass.size(); ++j) {
    row[j] = is_candidate[j] != 0 ? mass[j] : kNoCandidate;
    if (is_candidate[j] == 0) continue;
    sum += mass[j];
    ++count;
  }
  if (count < 2 || sum <= 0) return;
  weight[static_cast<size_t>(i)] = sum;
  for (size_t j = 0; j < mass.size(); ++j)
    if (is_candidate[j] != 0) row[j] /= sum;
}

Result<BilinearForm> fit_bilinear(std::vector<MassPart> parts, std::vector<MassPart> held_out,
                                  const Matrix& prior, const BilinearFit& fit) {
  return Fitter(std::move(parts), std::move(held_out), fit).run(prior);
}

}  // namespace lathe::runtime
