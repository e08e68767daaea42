// Norm ops: rms_norm, layer_norm, normalize, softmax.
#include <algorithm>
#include <cmath>
#include <limits>

#include "ir/graph/op_families.h"
#include "ir/graph/strides.h"

namespace lathe::ir::graph {
namespace {

using Types = std::vector<TensorType>;

// Shape of one number per normalised group: 1 in every dimension from `axis` on.
Shape group_shape(const TensorType& x, int axis) {
  Shape shape = x.shape;
  std::fill(shape.begin() + axis, shape.end(), Dim(1));
  return shape;
}

Result<Types> infer_norm(const InferContext& c) {
  const TensorType& x = c.operand(0);
  LATHE_TRY(const int axis, resolve_axis(c.attributes.integer("axis"), x.rank()));
  if (c.has(1)) LATHE_CHECK(check_broadcasts_to("operand 'weight'", c.operand(1).shape, x.shape));
  if (c.has(2)) LATHE_CHECK(check_broadcasts_to("operand 'bias'", c.operand(2).shape, x.shape));
  const TensorType statistic{Type::f32, group_shape(x, axis)};
  return Types{x, statistic, statistic};
}

// Consecutive elements that are normalised together: the product of the dimensions from `axis` on.
size_t group_size(const Array& x, int64_t axis) {
  const int first = static_cast<int>(axis < 0 ? axis + static_cast<int64_t>(x.shape.size()) : axis);
  int64_t size = 1;
  for (size_t i = static_cast<size_t>(first); i < x.shape.size(); ++i) size *= x.shape[i];
  return static_cast<size_t>(size);
}

void scale_by(Array& y, const Array& weight) {
  auto cursor = broadcast_cursor(weight.shape, y.shape);
  for (double& value : y.reals) {
    value *= weight.reals[cursor.offset()];
    cursor.advance();
  }
}

void shift_by(Array& y, const Array& bias) {
  auto cursor = broadcast_cursor(bias.shape, y.shape);
  for (double& value : y.reals) {
    value += bias.reals[cursor.offset()];
    cursor.advance();
  }
}

Result<std::vector<Array>> eval_rms_norm(const EvalContext& c) {
  const Array& x = c.operand(0);
  Array y = c.make_result(0);
  const size_t n = group_size(x, c.attributes.integer("axis"));
  for (size_t start = 0; start < x.reals.size(); start += n) {
    double sum = 0;
    for (size_t i = start; i < start + n; ++i) sum += x.reals[i] * x.reals[i];
    const double scale = 1.0 / std::sqrt(sum / static_cast<double>(n) + c.attributes.real("eps"));
    for (size_t i = start; i < start + n; ++i) y.reals[i] = x.reals[i] * scale;
  }
  if (c.has(1)) scale_by(y, c.operand(1));
  return std::vector<Array>{std::move(y)};
}

Result<std::vector<Array>> eval_layer_norm(const EvalContext& c) {
  const Array& x = c.operand(0);
  std::vector<Array> results;
  for (size_t i = 0; i < c.results.size(); ++i) results.push_back(c.make_result(i));
  const size_t n = group_size(x, c.attributes.integer("axis"));
  for (size_t start = 0, group = 0; start < x.reals.size(); start += n, ++group) {
    double mean = 0;
    for (size_t i = start; i < start + n; ++i) mean += x.reals[i];
    mean /= static_cast<double>(n);
    double variance = 0;
    for (size_t i = start; i < start + n; ++i) {
      variance += (x.reals[i] - mean) * (x.reals[i] - mean);
    }
    variance /= static_cast<double>(n);
    const double inverse = 1.0 / std::sqrt(variance + c.attributes.real("eps"));
    for (size_t i = start; i < start + n; ++i) results[0].reals[i] = (x.reals[i] - mean) * inverse;
    if (results.size() > 1) results[1].reals[group] = mean;
    if (results.size() > 2) results[2].reals[group] = inverse;
  }
  if (c.has(1)) scale_by(results[0], c.operand(1));
  if (c.has(2)) shift_by(results[0], c.operand(2));
  return results;
}

Result<Types> infer_along_axis(const InferContext& c) {
  LATHE_CHECK(resolve_axis(c.attributes.integer("axis"), c.operand(0).rank()));
  return Types{c.operand(0)};
}

// Calls f(first, stride, count) for each line of elements along the op's axis.
template <typename F>
void for_each_line(const EvalContext& c, F f) {
  const Array& x = c.operand(0);
  const int64_t axis = c.attributes.integer("axis");
  const size_t rank = x.shape.size();
  const size_t a = static_cast<size_t>(axis < 0 ? axis + static_cast<int64_t>(rank) : axis);
  const auto stride = static_cast<size_t>(row_major_strides(x.shape)[a]);
  const auto count = static_cast<size_t>(x.shape[a]);
  if (x.reals.empty()) return;
  for (size_t outer = 0; outer < x.reals.size(); outer += stride * count) {
    for (size_t inner = 0; inner < stride; ++inner) f(outer + inner, stride, count);
  }
}

Result<std::vector<Array>> eval_normalize(const EvalContext& c) {
  const Array& x = c.operand(0);
  Array y = c.make_result(0);
  const double eps = c.attributes.real("eps");
  for_each_line(c, [&](size_t first, size_t stride, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; ++i)
      sum += x.reals[first + i * stride] * x.reals[first + i * stride];
    const double norm = std::sqrt(sum);
    const double divisor = norm < eps ? eps : norm;  // a NaN norm stays NaN
    for (size_t i = 0; i < count; ++i)
      y.reals[first + i * stride] = x.reals[first + i * stride] / divisor;
  });
  return std::vector<Array>{std::move(y)};
}

// The largest of a line of elements; NaN where the last NaN is followed by nothing larger.
double largest_of(const Array& x, size_t first, size_t stride, size_t count) {
  double largest = -std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < count; ++i) {
    const double value = x.reals[first + i * stride];
    if (value > largest || std::isnan(value)) largest = value;
  }
  return largest;
}

Result<std::vector<Array>> eval_softmax(const EvalContext& c) {
  const Array& x = c.operand(0);
  Array y = c.make_result(0);
  for_each_line(c, [&](size_t first, size_t stride, size_t count) {
    const double largest = largest_of(x, first, stride, count);
    double sum = 0;
    for (size_t i = 0; i < count; ++i) {
      const double e = std::exp(x.reals[first + i * stride] - largest);  // -inf - -inf is NaN
      y.reals[first + i * stride] = e;
      sum += e;
    }
    for (size_t i = 0; i < count; ++i) y.reals[first + i * stride] /= sum;
  });
  return std::vector<Array>{std::move(y)};
}

Result<std::vector<Array>> eval_log_softmax(const EvalContext& c) {
  const Array& x = c.operand(0);
  Array y = c.make_result(0);
  for_each_line(c, [&](size_t first, size_t stride, size_t count) {
    const double largest = largest_of(x, first, stride, count);
    double sum = 0;
    for (size_t i = 0; i < count; ++i) sum += std::exp(x.reals[first + i * stride] - largest);
    for (size_t i = 0; i < count; ++i)
      y.reals[first + i * stride] = x.reals[first + i * stride] - largest - std::log(sum);
  });
  return std::vector<Array>{std::move(y)};
}

}  // namespace

void add_norm_ops(std::vector<Op>& table) {
  const AttributeSpec from_axis{
      "axis", AttributeKind::integer, AttributeValue(-1),
      "first of the dimensions that are normalised together, to the last"};
  const AttributeSpec one_axis{"axis", AttributeKind::integer, AttributeValue(-1),
                               "the dimension that is normalised"};
  table.push_back(
      {.name = "rms_norm",
       .family = Family::norm,
       .doc = "x / sqrt(mean(x^2) + eps) * weight",
       .operands = {{"x", TypeClass::real}, {"weight", TypeClass::real, Arity::optional}},
       .attributes = {{"eps", AttributeKind::real, AttributeValue(1e-6),
                       "added to the mean square"},
                      from_axis},
       .results = {{"y"}},
       .infer = infer_norm,
       .eval = eval_rms_norm});
  table.push_back({.name = "layer_norm",
                   .family = Family::norm,
                   .doc = "(x - mean) / sqrt(variance + eps) * weight + bias",
                   .operands = {{"x", TypeClass::real},
                                {"weight", TypeClass::real, Arity::optional},
                                {"bias", TypeClass::real, Arity::optional}},
                   .attributes = {{"eps", AttributeKind::real, AttributeValue(1e-6),
                                   "added to the (biased) variance"},
                                  from_axis},
                   .results = {{"y"}, {"mean", true}, {"inverse_deviation", true}},
                   .infer = infer_norm,
                   .eval = eval_layer_norm});
  table.push_back(
      {.name = "normalize",
       .family = Family::norm,
       .doc = "x / max(||x||, eps), the Euclidean norm along one axis",
       .operands = {{"x", TypeClass::real}},
       .attributes = {{"eps", AttributeKind::real, AttributeValue(1e-12), "least divisor"},
                      one_axis},
       .results = {{"y"}},
       .infer = infer_along_axis,
       .eval = eval_normalize});
  table.push_back({.name = "softmax",
                   .family = Family::norm,
                   .doc = "exp(x - max(x)) / sum(exp(x - max(x))); NaN where all of x is -inf",
                   .operands = {{"x", TypeClass::real}},
                   .attributes = {one_axis},
                   .results = {{"y"}},
                   .infer = infer_along_axis,
                   .eval = eval_softmax});
  table.push_back({.name = "log_softmax",
                   .family = Family::norm,
                   .doc = "x - max(x) - log(sum(exp(x - max(x)))); NaN where all of x is -inf",
                   .operands = {{"x", TypeClass::real}},
                   .attributes = {one_axis},
                   .results = {{"y"}},
                   .infer = infer_along_axis,
                   .eval = eval_log_softmax});
}

}  // namespace lathe::ir::graph
