// Elementwise arithmetic, comparisons and where, over floats in double and integers with
// wrap-around.
#include <cmath>
#include <limits>

#include "ir/graph/op_families.h"
#include "ir/graph/strides.h"

namespace lathe::ir::graph {
namespace {

using Types = std::vector<TensorType>;

// Integers travel as 64 bits and are wrapped to their type afterwards, so that the low bits of sums
// and products are right for every width; unsigned arithmetic makes the wrapping well defined.
uint64_t bits(int64_t value) { return static_cast<uint64_t>(value); }
int64_t from_bits(uint64_t value) { return static_cast<int64_t>(value); }

int64_t integer_neg(int64_t a) { return from_bits(0 - bits(a)); }
int64_t integer_abs(int64_t a) { return a < 0 ? integer_neg(a) : a; }
int64_t integer_add(int64_t a, int64_t b) { return from_bits(bits(a) + bits(b)); }
int64_t integer_sub(int64_t a, int64_t b) { return from_bits(bits(a) - bits(b)); }
int64_t integer_mul(int64_t a, int64_t b) { return from_bits(bits(a) * bits(b)); }

double real_neg(double a) { return -a; }
double real_abs(double a) { return std::fabs(a); }
double real_add(double a, double b) { return a + b; }
double real_sub(double a, double b) { return a - b; }
double real_mul(double a, double b) { return a * b; }
double real_div(double a, double b) { return a / b; }
double real_max(double a, double b) { return a > b || std::isnan(a) ? a : b; }
double real_min(double a, double b) { return a < b || std::isnan(a) ? a : b; }

double real_exp(double a) { return std::exp(a); }
double real_log(double a) { return std::log(a); }
double real_tanh(double a) { return std::tanh(a); }
double real_erf(double a) { return std::erf(a); }
double real_sqrt(double a) { return std::sqrt(a); }
double real_rsqrt(double a) { return 1.0 / std::sqrt(a); }
double real_reciprocal(double a) { return 1.0 / a; }
double real_round(double a) { return std::nearbyint(a); }

bool integer_less(Type type, int64_t a, int64_t b) {
  return type == Type::u64 ? bits(a) < bits(b) : a < b;
}

Result<Types> infer_unary(const InferContext& c) { return Types{c.operand(0)}; }

using RealUnary = double (*)(double);
using IntegerUnary = int64_t (*)(int64_t);

template <RealUnary real, IntegerUnary integer>
Result<std::vector<Array>> eval_unary(const EvalContext& c) {
  const Array& x = c.operand(0);
  Array y = c.make_result(0);
  for (size_t i = 0; i < y.reals.size(); ++i) y.reals[i] = real(x.reals[i]);
  if constexpr (integer != nullptr) {
    for (size_t i = 0; i < y.integers.size(); ++i) {
      y.integers[i] = wrap_to(y.type, integer(x.integers[i]));
    }
  }
  return std::vector<Array>{std::move(y)};
}

Status check_same_element(const InferContext& c, size_t i, size_t j, std::string_view name_i,
                          std::string_view name_j) {
  if (c.operand(i).element == c.operand(j).element) return {};
  return fail(ErrorCode::invalid_argument, "operand '{}': found {}, expected {} as '{}' has",
              name_j, name(c.operand(j).element), name(c.operand(i).element), name_i);
}

Result<Types> infer_binary(const InferContext& c) {
  LATHE_CHECK(check_same_element(c, 0, 1, "a", "b"));
  LATHE_TRY(auto shape, broadcast(c.operand(0).shape, c.operand(1).shape));
  return Types{{c.operand(0).element, std::move(shape)}};
}

Result<Types> infer_compare(const InferContext& c) {
  LATHE_TRY(auto types, infer_binary(c));
  types[0].element = Type::boolean;
  return types;
}

Result<Types> infer_fma(const InferContext& c) {
  LATHE_CHECK(check_same_element(c, 0, 2, "a", "c"));
  LATHE_TRY(auto types, infer_binary(c));
  LATHE_TRY(types[0].shape, broadcast(types[0].shape, c.operand(2).shape));
  return types;
}

Result<Types> infer_where(const InferContext& c) {
  LATHE_CHECK(check_same_element(c, 1, 2, "a", "b"));
  LATHE_TRY(auto shape, broadcast(c.operand(0).shape, c.operand(1).shape));
  LATHE_TRY(shape, broadcast(shape, c.operand(2).shape));
  return Types{{c.operand(1).element, std::move(shape)}};
}

// Calls f(i, offset in operand 0, offset in operand 1) for each element i of `result`.
template <typename F>
void for_each_pair(const EvalContext& c, const Array& result, F f) {
  auto a = broadcast_cursor(c.operand(0).shape, result.shape);
  auto b = broadcast_cursor(c.operand(1).shape, result.shape);
  const auto count = static_cast<size_t>(result.elements());
  for (size_t i = 0; i < count; ++i, a.advance(), b.advance()) f(i, a.offset(), b.offset());
}

using RealBinary = double (*)(double, double);
using IntegerBinary = int64_t (*)(int64_t, int64_t);

template <RealBinary real, IntegerBinary integer>
Result<std::vector<Array>> eval_binary(const EvalContext& c) {
  Array y = c.make_result(0);
  for_each_pair(c, y, [&](size_t i, size_t a, size_t b) {
    if (y.is_real()) {
      y.reals[i] = real(c.operand(0).reals[a], c.operand(1).reals[b]);
    } else {
      y.integers[i] = wrap_to(y.type, integer(c.operand(0).integers[a], c.operand(1).integers[b]));
    }
  });
  return std::vector<Array>{std::move(y)};
}

int64_t integer_div(Type type, int64_t a, int64_t b) {
  if (type == Type::u64) return from_bits(bits(a) / bits(b));
  return b == -1 ? integer_neg(a) : a / b;  // the least integer over -1 wraps to itself
}

Result<std::vector<Array>> eval_div(const EvalContext& c) {
  const Array& divisor = c.operand(1);
  if (!divisor.is_real()) {
    for (size_t i = 0; i < divisor.integers.size(); ++i) {
      if (divisor.integers[i] == 0) {
        return fail(ErrorCode::invalid_argument,
                    "operand 'b': element {} is 0, expected non-zero integers", i);
      }
    }
  }
  Array y = c.make_result(0);
  for_each_pair(c, y, [&](size_t i, size_t a, size_t b) {
    if (y.is_real()) {
      y.reals[i] = real_div(c.operand(0).reals[a], divisor.reals[b]);
    } else {
      y.integers[i] =
          wrap_to(y.type, integer_div(y.type, c.operand(0).integers[a], divisor.integers[b]));
    }
  });
  return std::vector<Array>{std::move(y)};
}

template <RealBinary real, bool largest>
Result<std::vector<Array>> eval_extreme(const EvalContext& c) {
  Array y = c.make_result(0);
  for_each_pair(c, y, [&](size_t i, size_t a, size_t b) {
    if (y.is_real()) {
      y.reals[i] = real(c.operand(0).reals[a], c.operand(1).reals[b]);
    } else {
      const int64_t va = c.operand(0).integers[a];
      const int64_t vb = c.operand(1).integers[b];
      y.integers[i] = integer_less(y.type, va, vb) == largest ? vb : va;
    }
  });
  return std::vector<Array>{std::move(y)};
}

// Comparisons hold if the order of a and b is one of the accepted; NaN has no order.
struct Accepts {
  bool less, equal, greater, unordered;
};

template <Accepts accepts>
Result<std::vector<Array>> eval_compare(const EvalContext& c) {
  Array y = c.make_result(0);
  const Type type = c.operand(0).type;
  const auto holds = [](bool less, bool equal, bool greater) {
    return less      ? accepts.less
           : equal   ? accepts.equal
           : greater ? accepts.greater
                     : accepts.unordered;
  };
  for_each_pair(c, y, [&](size_t i, size_t a, size_t b) {
    if (c.operand(0).is_real()) {
      const double va = c.operand(0).reals[a];
      const double vb = c.operand(1).reals[b];
      y.integers[i] = holds(va < vb, va == vb, va > vb) ? 1 : 0;
    } else {
      const int64_t va = c.operand(0).integers[a];
      const int64_t vb = c.operand(1).integers[b];
      const bool less = integer_less(type, va, vb);
      y.integers[i] = holds(less, va == vb, !less && va != vb) ? 1 : 0;
    }
  });
  return std::vector<Array>{std::move(y)};
}

Result<std::vector<Array>> eval_fma(const EvalContext& c) {
  Array y = c.make_result(0);
  auto addend = broadcast_cursor(c.operand(2).shape, y.shape);
  for_each_pair(c, y, [&](size_t i, size_t a, size_t b) {
    if (y.is_real()) {
      y.reals[i] = std::fma(c.operand(0).reals[a], c.operand(1).reals[b],
                            c.operand(2).reals[addend.offset()]);
    } else {
      y.integers[i] = wrap_to(
          y.type, integer_add(integer_mul(c.operand(0).integers[a], c.operand(1).integers[b]),
                              c.operand(2).integers[addend.offset()]));
    }
    addend.advance();
  });
  return std::vector<Array>{std::move(y)};
}

Result<std::vector<Array>> eval_where(const EvalContext& c) {
  Array y = c.make_result(0);
  auto otherwise = broadcast_cursor(c.operand(2).shape, y.shape);
  for_each_pair(c, y, [&](size_t i, size_t condition, size_t a) {
    const bool take = c.operand(0).integers[condition] != 0;
    const Array& source = take ? c.operand(1) : c.operand(2);
    const size_t offset = take ? a : otherwise.offset();
    if (y.is_real()) {
      y.reals[i] = source.reals[offset];
    } else {
      y.integers[i] = source.integers[offset];
    }
    otherwise.advance();
  });
  return std::vector<Array>{std::move(y)};
}

}  // namespace

void add_arithmetic_ops(std::vector<Op>& table) {
  const auto add = [&](std::string_view name, std::string_view doc,
                       std::vector<OperandSpec> operands, InferFn infer, EvalFn eval) {
    table.push_back({.name = name,
                     .family = Family::elementwise,
                     .doc = doc,
                     .operands = std::move(operands),
                     .attributes = {},
                     .results = {{"y"}},
                     .infer = infer,
                     .eval = eval});
  };
  const auto binary = [&](std::string_view name, std::string_view doc, EvalFn eval) {
    add(name, doc, {{"a", TypeClass::number}, {"b", TypeClass::number}}, infer_binary, eval);
  };
  const auto compare = [&](std::string_view name, std::string_view doc, EvalFn eval) {
    add(name, doc, {{"a", TypeClass::plain}, {"b", TypeClass::plain}}, infer_compare, eval);
  };
  const auto unary = [&](std::string_view name, std::string_view doc, TypeClass types,
                         EvalFn eval) { add(name, doc, {{"x", types}}, infer_unary, eval); };
  binary("add", "a + b", eval_binary<real_add, integer_add>);
  binary("sub", "a - b", eval_binary<real_sub, integer_sub>);
  binary("mul", "a * b", eval_binary<real_mul, integer_mul>);
  binary("div", "a / b; integers truncate towards zero and refuse b = 0", eval_div);
  binary("max", "the larger; NaN if either is", eval_extreme<real_max, true>);
  binary("min", "the smaller; NaN if either is", eval_extreme<real_min, false>);
  add("fma", "a * b + c, rounded once",
      {{"a", TypeClass::number}, {"b", TypeClass::number}, {"c", TypeClass::number}}, infer_fma,
      eval_fma);
  unary("neg", "-x", TypeClass::number, eval_unary<real_neg, integer_neg>);
  unary("abs", "|x|", TypeClass::number, eval_unary<real_abs, integer_abs>);
  unary("round", "to the nearest integer, halves to even", TypeClass::real,
        eval_unary<real_round, nullptr>);
  unary("exp", "e^x", TypeClass::real, eval_unary<real_exp, nullptr>);
  unary("log", "natural logarithm", TypeClass::real, eval_unary<real_log, nullptr>);
  unary("tanh", "hyperbolic tangent", TypeClass::real, eval_unary<real_tanh, nullptr>);
  unary("erf", "error function", TypeClass::real, eval_unary<real_erf, nullptr>);
  unary("sqrt", "square root; NaN below 0", TypeClass::real, eval_unary<real_sqrt, nullptr>);
  unary("rsqrt", "1 / sqrt(x)", TypeClass::real, eval_unary<real_rsqrt, nullptr>);
  unary("reciprocal", "1 / x", TypeClass::real, eval_unary<real_reciprocal, nullptr>);
  compare("equal", "a = b", eval_compare<Accepts{false, true, false, false}>);
  compare("not_equal", "a != b; true if either is NaN",
          eval_compare<Accepts{true, false, true, true}>);
  compare("less", "a < b", eval_compare<Accepts{true, false, false, false}>);
  compare("less_equal", "a <= b", eval_compare<Accepts{true, true, false, false}>);
  compare("greater", "a > b", eval_compare<Accepts{false, false, true, false}>);
  compare("greater_equal", "a >= b", eval_compare<Accepts{false, true, true, false}>);
  add("where", "a where the condition holds, else b",
      {{"condition", TypeClass::boolean}, {"a", TypeClass::plain}, {"b", TypeClass::plain}},
      infer_where, eval_where);
}

}  // namespace lathe::ir::graph
