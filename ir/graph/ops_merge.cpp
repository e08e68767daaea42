// merge_attention: what attention gives over two parts of the keys, as attention over all of them.
#include <algorithm>
#include <cmath>
#include <limits>

#include "ir/graph/op_families.h"

namespace lathe::ir::graph {
namespace {

using Types = std::vector<TensorType>;

enum MergeOperand : size_t { kOne, kOneSum, kOther, kOtherSum };

Result<Types> infer_merge_attention(const InferContext& c) {
  const TensorType& y = c.operand(kOne);
  if (y.rank() < 1 || c.operand(kOther) != y) {
    return fail(ErrorCode::invalid_argument, "found y of {} and of {}, expected the same",
                to_string(y), to_string(c.operand(kOther)));
  }
  const Shape rows(y.shape.begin(), y.shape.end() - 1);
  for (const size_t sum : {kOneSum, kOtherSum}) {
    if (c.operand(sum).shape == rows) continue;
    return fail(ErrorCode::invalid_argument,
                "operand '{}': found shape {}, expected that of y without its last dimension, {}",
                sum == kOneSum ? "log_sum_exp" : "other_log_sum_exp",
                to_string(c.operand(sum).shape), to_string(rows));
  }
  return Types{y, {Type::f32, rows}};
}

Result<std::vector<Array>> eval_merge_attention(const EvalContext& c) {
  std::vector<Array> results;
  for (size_t i = 0; i < c.results.size(); ++i) results.push_back(c.make_result(i));
  const auto width = static_cast<size_t>(c.operand(kOne).shape.back());
  const std::vector<double>& one_sums = c.operand(kOneSum).reals;
  const std::vector<double>& other_sums = c.operand(kOtherSum).reals;
  for (size_t row = 0; row < one_sums.size(); ++row) {
    const double largest = one_sums[row] > other_sums[row] || std::isnan(one_sums[row])
                               ? one_sums[row]
                               : other_sums[row];
    // A row that sees nothing in either part is 0, as attention's is.
    const bool is_empty = largest == -std::numeric_limits<double>::infinity();
    const double one = is_empty ? 0 : std::exp(one_sums[row] - largest);
    const double other = is_empty ? 0 : std::exp(other_sums[row] - largest);
    for (size_t i = row * width; i < (row + 1) * width && !is_empty; ++i) {
      results[0].reals[i] =
          (c.operand(kOne).reals[i] * one + c.operand(kOther).reals[i] * other) / (one + other);
    }
    if (results.size() > 1)
      results[1].reals[row] = is_empty ? largest : largest + std::log(one + other);
  }
  return results;
}

}  // namespace

void add_merge_ops(std::vector<Op>& table) {
  table.push_back(
      {.name = "merge_attention",
       .family = Family::attention,
       .doc = "attention over two parts of the keys as attention over all of them: (y exp(l) + "
              "other exp(m)) / (exp(l) + exp(m)), l and m the parts' log_sum_exp; 0 where both are "
              "-inf",
       .operands = {{"y", TypeClass::real, Arity::required, "of the first part"},
                    {"log_sum_exp", TypeClass::real, Arity::required,
                     "shape of y without its last dimension"},
                    {"other", TypeClass::real, Arity::required, "of the other part, as y"},
                    {"other_log_sum_exp", TypeClass::real}},
       .attributes = {},
       .results = {{"y"}, {"log_sum_exp", true, "of all keys, f32"}},
       .infer = infer_merge_attention,
       .eval = eval_merge_attention});
}

}  // namespace lathe::ir::graph
