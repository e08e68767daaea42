// Conversions: cast, quantize, quantize_rows, dequantize. Here the oracle rounds.
#include <cmath>

#include "ir/gguf_blocks.h"
#include "ir/graph/op_families.h"
#include "ir/row_codes.h"

namespace lathe::ir::graph {
namespace {

using Types = std::vector<TensorType>;

// Halves of integers beyond 2^53 are folded into the last bit, so that rounding to a float type
// happens once: no float type here keeps more than 24 bits.
double sticky_double(uint64_t magnitude, bool negative) {
  int shift = 0;
  bool lost = false;
  while (magnitude >> 53 != 0) {
    lost = lost || (magnitude & 1) != 0;
    magnitude >>= 1;
    ++shift;
  }
  const double value = std::ldexp(static_cast<double>(magnitude | (lost ? 1U : 0U)), shift);
  return negative ? -value : value;
}

double real_from_integer(Type from, int64_t value) {
  if (from == Type::u64) return sticky_double(static_cast<uint64_t>(value), false);
  const bool negative = value < 0;
  const auto bits = static_cast<uint64_t>(value);
  return sticky_double(negative ? 0 - bits : bits, negative);
}

// Truncates towards zero; beyond the type's range its nearest end; NaN gives 0.
int64_t integer_from_real(Type to, double value) {
  if (to == Type::boolean) return value != 0 ? 1 : 0;  // NaN is not 0
  if (std::isnan(value)) return 0;
  const int bits = size_of(to) * 8;
  const bool is_signed = info(to).is_signed;
  const double above = std::ldexp(1.0, is_signed ? bits - 1 : bits);
  const double below = is_signed ? -above : 0.0;
  const double whole = std::trunc(value);
  const uint64_t largest = ~uint64_t{0} >> (is_signed ? 65 - bits : 64 - bits);
  if (whole >= above) return static_cast<int64_t>(largest);
  if (whole <= below) return is_signed ? -static_cast<int64_t>(largest) - 1 : 0;
  return is_signed ? static_cast<int64_t>(whole)
                   : static_cast<int64_t>(static_cast<uint64_t>(whole));
}

Result<Types> infer_cast(const InferContext& c) {
  const Type to = c.attributes.type("type");
  if (info(to).block_elements > 1) {
    return fail(ErrorCode::invalid_argument,
                "type: found {}, expected a type that is not block-quantised; use quantize",
                name(to));
  }
  return Types{{to, c.operand(0).shape}};
}

Result<std::vector<Array>> eval_cast(const EvalContext& c) {
  const Array& x = c.operand(0);
  Array y = c.make_result(0);
  for (size_t i = 0; i < y.reals.size(); ++i) {
    y.reals[i] =
        round_to(y.type, x.is_real() ? x.reals[i] : real_from_integer(x.type, x.integers[i]));
  }
  for (size_t i = 0; i < y.integers.size(); ++i) {
    y.integers[i] =
        x.is_real() ? integer_from_real(y.type, x.reals[i]) : wrap_to(y.type, x.integers[i]);
  }
  return std::vector<Array>{std::move(y)};
}

Result<Types> infer_quantize(const InferContext& c) {
  const Type to = c.attributes.type("type");
  if (to != Type::q8_0 && to != Type::q4_0) {
    return fail(ErrorCode::invalid_argument, "type: found {}, expected q8_0 or q4_0", name(to));
  }
  const TensorType& x = c.operand(0);
  const int block = info(to).block_elements;
  if (x.rank() == 0 || x.shape.back().factor % block != 0) {
    return fail(ErrorCode::invalid_argument,
                "operand 'x': found shape {}, expected a last dimension that is a multiple of {}",
                to_string(x.shape), block);
  }
  return Types{{to, x.shape}};
}

Result<std::vector<Array>> eval_quantize(const EvalContext& c) {
  Array y = c.make_result(0);
  const std::vector<float> x(c.operand(0).reals.begin(), c.operand(0).reals.end());
  y.blocks.resize(static_cast<size_t>(bytes_of(y.type, y.elements())));
  quantize(y.type, x, y.blocks.data());
  std::vector<float> values(x.size());
  dequantize(y.type, y.blocks.data(), values);
  y.reals.assign(values.begin(), values.end());
  return std::vector<Array>{std::move(y)};
}

Result<Types> infer_quantize_rows(const InferContext& c) {
  const TensorType& x = c.operand(0);
  if (x.rank() == 0)
    return fail(ErrorCode::invalid_argument, "operand 'x': found a scalar, expected rows");
  TensorType scale{Type::f32, x.shape};
  scale.shape.back() = 1;
  return Types{{Type::i8, x.shape}, std::move(scale)};
}

Result<std::vector<Array>> eval_quantize_rows(const EvalContext& c) {
  Array codes = c.make_result(0);
  Array scales = c.make_result(1);
  const std::vector<float> x(c.operand(0).reals.begin(), c.operand(0).reals.end());
  const auto width = static_cast<size_t>(codes.shape.back());
  std::vector<int8_t> row(width);
  for (size_t i = 0; i < scales.reals.size(); ++i) {
    scales.reals[i] = quantize_row(std::span(x).subspan(i * width, width), row.data());
    std::copy(row.begin(), row.end(),
              codes.integers.begin() + static_cast<std::ptrdiff_t>(i * width));
  }
  return std::vector<Array>{std::move(codes), std::move(scales)};
}

Result<Types> infer_dequantize(const InferContext& c) {
  const Type to = c.attributes.type("type");
  if (!contains(TypeClass::real, to)) {
    return fail(ErrorCode::invalid_argument, "type: found {}, expected {}", name(to),
                to_string(TypeClass::real));
  }
  return Types{{to, c.operand(0).shape}};
}

Result<std::vector<Array>> eval_dequantize(const EvalContext& c) {
  Array y = c.make_result(0);
  for (size_t i = 0; i < y.reals.size(); ++i) y.reals[i] = round_to(y.type, c.operand(0).reals[i]);
  return std::vector<Array>{std::move(y)};
}

}  // namespace

void add_conversion_ops(std::vector<Op>& table) {
  table.push_back(
      {.name = "cast",
       .family = Family::elementwise,
       .doc = "to floats: rounds to nearest even; float to integer: truncates, saturates, NaN "
              "gives 0; "
              "integer to integer: wraps; to bool: x != 0",
       .operands = {{"x", TypeClass::plain}},
       .attributes = {{"type", AttributeKind::type, std::nullopt, "element type of the result"}},
       .results = {{"y"}},
       .infer = infer_cast,
       .eval = eval_cast});
  table.push_back(
      {.name = "quantize",
       .family = Family::elementwise,
       .doc = "x rounded to f32, then to blocks along the last dimension in GGUF's layout",
       .operands = {{"x", TypeClass::real}},
       .attributes = {{"type", AttributeKind::type, AttributeValue(Type::q8_0), "q8_0 or q4_0"}},
       .results = {{"y"}},
       .infer = infer_quantize,
       .eval = eval_quantize});
  table.push_back({.name = "quantize_rows",
                   .family = Family::elementwise,
                   .doc = "x rounded to f32, each row along the last dimension to 8-bit codes: "
                          "scale = max|x| / 127, codes x * (1/scale) rounded to nearest even; a "
                          "row with a NaN or an infinity has the scale NaN",
                   .operands = {{"x", TypeClass::real}},
                   .attributes = {},
                   .results = {{"codes"}, {"scale"}},
                   .infer = infer_quantize_rows,
                   .eval = eval_quantize_rows});
  table.push_back(
      {.name = "dequantize",
       .family = Family::elementwise,
       .doc = "the values of the blocks, rounded to the result's type",
       .operands = {{"x", TypeClass::quantised}},
       .attributes = {{"type", AttributeKind::type, AttributeValue(Type::f32), "f32, f16 or bf16"}},
       .results = {{"y"}},
       .infer = infer_dequantize,
       .eval = eval_dequantize});
}

}  // namespace lathe::ir::graph
