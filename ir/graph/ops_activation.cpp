// Activation ops: gelu, silu, relu, sigmoid, swiglu.
#include <cmath>
#include <numbers>

#include "ir/graph/op_families.h"

namespace lathe::ir::graph {
namespace {

using Types = std::vector<TensorType>;

Result<Types> infer_same(const InferContext& c) { return Types{c.operand(0)}; }

double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }

// -inf gives NaN in all three, as in PyTorch: each is x times something that is exactly 0 there.
double silu(double x) { return x * sigmoid(x); }
double gelu_erf(double x) { return 0.5 * x * std::erfc(-x / std::numbers::sqrt2); }
double gelu_tanh(double x) {
  // 0.5 (1 + tanh(u)) is sigmoid(2u), which does not cancel for negative u.
  const double u = std::sqrt(2.0 / std::numbers::pi) * (x + 0.044715 * x * x * x);
  return x * sigmoid(2.0 * u);
}
double relu(double x) { return x < 0 ? 0.0 : x; }  // a NaN stays

template <typename F>
std::vector<Array> map(const EvalContext& c, F f) {
  Array y = c.make_result(0);
  for (size_t i = 0; i < y.reals.size(); ++i) y.reals[i] = f(c.operand(0).reals[i]);
  return {std::move(y)};
}

Result<std::vector<Array>> eval_gelu(const EvalContext& c) {
  return map(c, c.attributes.word("approximate") == "tanh" ? gelu_tanh : gelu_erf);
}
Result<std::vector<Array>> eval_silu(const EvalContext& c) { return map(c, silu); }
Result<std::vector<Array>> eval_relu(const EvalContext& c) { return map(c, relu); }
Result<std::vector<Array>> eval_sigmoid(const EvalContext& c) { return map(c, sigmoid); }

Result<Types> infer_swiglu(const InferContext& c) {
  if (c.operand(0) != c.operand(1)) {
    return fail(ErrorCode::invalid_argument, "operand 'up': found {}, expected {} as 'gate' has",
                to_string(c.operand(1)), to_string(c.operand(0)));
  }
  return Types{c.operand(0)};
}

Result<std::vector<Array>> eval_swiglu(const EvalContext& c) {
  Array y = c.make_result(0);
  for (size_t i = 0; i < y.reals.size(); ++i) {
    y.reals[i] = silu(c.operand(0).reals[i]) * c.operand(1).reals[i];
  }
  return std::vector<Array>{std::move(y)};
}

}  // namespace

void add_activation_ops(std::vector<Op>& table) {
  const auto unary = [&](std::string_view name, std::string_view doc, EvalFn eval,
                         std::vector<AttributeSpec> attributes = {}) {
    table.push_back({.name = name,
                     .family = Family::activation,
                     .doc = doc,
                     .operands = {{"x", TypeClass::real}},
                     .attributes = std::move(attributes),
                     .results = {{"y"}},
                     .infer = infer_same,
                     .eval = eval});
  };
  unary("gelu",
        "x * (1 + erf(x / sqrt(2))) / 2, or with 0.5 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))",
        eval_gelu,
        {{"approximate",
          AttributeKind::word,
          AttributeValue("none"),
          "which of the two",
          {"none", "tanh"}}});
  unary("silu", "x / (1 + exp(-x))", eval_silu);
  unary("relu", "max(x, 0); NaN stays NaN", eval_relu);
  unary("sigmoid", "1 / (1 + exp(-x))", eval_sigmoid);
  table.push_back({.name = "swiglu",
                   .family = Family::activation,
                   .doc = "silu(gate) * up",
                   .operands = {{"gate", TypeClass::real}, {"up", TypeClass::real}},
                   .attributes = {},
                   .results = {{"y"}},
                   .infer = infer_swiglu,
                   .eval = eval_swiglu});
}

}  // namespace lathe::ir::graph
