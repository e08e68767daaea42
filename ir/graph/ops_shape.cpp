// Data ops that only move elements: concat, slice, transpose, reshape.
#include <algorithm>
#include <limits>

#include "ir/graph/op_families.h"
#include "ir/graph/strides.h"

namespace lathe::ir::graph {
namespace {

using Types = std::vector<TensorType>;

constexpr int64_t kEnd = std::numeric_limits<int64_t>::max();

// y[i] = x[cursor's offset], for any kind of element.
void copy_strided(const Array& x, StridedCursor cursor, Array& y) {
  const auto count = static_cast<size_t>(y.elements());
  for (size_t i = 0; i < count; ++i, cursor.advance()) {
    if (y.is_real()) {
      y.reals[i] = x.reals[cursor.offset()];
    } else {
      y.integers[i] = x.integers[cursor.offset()];
    }
  }
}

// The sum of two dimensions where it is again a number or a multiple of one name.
Result<Dim> add_dims(const Dim& a, const Dim& b) {
  if (a == Dim(0)) return b;
  if (b == Dim(0)) return a;
  if (a.symbol == b.symbol) {
    Dim sum = a;
    sum.factor += b.factor;
    return sum;
  }
  return fail(ErrorCode::invalid_argument,
              "found sizes {} and {}, expected numbers or multiples of one name", to_string(a),
              to_string(b));
}

Result<Types> infer_concat(const InferContext& c) {
  TensorType y = c.operand(0);
  LATHE_TRY(const int axis, resolve_axis(c.attributes.integer("axis"), y.rank()));
  const auto a = static_cast<size_t>(axis);
  for (size_t i = 1; i < c.operands.size(); ++i) {
    TensorType next = c.operand(i);
    if (next.rank() != y.rank()) {
      return fail(ErrorCode::invalid_argument, "operand {}: found {}, expected rank {}", i,
                  to_string(next), y.rank());
    }
    LATHE_TRY(const Dim sum, add_dims(y.shape[a], next.shape[a]));
    next.shape[a] = y.shape[a];
    if (next != y) {
      return fail(ErrorCode::invalid_argument,
                  "operand {}: found {}, expected {} but for dimension {}", i,
                  to_string(c.operand(i)), to_string(y), axis);
    }
    y.shape[a] = sum;
  }
  return Types{y};
}

Result<std::vector<Array>> eval_concat(const EvalContext& c) {
  Array y = c.make_result(0);
  const auto rank = static_cast<int64_t>(y.shape.size());
  const int64_t axis = c.attributes.integer("axis");
  const auto a = static_cast<size_t>(axis < 0 ? axis + rank : axis);
  const auto strides = row_major_strides(y.shape);
  int64_t start = 0;
  for (const Array* x : c.operands) {
    StridedCursor cursor(x->shape, strides, start * strides[a]);
    const auto count = static_cast<size_t>(x->elements());
    for (size_t i = 0; i < count; ++i, cursor.advance()) {
      if (y.is_real()) {
        y.reals[cursor.offset()] = x->reals[i];
      } else {
        y.integers[cursor.offset()] = x->integers[i];
      }
    }
    start += x->shape[a];
  }
  return std::vector<Array>{std::move(y)};
}

struct Range {
  int64_t begin;
  int64_t size;
};

// begin:end:step over `n` elements as in NumPy (step >= 1): ends are clamped.
Range clamp_range(int64_t n, int64_t begin, int64_t end, int64_t step) {
  const auto clamp = [n](int64_t i) { return std::clamp<int64_t>(i < 0 ? i + n : i, 0, n); };
  const int64_t first = clamp(begin);
  const int64_t length = std::max<int64_t>(clamp(end) - first, 0);
  return {first, length / step + (length % step != 0 ? 1 : 0)};
}

// A range over a dimension with a name: its size must not depend on the name, or be all of it.
Result<Dim> slice_named(const Dim& dim, int64_t begin, int64_t end, int64_t step) {
  if (begin == 0 && end == kEnd && step == 1) return dim;
  const bool from_the_end = begin < 0 && (end == kEnd || end < 0);
  if ((begin >= 0 && end >= 0 && end != kEnd) || from_the_end) {
    const int64_t length = std::max<int64_t>((end == kEnd ? 0 : end) - begin, 0);
    return Dim(length / step + (length % step != 0 ? 1 : 0));
  }
  return fail(
      ErrorCode::invalid_argument,
      "found a range whose size depends on {}; expected begin and end counted from the same side",
      to_string(dim));
}

Result<Types> infer_slice(const InferContext& c) {
  TensorType y = c.operand(0);
  LATHE_TRY(const int axis, resolve_axis(c.attributes.integer("axis"), y.rank()));
  const int64_t begin = c.attributes.integer("begin");
  const int64_t end = c.attributes.integer("end");
  const int64_t step = c.attributes.integer("step");
  if (step < 1 || begin < -kMaxDim || begin > kMaxDim || end < -kMaxDim ||
      (end > kMaxDim && end != kEnd)) {
    return fail(
        ErrorCode::invalid_argument,
        "found begin {}, end {}, step {}; expected a step of 1 or more and ends within 2^40", begin,
        end, step);
  }
  Dim& dim = y.shape[static_cast<size_t>(axis)];
  if (dim.is_number()) {
    dim = Dim(clamp_range(dim.number(), begin, end, step).size);
  } else {
    LATHE_TRY(dim, slice_named(Dim(dim), begin, end, step));
  }
  return Types{y};
}

Result<std::vector<Array>> eval_slice(const EvalContext& c) {
  const Array& x = c.operand(0);
  Array y = c.make_result(0);
  const auto rank = static_cast<int64_t>(x.shape.size());
  const int64_t axis = c.attributes.integer("axis");
  const auto a = static_cast<size_t>(axis < 0 ? axis + rank : axis);
  const int64_t step = c.attributes.integer("step");
  const Range range =
      clamp_range(x.shape[a], c.attributes.integer("begin"), c.attributes.integer("end"), step);
  auto strides = row_major_strides(x.shape);
  const int64_t start = range.begin * strides[a];
  strides[a] = y.shape[a] > 1 ? strides[a] * step : 0;  // a step past the end is never taken
  copy_strided(x, StridedCursor(y.shape, std::move(strides), start), y);
  return std::vector<Array>{std::move(y)};
}

Result<Types> infer_transpose(const InferContext& c) {
  const TensorType& x = c.operand(0);
  const auto& perm = c.attributes.integers("perm");
  std::vector<bool> seen(x.shape.size(), false);
  bool valid = perm.size() == x.shape.size();
  TensorType y{x.element, {}};
  for (size_t i = 0; valid && i < perm.size(); ++i) {
    valid = perm[i] >= 0 && perm[i] < x.rank() && !seen[static_cast<size_t>(perm[i])];
    if (!valid) break;
    seen[static_cast<size_t>(perm[i])] = true;
    y.shape.push_back(x.shape[static_cast<size_t>(perm[i])]);
  }
  if (!valid) {
    return fail(ErrorCode::invalid_argument, "perm: found {}, expected a permutation of 0 to {}",
                to_string(AttributeValue(perm)), x.rank() - 1);
  }
  return Types{y};
}

Result<std::vector<Array>> eval_transpose(const EvalContext& c) {
  const Array& x = c.operand(0);
  Array y = c.make_result(0);
  const auto own = row_major_strides(x.shape);
  std::vector<int64_t> strides;
  for (const int64_t axis : c.attributes.integers("perm"))
    strides.push_back(own[static_cast<size_t>(axis)]);
  copy_strided(x, StridedCursor(y.shape, std::move(strides)), y);
  return std::vector<Array>{std::move(y)};
}

Result<Types> infer_reshape(const InferContext& c) {
  const TensorType& x = c.operand(0);
  TensorType y{x.element, c.attributes.dims("shape")};
  Shape known;
  Dim* open = nullptr;
  for (Dim& dim : y.shape) {
    if (dim == Dim(-1) && open == nullptr) {
      open = &dim;
    } else if (dim.factor < 0 || dim.factor > kMaxDim || (dim.factor == 0 && !dim.is_number())) {
      return fail(ErrorCode::invalid_argument,
                  "shape: found {}, expected dimensions of 0 or more, and -1 at most once",
                  to_string(y.shape));
    } else {
      known.push_back(dim);
    }
  }
  LATHE_TRY(const DimProduct total, product(x.shape));
  LATHE_TRY(const DimProduct part, product(known));
  if (open != nullptr) {
    const auto rest = divide(total, part);
    if (!rest) {
      return fail(ErrorCode::invalid_argument, "shape: {} does not divide the elements of {}: {}",
                  to_string(y.shape), to_string(x.shape), rest.error().message);
    }
    *open = *rest;
  } else if (total != part) {
    return fail(ErrorCode::invalid_argument, "shape: found {}, expected as many elements as {}",
                to_string(y.shape), to_string(x.shape));
  }
  const bool is_in_blocks = info(x.element).block_elements > 1;
  if (is_in_blocks && (y.shape.empty() || y.shape.back() != x.shape.back())) {
    return fail(ErrorCode::invalid_argument,
                "shape: found {}, expected the last dimension of {}: blocks of {} stay whole",
                to_string(y.shape), to_string(x.shape), name(x.element));
  }
  return Types{y};
}

Result<std::vector<Array>> eval_reshape(const EvalContext& c) {
  Array y = c.operand(0);
  y.shape = c.make_result(0).shape;
  return std::vector<Array>{std::move(y)};
}

}  // namespace

void add_shape_ops(std::vector<Op>& table) {
  const AttributeSpec axis{"axis", AttributeKind::integer, std::nullopt,
                           "the dimension; negative counts from the last"};
  table.push_back({.name = "concat",
                   .family = Family::data,
                   .doc = "operands one after the other along one axis",
                   .operands = {{"x", TypeClass::plain, Arity::variadic}},
                   .attributes = {axis},
                   .results = {{"y"}},
                   .infer = infer_concat,
                   .eval = eval_concat});
  table.push_back({.name = "slice",
                   .family = Family::data,
                   .doc = "x[..., begin:end:step, ...] as in NumPy; on a named dimension begin and "
                          "end count from the same side",
                   .operands = {{"x", TypeClass::plain}},
                   .attributes = {axis,
                                  {"begin", AttributeKind::integer, AttributeValue(0),
                                   "first element; negative counts from the end"},
                                  {"end", AttributeKind::integer, AttributeValue(kEnd),
                                   "one past the last; the greatest i64 is the end"},
                                  {"step", AttributeKind::integer, AttributeValue(1), "1 or more"}},
                   .results = {{"y"}},
                   .infer = infer_slice,
                   .eval = eval_slice});
  table.push_back({.name = "transpose",
                   .family = Family::data,
                   .doc = "dimension i of the result is dimension perm[i] of x",
                   .operands = {{"x", TypeClass::plain}},
                   .attributes = {{"perm", AttributeKind::integers, std::nullopt,
                                   "a permutation of the dimensions"}},
                   .results = {{"y"}},
                   .infer = infer_transpose,
                   .eval = eval_transpose});
  table.push_back({.name = "reshape",
                   .family = Family::data,
                   .doc = "the same elements in row-major order; patch merge is [-1, 4*width]; "
                          "block-quantised rows keep their length",
                   .operands = {{"x", TypeClass::any}},
                   .attributes = {{"shape", AttributeKind::dims, std::nullopt,
                                   "numbers and names; one may be -1: the rest"}},
                   .results = {{"y"}},
                   .infer = infer_reshape,
                   .eval = eval_reshape});
}

}  // namespace lathe::ir::graph
