// Position ops: rope, mrope, vision_rope, their table, and interpolated position embeddings.
//
// All rotations turn pairs (a, b) of one head into (a cos - b sin, b cos + a sin); they differ in
// which pairs and in which table row gives the angle of pair j.
#include <cmath>

#include "ir/graph/head_layout.h"
#include "ir/graph/op_families.h"

namespace lathe::ir::graph {
namespace {

using Types = std::vector<TensorType>;

constexpr AttributeKind kInteger = AttributeKind::integer;

Status check_rank(const TensorType& x) {
  if (x.rank() == 3 || x.rank() == 4) return {};
  return fail(ErrorCode::invalid_argument,
              "operand 'x': found {}, expected rank 3, or 4 with a leading batch", to_string(x));
}

// The head's size, which must be a number and a multiple of `multiple`.
Result<int64_t> head_size(const TensorType& x, int64_t multiple) {
  const Dim& dim = x.shape.back();
  if (dim.is_number() && dim.number() > 0 && dim.number() % multiple == 0) return dim.number();
  return fail(ErrorCode::invalid_argument,
              "operand 'x': found a last dimension of {}, expected a multiple of {}",
              to_string(dim), multiple);
}

Status check_shape(std::string_view operand, const TensorType& found, const Shape& expected) {
  if (found.shape == expected) return {};
  return fail(ErrorCode::invalid_argument, "operand '{}': found shape {}, expected {}", operand,
              to_string(found.shape), to_string(expected));
}

// A table with any number of rows of `width`.
Status check_table(std::string_view operand, const TensorType& found, int64_t width) {
  if (found.rank() == 2 && found.shape[1] == Dim(width)) return {};
  return fail(ErrorCode::invalid_argument, "operand '{}': found shape {}, expected [positions, {}]",
              operand, to_string(found.shape), width);
}

// `found` must be [tokens] or [batch, tokens] of x, between `before` and `after`.
Status check_per_token(std::string_view operand, const TensorType& found, const TensorType& x,
                       const HeadLayout& layout, const Shape& before, const Shape& after) {
  const auto with = [&](bool batch) {
    Shape shape = before;
    if (batch) shape.push_back(x.shape.front());
    shape.push_back(x.shape[layout.tokens]);
    shape.insert(shape.end(), after.begin(), after.end());
    return shape;
  };
  if (layout.batched && found.shape == with(true)) return {};
  return check_shape(operand, found, with(false));
}

int64_t rotary_size(const Attributes& attributes, int64_t head) {
  const int64_t rotary = attributes.integer("rotary_dim");
  return rotary == 0 ? head : rotary;
}

Result<Types> infer_rope(const InferContext& c) {
  const TensorType& x = c.operand(0);
  LATHE_CHECK(check_rank(x));
  LATHE_TRY(const int64_t head, head_size(x, 1));
  const int64_t rotary = rotary_size(c.attributes, head);
  if (rotary <= 0 || rotary > head || rotary % 2 != 0) {
    return fail(ErrorCode::invalid_argument,
                "rotary_dim: found {}, expected an even number up to the head's {}", rotary, head);
  }
  const HeadLayout layout = head_layout(c.attributes, x.shape.size());
  if (c.has(3)) {
    LATHE_CHECK(check_table("cos", c.operand(1), rotary / 2));
    LATHE_CHECK(check_shape("sin", c.operand(2), c.operand(1).shape));
    LATHE_CHECK(check_per_token("positions", c.operand(3), x, layout, {}, {}));
  } else {
    LATHE_CHECK(check_per_token("cos", c.operand(1), x, layout, {}, {rotary / 2}));
    LATHE_CHECK(check_shape("sin", c.operand(2), c.operand(1).shape));
  }
  return Types{x};
}

Result<Types> infer_mrope(const InferContext& c) {
  const TensorType& x = c.operand(0);
  LATHE_CHECK(check_rank(x));
  LATHE_TRY(const int64_t head, head_size(x, 2));
  const auto& section = c.attributes.integers("section");
  int64_t sum = 0;
  bool valid = section.size() == 3;
  for (const int64_t part : section) {
    valid = valid && part >= 0 && part <= head;
    sum += valid ? part : 0;
  }
  if (!valid || sum != head / 2) {
    return fail(ErrorCode::invalid_argument,
                "section: found {}, expected three numbers whose sum is {}, half the head",
                to_string(AttributeValue(section)), head / 2);
  }
  LATHE_CHECK(check_table("cos", c.operand(1), head / 2));
  LATHE_CHECK(check_shape("sin", c.operand(2), c.operand(1).shape));
  LATHE_CHECK(check_per_token("positions", c.operand(3), x,
                              head_layout(c.attributes, x.shape.size()), {3}, {}));
  return Types{x};
}

Result<Types> infer_vision_rope(const InferContext& c) {
  const TensorType& x = c.operand(0);
  LATHE_CHECK(check_rank(x));
  LATHE_TRY(const int64_t head, head_size(x, 4));
  LATHE_CHECK(check_table("cos", c.operand(1), head / 4));
  LATHE_CHECK(check_shape("sin", c.operand(2), c.operand(1).shape));
  LATHE_CHECK(check_per_token("positions", c.operand(3), x,
                              head_layout(c.attributes, x.shape.size()), {}, {2}));
  return Types{x};
}

// A row of a table with `rows` rows, checked.
Result<size_t> table_row(const Array& positions, size_t i, int64_t rows) {
  const int64_t position = positions.integers[i];
  if (position >= 0 && position < rows) return static_cast<size_t>(position);
  return fail(ErrorCode::invalid_argument, "positions[{}]: found {}, expected 0 to {}", i, position,
              rows - 1);
}

// Rotates every head. angle(sequence, j) is the offset in the tables of pair j's angle, where
// `sequence` counts tokens over the whole batch; lanes(j) are the two lanes of pair j.
template <typename Angle, typename Lanes>
Result<std::vector<Array>> rotate(const EvalContext& c, size_t pairs, Angle angle, Lanes lanes) {
  const Array& x = c.operand(0);
  const Array& cos = c.operand(1);
  const Array& sin = c.operand(2);
  const HeadLayout layout = head_layout(c.attributes, x.shape.size());
  const auto tokens = static_cast<size_t>(x.shape[layout.tokens]);
  const auto heads = static_cast<size_t>(x.shape[layout.heads]);
  const auto size = static_cast<size_t>(x.shape.back());
  const size_t batch = layout.batched ? static_cast<size_t>(x.shape[0]) : 1;
  const bool tokens_first = layout.tokens < layout.heads;

  Array y = c.make_result(0);
  y.reals = x.reals;  // lanes beyond the rotated ones pass through
  std::vector<size_t> angles(pairs);
  for (size_t sequence = 0; sequence < batch * tokens; ++sequence) {
    for (size_t j = 0; j < pairs; ++j) {
      LATHE_TRY(angles[j], angle(sequence, j));
    }
    const size_t b = sequence / tokens;
    const size_t t = sequence % tokens;
    for (size_t h = 0; h < heads; ++h) {
      const size_t row = tokens_first ? sequence * heads + h : (b * heads + h) * tokens + t;
      for (size_t j = 0; j < pairs; ++j) {
        const auto [i0, i1] = lanes(j);
        const double x0 = x.reals[row * size + i0];
        const double x1 = x.reals[row * size + i1];
        y.reals[row * size + i0] = x0 * cos.reals[angles[j]] - x1 * sin.reals[angles[j]];
        y.reals[row * size + i1] = x1 * cos.reals[angles[j]] + x0 * sin.reals[angles[j]];
      }
    }
  }
  return std::vector<Array>{std::move(y)};
}

struct Lanes {
  size_t first;
  size_t second;
};

// Tokens over the batch, counted so that an operand without batch repeats.
size_t wrapped(size_t sequence, size_t count) { return count == 0 ? 0 : sequence % count; }

Result<std::vector<Array>> eval_rope(const EvalContext& c) {
  const auto pairs = static_cast<size_t>(rotary_size(c.attributes, c.operand(0).shape.back())) / 2;
  const bool adjacent = c.attributes.flag("interleaved");
  const auto angle = [&](size_t sequence, size_t j) -> Result<size_t> {
    if (!c.has(3)) {
      const size_t rows = c.operand(1).reals.size() / pairs;
      return wrapped(sequence, rows) * pairs + j;
    }
    const size_t i = wrapped(sequence, c.operand(3).integers.size());
    LATHE_TRY(const size_t row, table_row(c.operand(3), i, c.operand(1).shape[0]));
    return row * pairs + j;
  };
  return rotate(c, pairs, angle,
                [&](size_t j) { return adjacent ? Lanes{2 * j, 2 * j + 1} : Lanes{j, j + pairs}; });
}

Result<std::vector<Array>> eval_mrope(const EvalContext& c) {
  const size_t pairs = static_cast<size_t>(c.operand(0).shape.back()) / 2;
  const auto& section = c.attributes.integers("section");
  const Array& positions = c.operand(3);
  const size_t per_axis = positions.integers.size() / 3;
  const auto angle = [&](size_t sequence, size_t j) -> Result<size_t> {
    const size_t remainder = j % 3;
    const bool interleaved = remainder != 0 && static_cast<int64_t>(j) < 3 * section[remainder];
    const size_t axis = interleaved ? remainder : 0;
    const size_t i = axis * per_axis + wrapped(sequence, per_axis);
    LATHE_TRY(const size_t row, table_row(positions, i, c.operand(1).shape[0]));
    return row * pairs + j;
  };
  return rotate(c, pairs, angle, [&](size_t j) { return Lanes{j, j + pairs}; });
}

Result<std::vector<Array>> eval_vision_rope(const EvalContext& c) {
  const size_t pairs = static_cast<size_t>(c.operand(0).shape.back()) / 2;
  const size_t width = pairs / 2;  // the first half of the pairs turns by row, the other by column
  const Array& positions = c.operand(3);
  const auto angle = [&](size_t sequence, size_t j) -> Result<size_t> {
    const size_t i = wrapped(sequence, positions.integers.size() / 2) * 2 + j / width;
    LATHE_TRY(const size_t row, table_row(positions, i, c.operand(1).shape[0]));
    return row * width + j % width;
  };
  return rotate(c, pairs, angle, [&](size_t j) { return Lanes{j, j + pairs}; });
}

Result<Types> infer_rope_table(const InferContext& c) {
  const int64_t dim = c.attributes.integer("dim");
  const int64_t positions = c.attributes.integer("positions");
  if (dim <= 0 || dim % 2 != 0 || dim > kMaxDim) {
    return fail(ErrorCode::invalid_argument, "dim: found {}, expected an even positive number",
                dim);
  }
  if (positions < 0 || positions > (int64_t{1} << 24)) {
    return fail(ErrorCode::invalid_argument,
                "positions: found {}, expected 0 to 2^24, which f32 counts exactly", positions);
  }
  if (!(c.attributes.real("theta") > 0)) {
    return fail(ErrorCode::invalid_argument, "theta: found {}, expected a positive number",
                c.attributes.real("theta"));
  }
  const TensorType table{Type::f32, {positions, dim / 2}};
  return Types{table, table};
}

Result<std::vector<Array>> eval_rope_table(const EvalContext& c) {
  Array cos = c.make_result(0);
  Array sin = c.make_result(1);
  const int64_t dim = c.attributes.integer("dim");
  const auto width = static_cast<size_t>(dim / 2);
  for (size_t j = 0; j < width; ++j) {
    const auto frequency = static_cast<float>(std::pow(
        c.attributes.real("theta"), -2.0 * static_cast<double>(j) / static_cast<double>(dim)));
    for (size_t i = j, position = 0; i < cos.reals.size(); i += width, ++position) {
      // The model's angles are f32 products; at large positions double ones would differ.
      const auto angle = static_cast<double>(static_cast<float>(position) * frequency);
      cos.reals[i] = std::cos(angle);
      sin.reals[i] = std::sin(angle);
    }
  }
  return std::vector<Array>{std::move(cos), std::move(sin)};
}

Result<Types> infer_bilinear_embedding(const InferContext& c) {
  const TensorType& table = c.operand(0);
  const TensorType& indices = c.operand(1);
  if (table.rank() != 2 || indices.rank() != 2 || !indices.shape[1].is_number()) {
    return fail(ErrorCode::invalid_argument,
                "found shapes {} and {}, expected a table [rows, width] and indices [n, corners]",
                to_string(table.shape), to_string(indices.shape));
  }
  LATHE_CHECK(check_shape("weights", c.operand(2), indices.shape));
  return Types{{table.element, {indices.shape[0], table.shape[1]}}};
}

Result<std::vector<Array>> eval_bilinear_embedding(const EvalContext& c) {
  const Array& table = c.operand(0);
  const Array& indices = c.operand(1);
  Array y = c.make_result(0);
  const auto corners = static_cast<size_t>(indices.shape[1]);
  const auto width = static_cast<size_t>(table.shape[1]);
  for (size_t i = 0; i < indices.integers.size(); ++i) {
    const int64_t row = indices.integers[i];
    if (row < 0 || row >= table.shape[0]) {
      return fail(ErrorCode::invalid_argument, "indices[{}]: found {}, expected 0 to {}", i, row,
                  table.shape[0] - 1);
    }
    for (size_t k = 0; k < width; ++k) {
      y.reals[i / corners * width + k] +=
          c.operand(2).reals[i] * table.reals[static_cast<size_t>(row) * width + k];
    }
  }
  return std::vector<Array>{std::move(y)};
}

}  // namespace

void add_position_ops(std::vector<Op>& table) {
  const OperandSpec x{"x", TypeClass::real};
  const OperandSpec cos{"cos", TypeClass::real};
  const OperandSpec sin{"sin", TypeClass::real};
  const OperandSpec positions{"positions", TypeClass::index};
  table.push_back(
      {.name = "rope",
       .family = Family::position,
       .doc =
           "rotates pairs (j, j + rotary_dim/2) of each head by the angle of row positions[token]; "
           "without positions the tables have one row per token",
       .operands = {x, cos, sin, {"positions", TypeClass::index, Arity::optional}},
       .attributes = {{"interleaved", AttributeKind::flag, AttributeValue(false),
                       "pairs are (2j, 2j + 1) instead"},
                      {"rotary_dim", kInteger, AttributeValue(0),
                       "lanes that rotate, from the first; 0: all"},
                      head_layout_attribute()},
       .results = {{"y"}},
       .infer = infer_rope,
       .eval = eval_rope});
  table.push_back(
      {.name = "mrope",
       .family = Family::position,
       .doc = "rope whose pair j takes its row from positions[axis(j)], positions [3, tokens]: "
              "axis 1 if "
              "j mod 3 = 1 and j < 3*section[1], 2 if j mod 3 = 2 and j < 3*section[2], else 0",
       .operands = {x, cos, sin, positions},
       .attributes = {{"section", AttributeKind::integers,
                       AttributeValue(AttributeValue::Integers{24, 20, 20}),
                       "pairs of each axis; their sum is half the head"},
                      head_layout_attribute()},
       .results = {{"y"}},
       .infer = infer_mrope,
       .eval = eval_mrope});
  table.push_back(
      {.name = "vision_rope",
       .family = Family::position,
       .doc = "rope whose first half of pairs turns by positions[token, 0] (row), the second by "
              "positions[token, 1] (column); tables [positions, size/4]",
       .operands = {x, cos, sin, positions},
       .attributes = {head_layout_attribute()},
       .results = {{"y"}},
       .infer = infer_vision_rope,
       .eval = eval_vision_rope});
  table.push_back(
      {.name = "rope_table",
       .family = Family::position,
       .doc = "cos and sin of position * theta^(-2j/dim), the angle rounded as an f32 product",
       .operands = {},
       .attributes = {{"theta", AttributeKind::real, std::nullopt, "base of the frequencies"},
                      {"dim", kInteger, std::nullopt,
                       "lanes that rotate; the tables have dim/2 columns"},
                      {"positions", kInteger, std::nullopt, "rows: positions 0 to positions - 1"}},
       .results = {{"cos"}, {"sin"}},
       .infer = infer_rope_table,
       .eval = eval_rope_table});
  table.push_back({.name = "bilinear_embedding",
                   .family = Family::position,
                   .doc = "sum over k of weights[i, k] * table[indices[i, k]]",
                   .operands = {{"table", TypeClass::real},
                                {"indices", TypeClass::index},
                                {"weights", TypeClass::real}},
                   .attributes = {},
                   .results = {{"y"}},
                   .infer = infer_bilinear_embedding,
                   .eval = eval_bilinear_embedding});
}

}  // namespace lathe::ir::graph
