// Data ops: constants, look-ups by index, and scatters into chosen rows.
#include <algorithm>
#include <cmath>

#include "ir/graph/op_families.h"

namespace lathe::ir::graph {
namespace {

using Types = std::vector<TensorType>;

Result<Types> infer_constant(const InferContext& c) {
  const Type type = c.attributes.type("type");
  const double value = c.attributes.real("value");
  if (info(type).block_elements > 1) {
    return fail(ErrorCode::invalid_argument,
                "type: found {}, expected one that is not block-quantised", name(type));
  }
  if (!info(type).is_float) {
    const int bits = type == Type::boolean ? 1 : size_of(type) * 8 - (info(type).is_signed ? 1 : 0);
    const double most = std::min(std::ldexp(1.0, bits) - 1, std::ldexp(1.0, 53));
    const double least = info(type).is_signed ? -most - (bits < 53 ? 1 : 0) : 0.0;
    if (!(value >= least && value <= most) || std::trunc(value) != value) {
      return fail(ErrorCode::invalid_argument, "value: found {}, expected an integer from {} to {}",
                  value, least, most);
    }
  }
  const Shape& shape = c.attributes.dims("shape");
  for (const Dim& dim : shape) {
    if (dim.factor < 0) {
      return fail(ErrorCode::invalid_argument, "shape: found dimension {}, expected 0 or more",
                  to_string(dim));
    }
  }
  return Types{{type, shape}};
}

Result<std::vector<Array>> eval_constant(const EvalContext& c) {
  Array y = c.make_result(0);
  const double value = c.attributes.real("value");
  if (y.is_real()) {
    std::fill(y.reals.begin(), y.reals.end(), round_to(y.type, value));
  } else {
    std::fill(y.integers.begin(), y.integers.end(), static_cast<int64_t>(value));
  }
  return std::vector<Array>{std::move(y)};
}

Result<Types> infer_embedding(const InferContext& c) {
  const TensorType& table = c.operand(0);
  if (table.rank() != 2) {
    return fail(ErrorCode::invalid_argument,
                "operand 'table': found shape {}, expected [rows, width]", to_string(table.shape));
  }
  const bool quantised = contains(TypeClass::quantised, table.element);
  TensorType y{quantised ? Type::f32 : table.element, c.operand(1).shape};
  y.shape.push_back(table.shape[1]);
  return Types{y};
}

Result<std::vector<Array>> eval_embedding(const EvalContext& c) {
  const Array& table = c.operand(0);
  const Array& ids = c.operand(1);
  Array y = c.make_result(0);
  const auto width = static_cast<size_t>(table.shape[1]);
  for (size_t i = 0; i < ids.integers.size(); ++i) {
    const int64_t id = ids.integers[i];
    if (id < 0 || id >= table.shape[0]) {
      return fail(ErrorCode::invalid_argument, "ids[{}]: found {}, expected 0 to {}", i, id,
                  table.shape[0] - 1);
    }
    copy_elements(table, static_cast<size_t>(id) * width, width, y, i * width);
  }
  return std::vector<Array>{std::move(y)};
}

Result<Types> infer_gather(const InferContext& c) {
  const TensorType& x = c.operand(0);
  LATHE_TRY(const int axis, resolve_axis(c.attributes.integer("axis"), x.rank()));
  TensorType y{x.element, Shape(x.shape.begin(), x.shape.begin() + axis)};
  y.shape.insert(y.shape.end(), c.operand(1).shape.begin(), c.operand(1).shape.end());
  y.shape.insert(y.shape.end(), x.shape.begin() + axis + 1, x.shape.end());
  return Types{y};
}

Result<std::vector<Array>> eval_gather(const EvalContext& c) {
  const Array& x = c.operand(0);
  const Array& ids = c.operand(1);
  Array y = c.make_result(0);
  const int64_t rank = static_cast<int64_t>(x.shape.size());
  const int64_t axis = c.attributes.integer("axis") + (c.attributes.integer("axis") < 0 ? rank : 0);
  size_t outer = 1;
  size_t inner = 1;
  for (int64_t i = 0; i < rank; ++i) {
    const auto size = static_cast<size_t>(x.shape[static_cast<size_t>(i)]);
    if (i < axis) outer *= size;
    if (i > axis) inner *= size;
  }
  const int64_t size = x.shape[static_cast<size_t>(axis)];
  const size_t count = ids.integers.size();
  for (size_t i = 0; i < count; ++i) {
    const int64_t id = ids.integers[i];
    if (id < -size || id >= size) {
      return fail(ErrorCode::invalid_argument, "indices[{}]: found {}, expected {} to {}", i, id,
                  -size, size - 1);
    }
    const auto row = static_cast<size_t>(id < 0 ? id + size : id);
    for (size_t o = 0; o < outer; ++o) {
      copy_elements(x, (o * static_cast<size_t>(size) + row) * inner, inner, y,
                    (o * count + i) * inner);
    }
  }
  return std::vector<Array>{std::move(y)};
}

Result<Types> infer_scatter(const InferContext& c) {
  const TensorType& x = c.operand(0);
  const TensorType& mask = c.operand(1);
  const TensorType& updates = c.operand(2);
  const bool rows_match = x.rank() >= 1 && mask.rank() == x.rank() - 1 &&
                          std::equal(mask.shape.begin(), mask.shape.end(), x.shape.begin());
  if (!rows_match) {
    return fail(ErrorCode::invalid_argument,
                "operand 'mask': found shape {}, expected that of x without its last dimension, {}",
                to_string(mask.shape), to_string(x.shape));
  }
  if (updates.element != x.element || updates.rank() != 2 || updates.shape[1] != x.shape.back()) {
    return fail(ErrorCode::invalid_argument, "operand 'updates': found {}, expected {}[rows, {}]",
                to_string(updates), name(x.element), to_string(x.shape.back()));
  }
  return Types{x};
}

// Calls write(row of x, row of updates) for each row whose mask is set.
template <typename F>
Status for_each_masked_row(const EvalContext& c, F write) {
  const auto& mask = c.operand(1).integers;
  const auto found = c.operand(2).shape[0];
  const auto expected = std::count_if(mask.begin(), mask.end(), [](int64_t m) { return m != 0; });
  if (found != expected) {
    return fail(
        ErrorCode::invalid_argument,
        "operand 'updates': found {} rows, expected {}, one for each row that the mask sets", found,
        expected);
  }
  for (size_t row = 0, update = 0; row < mask.size(); ++row) {
    if (mask[row] != 0) write(row, update++);
  }
  return {};
}

Result<std::vector<Array>> eval_scatter_rows(const EvalContext& c) {
  Array y = c.operand(0);
  const auto width = static_cast<size_t>(y.shape.back());
  LATHE_CHECK(for_each_masked_row(c, [&](size_t row, size_t update) {
    copy_elements(c.operand(2), update * width, width, y, row * width);
  }));
  return std::vector<Array>{std::move(y)};
}

Result<std::vector<Array>> eval_scatter_add_rows(const EvalContext& c) {
  Array y = c.operand(0);
  const auto width = static_cast<size_t>(y.shape.back());
  LATHE_CHECK(for_each_masked_row(c, [&](size_t row, size_t update) {
    for (size_t i = 0; i < width; ++i) {
      y.reals[row * width + i] += c.operand(2).reals[update * width + i];
    }
  }));
  return std::vector<Array>{std::move(y)};
}

}  // namespace

void add_data_ops(std::vector<Op>& table) {
  table.push_back(
      {.name = "constant",
       .family = Family::data,
       .doc = "a tensor filled with one value",
       .operands = {},
       .attributes = {{"value", AttributeKind::real, std::nullopt,
                       "rounded to the type; an integer for integer types"},
                      {"type", AttributeKind::type, AttributeValue(Type::f32), "element type"},
                      {"shape", AttributeKind::dims, AttributeValue(Shape{}), "numbers or names"}},
       .results = {{"y"}},
       .infer = infer_constant,
       .eval = eval_constant});
  table.push_back({.name = "embedding",
                   .family = Family::data,
                   .doc = "row ids[i] of the table; a block-quantised table gives f32",
                   .operands = {{"table", TypeClass::weight}, {"ids", TypeClass::index}},
                   .attributes = {},
                   .results = {{"y"}},
                   .infer = infer_embedding,
                   .eval = eval_embedding});
  table.push_back(
      {.name = "gather",
       .family = Family::data,
       .doc = "x[..., indices, ...] along one axis; negative indices count from the end",
       .operands = {{"x", TypeClass::plain}, {"indices", TypeClass::index}},
       .attributes = {{"axis", AttributeKind::integer, AttributeValue(0),
                       "the dimension that is indexed"}},
       .results = {{"y"}},
       .infer = infer_gather,
       .eval = eval_gather});
  table.push_back({.name = "scatter_rows",
                   .family = Family::data,
                   .doc = "x with its k-th row that the mask sets replaced by row k of updates",
                   .operands = {{"x", TypeClass::plain},
                                {"mask", TypeClass::boolean},
                                {"updates", TypeClass::plain}},
                   .attributes = {},
                   .results = {{"y"}},
                   .infer = infer_scatter,
                   .eval = eval_scatter_rows});
  table.push_back(
      {.name = "scatter_add_rows",
       .family = Family::data,
       .doc = "x with row k of updates added to its k-th row that the mask sets (deepstack)",
       .operands = {{"x", TypeClass::real},
                    {"mask", TypeClass::boolean},
                    {"updates", TypeClass::real}},
       .attributes = {},
       .results = {{"y"}},
       .infer = infer_scatter,
       .eval = eval_scatter_add_rows});
}

}  // namespace lathe::ir::graph
