// Truncated singular value decompositions of keys and values, and what they lose.
#include <algorithm>
#include <cmath>
#include <string_view>

#include <lathe/low_rank.h>

#include "runtime/attention/float_view.h"
#include "runtime/attention/matrix.h"
#include "support/error.h"

namespace lathe {
namespace {

// Rows of heads [tokens, heads, width] as doubles, head by head.
struct Heads {
  int64_t tokens = 0, heads = 0, width = 0;
  std::vector<double> values;  // [heads, tokens, width]

  const double* row(int64_t head, int64_t token) const {
    return values.data() + (head * tokens + token) * width;
  }
};

Result<Heads> read_heads(std::string_view name, const TensorView& x) {
  if (x.rank != 3 || !runtime::is_float(x.type)) {
    return fail(ErrorCode::invalid_argument,
                "{}: found rank {} and type number {}, expected f32, f16 or bf16 [tokens, heads, "
                "size]",
                name, x.rank, static_cast<int>(x.type));
  }
  Heads heads{x.shape[0], x.shape[1], x.shape[2], {}};
  if (heads.tokens < 1 || heads.heads < 1 || heads.width < 1 || x.data == nullptr) {
    return fail(ErrorCode::invalid_argument,
                "{}: found shape [{}, {}, {}]{}, expected at least one element", name, heads.tokens,
                heads.heads, heads.width, x.data == nullptr ? " at a null pointer" : "");
  }
  heads.values.reserve(static_cast<size_t>(heads.tokens * heads.heads * heads.width));
  for (int64_t head = 0; head < heads.heads; ++head) {
    for (int64_t token = 0; token < heads.tokens; ++token) {
      for (int64_t i = 0; i < heads.width; ++i) {
        const double value =
            runtime::number_at(x, token * x.strides[0] + head * x.strides[1] + i * x.strides[2]);
        if (!std::isfinite(value)) {
          return fail(ErrorCode::invalid_argument,
                      "{}: found {} at [{}, {}, {}], expected finite numbers", name, value, token,
                      head, i);
        }
        heads.values.push_back(value);
      }
    }
  }
  return heads;
}

// The principal axes of a head's rows, the most important first, and their squared lengths.
Result<runtime::EigenSystem> axes_of(const Heads& x, int64_t head) {
  runtime::Matrix rows(x.tokens, x.width), products(x.width, x.width);
  std::copy_n(x.row(head, 0), rows.values.size(), rows.values.begin());
  runtime::add_transposed_product(rows, rows, products);
  return runtime::symmetric_eigen(products);
}

double dot(const double* a, const double* b, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += a[i] * b[i];
  return sum;
}

Result<std::vector<runtime::EigenSystem>> axes_of_heads(const Heads& x) {
  std::vector<runtime::EigenSystem> axes;
  for (int64_t head = 0; head < x.heads; ++head) {
    LATHE_TRY(runtime::EigenSystem of_head, axes_of(x, head));
    axes.push_back(std::move(of_head));
  }
  return axes;
}

// Of each rank, the part of the norm that is lost: that of the axes left out.
std::vector<double> errors_of(const std::vector<runtime::EigenSystem>& axes, int64_t width) {
  std::vector<double> lost(static_cast<size_t>(width) + 1);
  for (int64_t rank = width - 1; rank >= 0; --rank) {
    const auto r = static_cast<size_t>(rank);
    lost[r] = lost[r + 1];
    for (const runtime::EigenSystem& of_head : axes) lost[r] += std::max(of_head.values[r], 0.0);
  }
  const double all = lost.front();
  for (double& error : lost) error = all > 0 ? std::sqrt(error / all) : 0;
  return lost;
}

// x with each head's rows projected to its first axes.
Heads projected(const Heads& x, const std::vector<runtime::EigenSystem>& axes, int64_t rank) {
  Heads y = x;
  std::fill(y.values.begin(), y.values.end(), 0.0);
  for (int64_t head = 0; head < x.heads; ++head) {
    const runtime::Matrix& vectors = axes[static_cast<size_t>(head)].vectors;
    for (int64_t token = 0; token < x.tokens; ++token) {
      double* to = y.values.data() + (head * x.tokens + token) * x.width;
      for (int64_t r = 0; r < rank; ++r) {
        const double* axis = vectors.row(r);
        const double part = dot(x.row(head, token), axis, x.width);
        for (int64_t i = 0; i < x.width; ++i) to[i] += part * axis[i];
      }
    }
  }
  return y;
}

// softmax(q · kᵀ · scale) · v, as [heads, tokens, value_dim].
std::vector<double> attend(const Heads& q, const Heads& k, const Heads& v, double scale) {
  const int64_t group = q.heads / k.heads;
  std::vector<double> y(static_cast<size_t>(q.heads * q.tokens * v.width));
  std::vector<double> scores(static_cast<size_t>(k.tokens));
  for (int64_t head = 0; head < q.heads; ++head) {
    for (int64_t token = 0; token < q.tokens; ++token) {
      for (int64_t key = 0; key < k.tokens; ++key) {
        scores[static_cast<size_t>(key)] =
            dot(q.row(head, token), k.row(head / group, key), k.width) * scale;
      }
      const double largest = *std::max_element(scores.begin(), scores.end());
      double sum = 0;
      for (double& score : scores) sum += score = std::exp(score - largest);
      double* to = y.data() + (head * q.tokens + token) * v.width;
      for (int64_t key = 0; key < k.tokens; ++key) {
        const double weight = scores[static_cast<size_t>(key)] / sum;
        const double* value = v.row(head / group, key);
        for (int64_t i = 0; i < v.width; ++i) to[i] += weight * value[i];
      }
    }
  }
  return y;
}

double relative_difference(const std::vector<double>& found, const std::vector<double>& expected) {
  double difference = 0, norm = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    difference += (found[i] - expected[i]) * (found[i] - expected[i]);
    norm += expected[i] * expected[i];
  }
  return norm > 0 ? std::sqrt(difference / norm) : std::sqrt(difference);
}

Status check_rank(int64_t rank, int64_t dim) {
  if (rank >= 1 && rank <= dim) return {};
  return fail(ErrorCode::invalid_argument, "rank: found {}, expected 1 to {}, the size of a head",
              rank, dim);
}

std::vector<float> rows_in_basis(const Heads& x, const std::vector<float>& up, int64_t rank) {
  std::vector<float> rows(static_cast<size_t>(x.tokens * x.heads * rank));
  for (int64_t token = 0; token < x.tokens; ++token) {
    for (int64_t head = 0; head < x.heads; ++head) {
      for (int64_t r = 0; r < rank; ++r) {
        const float* axis = up.data() + (head * rank + r) * x.width;
        double sum = 0;
        for (int64_t i = 0; i < x.width; ++i)
          sum += x.row(head, token)[i] * static_cast<double>(axis[i]);
        rows[static_cast<size_t>((token * x.heads + head) * rank + r)] = static_cast<float>(sum);
      }
    }
  }
  return rows;
}

}  // namespace

Result<LowRankFactors> factorise(const TensorView& x, int64_t rank) {
  LATHE_TRY(const Heads heads, read_heads("x", x));
  LATHE_CHECK(check_rank(rank, heads.width));
  LATHE_TRY(const std::vector<runtime::EigenSystem> axes, axes_of_heads(heads));
  LowRankFactors factors{heads.tokens, heads.heads, heads.width, rank, {}, {}, {}};
  for (const runtime::EigenSystem& of_head : axes)
    for (int64_t i = 0; i < rank * heads.width; ++i)
      factors.up.push_back(static_cast<float>(of_head.vectors.values[static_cast<size_t>(i)]));
  factors.rows = rows_in_basis(heads, factors.up, rank);
  factors.errors = errors_of(axes, heads.width);
  return factors;
}

Result<std::vector<float>> low_rank_rows(const TensorView& x, const LowRankFactors& factors) {
  LATHE_TRY(const Heads heads, read_heads("x", x));
  const auto size = static_cast<size_t>(factors.kv_heads * factors.rank * factors.dim);
  if (heads.heads != factors.kv_heads || heads.width != factors.dim || factors.up.size() != size) {
    return fail(ErrorCode::invalid_argument,
                "x: found {} heads of {}, expected the factors' {} of {}, with {} numbers in up "
                "(found {})",
                heads.heads, heads.width, factors.kv_heads, factors.dim, size, factors.up.size());
  }
  return rows_in_basis(heads, factors.up, factors.rank);
}

Result<std::vector<LowRankLoss>> low_rank_losses(const TensorView& q, const TensorView& k,
                                                 const TensorView& v,
                                                 std::span<const int64_t> ranks, double scale) {
  LATHE_TRY(const Heads queries, read_heads("q", q));
  LATHE_TRY(const Heads keys, read_heads("k", k));
  LATHE_TRY(const Heads values, read_heads("v", v));
  if (queries.heads % keys.heads != 0 || values.heads != keys.heads ||
      queries.width != keys.width || values.tokens != keys.tokens) {
    return fail(ErrorCode::invalid_argument,
                "found q [{}, {}, {}], k [{}, {}, {}] and v [{}, {}, {}]; expected heads of q that "
                "are a multiple of those of k and v, one size of q and k, as many values as keys",
                queries.tokens, queries.heads, queries.width, keys.tokens, keys.heads, keys.width,
                values.tokens, values.heads, values.width);
  }
  for (const int64_t rank : ranks) LATHE_CHECK(check_rank(rank, keys.width));
  if (scale == 0) scale = 1 / std::sqrt(static_cast<double>(keys.width));
  LATHE_TRY(const std::vector<runtime::EigenSystem> key_axes, axes_of_heads(keys));
  LATHE_TRY(const std::vector<runtime::EigenSystem> value_axes, axes_of_heads(values));
  const std::vector<double> key_errors = errors_of(key_axes, keys.width);
  const std::vector<double> value_errors = errors_of(value_axes, values.width);
  const std::vector<double> whole = attend(queries, keys, values, scale);
  std::vector<LowRankLoss> losses;
  for (const int64_t rank : ranks) {
    const int64_t value_rank = std::min(rank, values.width);
    const std::vector<double> found = attend(queries, projected(keys, key_axes, rank),
                                             projected(values, value_axes, value_rank), scale);
    losses.push_back({rank, key_errors[static_cast<size_t>(rank)],
                      value_errors[static_cast<size_t>(value_rank)],
                      relative_difference(found, whole)});
  }
  return losses;
}

}  // namespace lathe
