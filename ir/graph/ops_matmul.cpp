// Matmul ops: linear and matmul.
#include <algorithm>

#include "ir/graph/op_families.h"
#include "ir/graph/strides.h"

namespace lathe::ir::graph {
namespace {

using Types = std::vector<TensorType>;

Result<Types> infer_linear(const InferContext& c) {
  const TensorType& x = c.operand(0);
  const TensorType& w = c.operand(1);
  if (x.rank() < 1 || w.rank() != 2 || w.shape[1] != x.shape.back()) {
    return fail(ErrorCode::invalid_argument,
                "operand 'w': found shape {}, expected [n, {}] for x of {}", to_string(w.shape),
                x.rank() < 1 ? "k" : to_string(x.shape.back()), to_string(x.shape));
  }
  TensorType y = x;
  y.shape.back() = w.shape[0];
  if (c.has(2) && c.operand(2).shape != Shape{w.shape[0]}) {
    return fail(ErrorCode::invalid_argument, "operand 'b': found shape {}, expected [{}]",
                to_string(c.operand(2).shape), to_string(w.shape[0]));
  }
  return Types{y};
}

Result<std::vector<Array>> eval_linear(const EvalContext& c) {
  const Array& x = c.operand(0);
  const Array& w = c.operand(1);
  Array y = c.make_result(0);
  const auto n = static_cast<size_t>(w.shape[0]);
  const auto k = static_cast<size_t>(w.shape[1]);
  for (size_t i = 0; i < y.reals.size(); ++i) {
    const double* row = x.reals.data() + i / n * k;
    const double* weights = w.reals.data() + i % n * k;
    double sum = 0;
    for (size_t j = 0; j < k; ++j) sum += row[j] * weights[j];
    y.reals[i] = c.has(2) ? sum + c.operand(2).reals[i % n] : sum;
  }
  return std::vector<Array>{std::move(y)};
}

// Shapes as NumPy's matmul sees them: a vector becomes a row on the left, a column on the right.
template <typename D>
std::vector<D> as_matrix(const std::vector<D>& shape, bool left) {
  if (shape.size() != 1) return shape;
  return left ? std::vector<D>{D(1), shape[0]} : std::vector<D>{shape[0], D(1)};
}

Result<Types> infer_matmul(const InferContext& c) {
  const TensorType& a = c.operand(0);
  const TensorType& b = c.operand(1);
  if (a.element != b.element || a.rank() < 1 || b.rank() < 1) {
    return fail(ErrorCode::invalid_argument,
                "found {} and {}, expected equal element types and rank 1 or more", to_string(a),
                to_string(b));
  }
  const Shape left = as_matrix(a.shape, true);
  const Shape right = as_matrix(b.shape, false);
  if (left.back() != right[right.size() - 2]) {
    return fail(ErrorCode::invalid_argument,
                "found inner sizes {} and {} of {} and {}, expected equal", to_string(left.back()),
                to_string(right[right.size() - 2]), to_string(a.shape), to_string(b.shape));
  }
  LATHE_TRY(Shape shape, broadcast(std::span(left).first(left.size() - 2),
                                   std::span(right).first(right.size() - 2)));
  if (a.rank() > 1) shape.push_back(left[left.size() - 2]);
  if (b.rank() > 1) shape.push_back(right.back());
  return Types{{a.element, std::move(shape)}};
}

Result<std::vector<Array>> eval_matmul(const EvalContext& c) {
  const Array& a = c.operand(0);
  const Array& b = c.operand(1);
  const auto left = as_matrix(a.shape, true);
  const auto right = as_matrix(b.shape, false);
  const auto m = static_cast<size_t>(left[left.size() - 2]);
  const auto k = static_cast<size_t>(left.back());
  const auto n = static_cast<size_t>(right.back());
  std::vector<int64_t> batch = numbers(c.results[0].shape).value();
  batch.resize(std::max(left.size(), right.size()) - 2);
  auto cursor_a = broadcast_cursor(std::span(left).first(left.size() - 2), batch);
  auto cursor_b = broadcast_cursor(std::span(right).first(right.size() - 2), batch);

  Array y = c.make_result(0);
  const auto count = static_cast<size_t>(y.elements());
  for (size_t start = 0; start < count; start += m * n, cursor_a.advance(), cursor_b.advance()) {
    for (size_t i = 0; i < m * n; ++i) {
      const size_t row = cursor_a.offset() * m * k + i / n * k;
      const size_t column = cursor_b.offset() * k * n + i % n;
      double sum = 0;
      uint64_t integer_sum = 0;  // wraps; the low bits are right for every width
      for (size_t j = 0; j < k; ++j) {
        if (y.is_real()) {
          sum += a.reals[row + j] * b.reals[column + j * n];
        } else {
          integer_sum += static_cast<uint64_t>(a.integers[row + j]) *
                         static_cast<uint64_t>(b.integers[column + j * n]);
        }
      }
      if (y.is_real()) {
        y.reals[start + i] = sum;
      } else {
        y.integers[start + i] = wrap_to(y.type, static_cast<int64_t>(integer_sum));
      }
    }
  }
  return std::vector<Array>{std::move(y)};
}

}  // namespace

void add_matmul_ops(std::vector<Op>& table) {
  table.push_back({.name = "linear",
                   .family = Family::matmul,
                   .doc = "x · wᵀ + b over the last dimension of x; w is [n, k]",
                   .operands = {{"x", TypeClass::real},
                                {"w", TypeClass::weight},
                                {"b", TypeClass::real, Arity::optional}},
                   .attributes = {},
                   .results = {{"y"}},
                   .infer = infer_linear,
                   .eval = eval_linear});
  table.push_back(
      {.name = "matmul",
       .family = Family::matmul,
       .doc =
           "a · b over the last two dimensions, the others broadcast, as in NumPy; integers wrap",
       .operands = {{"a", TypeClass::number}, {"b", TypeClass::number}},
       .attributes = {},
       .results = {{"y"}},
       .infer = infer_matmul,
       .eval = eval_matmul});
}

}  // namespace lathe::ir::graph
