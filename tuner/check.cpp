// Interpreter, oracle, adversarial inputs, true size.
#include "tuner/check.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>
#include <set>

#include "compiler/family.h"
#include "compiler/kept_elements.h"
#include "runtime/launch/launch.h"

namespace lathe::tuner {
namespace {

constexpr uint64_t kSeed = 20240607;
constexpr int64_t kSmallRows = 5;  // two workers get 3 and 2: both a full and a short share
constexpr int64_t kSmallTable = 7;
constexpr int64_t kSampledRows = 8;
constexpr int64_t kPadding = 3;  // elements or blocks
constexpr int kInterpretedWorkers = 2;

// A problem without a size for its rows has one.
int64_t rows_in(const compiler::Sizes& sizes) {
  const auto rows = sizes.find("rows");
  return rows == sizes.end() ? 1 : rows->second;
}

compiler::Sizes small_sizes(const compiler::Sizes& at) {
  compiler::Sizes sizes;
  for (const auto& [name, size] : at)
    sizes[name] = std::min(size, name == "rows" ? kSmallRows : kSmallTable);
  return sizes;
}

// Entries `indices` along a dimension, as a smaller tensor; `factor` elements are one entry.
ir::Tensor take(const ir::Tensor& tensor, size_t axis, int64_t factor,
                const std::vector<int64_t>& indices) {
  std::vector<int64_t> shape = tensor.shape();
  int64_t outer = 1, inner = factor;
  for (size_t k = 0; k < axis; ++k) outer *= shape[k];
  for (size_t k = axis + 1; k < shape.size(); ++k) inner *= shape[k];
  const int64_t all = shape[axis] / factor;
  const auto count = static_cast<int64_t>(indices.size());
  shape[axis] = count * factor;
  ir::Tensor part(tensor.type(), shape);
  const int64_t bytes = ir::bytes_of(tensor.type(), inner);
  for (int64_t o = 0; o < outer; ++o) {
    for (int64_t i = 0; i < count; ++i) {
      std::memcpy(part.data() + (o * count + i) * bytes,
                  tensor.data() + (o * all + indices[static_cast<size_t>(i)]) * bytes,
                  static_cast<size_t>(bytes));
    }
  }
  return part;
}

// Whether the kernel takes the operand's rows at any distance.
bool is_strided(const runtime::OperandRule& rule) {
  return std::any_of(rule.stride_variables.begin(), rule.stride_variables.end(),
                     [](int variable) { return variable >= 0; });
}

// Every operand as its problem says that it lies, with rows `padding` elements or blocks apart.
std::vector<LaidOut> lay_out_all(const runtime::CompiledKernel& kernel,
                                 const std::vector<ir::Tensor>& inputs,
                                 const std::vector<ir::Tensor>& outputs, int64_t padding) {
  std::vector<LaidOut> operands;
  for (const auto* list : {&inputs, &outputs}) {
    for (const ir::Tensor& tensor : *list) {
      const size_t i = operands.size();
      const int64_t gap =
          is_strided(kernel.operands[i]) ? padding * ir::info(tensor.type()).block_elements : 0;
      operands.push_back(lay_out(tensor, order_of(kernel, i), gap));
    }
  }
  return operands;
}

std::vector<TensorView> views_of(const std::vector<LaidOut>& operands) {
  std::vector<TensorView> views;
  for (const LaidOut& operand : operands) views.push_back(operand.view);
  return views;
}

std::vector<ir::Tensor> outputs_of(const std::vector<LaidOut>& operands, size_t inputs) {
  std::vector<ir::Tensor> found;
  for (size_t i = inputs; i < operands.size(); ++i) found.push_back(row_major(operands[i].view));
  return found;
}

}  // namespace

Comparison compare(const std::string& operand, const ir::Tensor& found,
                   const ir::graph::DoubleTensor& expected, const compiler::Limit& limit) {
  Comparison result;
  if (found.shape() != expected.shape) {
    result.passed = false;
    result.message = fmt::format("{}: the shapes differ", operand);
    return result;
  }
  const int64_t width = found.rank() == 0 ? 1 : std::max<int64_t>(found.shape().back(), 1);
  double scale = 1;
  for (int64_t i = 0; i < found.elements(); ++i) {
    if (i % width == 0) {
      scale = 1;
      for (int64_t k = i; k < i + width; ++k) {
        const double magnitude = std::fabs(expected.values[static_cast<size_t>(k)]);
        if (std::isfinite(magnitude)) scale = std::max(scale, magnitude);
      }
    }
    const double got = found.at(i);
    const double want = expected.values[static_cast<size_t>(i)];
    if (got == want || (std::isnan(want) && std::isnan(got))) continue;
    const double allowed = limit.allowed(want, scale);
    double over = INFINITY;
    // Just past the largest finite number of the type, infinity and that number are neighbours.
    if (got == ir::graph::round_to(found.type(), want)) continue;
    if (std::isfinite(got) && std::isfinite(want) && allowed > 0)
      over = std::fabs(got - want) / allowed;
    if (over <= result.worst) continue;
    result.worst = over;
    if (over > 1) {
      result.passed = false;
      result.row = i / width;
      result.message = fmt::format("{}[{}]: found {:.9g}, expected {:.9g} within {:.3g}", operand,
                                   i, got, want, allowed);
    }
  }
  return result;
}

Checker::Checker(compiler::Problem problem, compiler::Sizes at, SharedInputs& shared)
    : problem_(std::move(problem)), at_(std::move(at)), shared_(shared) {}

namespace {

Result<std::vector<ir::graph::DoubleTensor>> oracle(const compiler::Problem& problem,
                                                    const std::vector<ir::Tensor>& inputs) {
  LATHE_TRY(const ir::graph::Graph graph, problem.family().reference(problem));
  return ir::graph::evaluate_double(graph, inputs);
}

// `before`: what the outputs held before the call.
Status compare_all(const runtime::CompiledKernel& kernel, const std::vector<ir::Tensor>& found,
                   const std::vector<ir::Tensor>& before,
                   const std::vector<ir::graph::DoubleTensor>& expected,
                   const compiler::InputPattern& pattern, std::string_view where) {
  for (size_t i = 0; i < found.size(); ++i) {
    const runtime::OperandRule& rule = kernel.operands[static_cast<size_t>(kernel.inputs) + i];
    const std::string& name = rule.name;
    if (rule.updated) {
      const int64_t changed = compiler::changed_element(found[i], before[i], expected[i]);
      if (changed >= 0) {
        return fail(ErrorCode::mismatch,
                    "{}, {}[{}]: found {:.9g}, expected {:.9g}, as before the "
                    "call",
                    where, name, changed, found[i].at(changed), before[i].at(changed));
      }
    }
    const Comparison comparison =
        compare(name, found[i], expected[i], compiler::limit_of(kernel.problem, found[i].type()));
    if (!comparison.passed) {
      return fail(ErrorCode::mismatch, "{}, a row of kind {}, {}", where,
                  to_string(pattern.of(comparison.row)), comparison.message);
    }
  }
  return {};
}

}  // namespace

// Inputs and expected outputs depend on the small problem alone: candidates that are cut alike are
// held against the same.
Result<Checker::SmallKernel> Checker::small_of(const runtime::CompiledKernel& kernel,
                                               const codegen::Backend& backend) {
  SmallKernel result{nullptr, &kernel, nullptr};
  compiler::Problem problem = problem_;
  compiler::Sizes sizes = small_sizes(at_);
  if (problem_.family().miniature != nullptr) {
    LATHE_TRY(compiler::Miniature miniature,
              problem_.family().miniature(problem_, kernel.schedule, kernel.target));
    problem = std::move(miniature.problem);
    sizes = std::move(miniature.sizes);
    LATHE_TRY(result.owned,
              runtime::compile_kernel(problem, kernel.schedule, kernel.target, backend));
    result.kernel = result.owned.get();
  }
  const auto [entry, is_new] = small_.try_emplace(problem.line() + " at " + compiler::print(sizes));
  Small& small = entry->second;
  result.small = &small;
  if (!is_new) return result;
  small.sizes = sizes;
  for (const compiler::InputPattern& pattern : compiler::check_patterns(rows_in(sizes))) {
    Case one{pattern, {}, {}};
    LATHE_TRY(one.inputs, make_inputs(*result.kernel, sizes, pattern, kSeed));
    LATHE_TRY(const std::vector<ir::Tensor> before, make_outputs(*result.kernel, sizes));
    LATHE_TRY(one.expected, oracle(problem, graph_inputs(*result.kernel, one.inputs, before)));
    small.cases.push_back(std::move(one));
  }
  return result;
}

ir::Tensor Checker::chosen(const ir::Tensor& tensor, const runtime::CompiledKernel& kernel,
                           size_t operand) const {
  const runtime::OperandRule& rule = kernel.operands[operand];
  std::optional<ir::Tensor> part;  // without a cut, a copy: large operands are cut
  const auto cut = [&](size_t axis, int64_t factor, const std::vector<int64_t>& indices) {
    part = take(part ? *part : tensor, axis, factor, indices);
  };
  for (size_t axis = 0; axis < rule.shape.size(); ++axis) {
    if (rule.shape[axis].symbol != "rows") continue;
    cut(axis, rule.shape[axis].factor, chosen_rows_);
    break;
  }
  for (const compiler::Sample::Take& columns : chosen_columns_) {
    if (columns.operand != static_cast<int>(operand)) continue;
    // Of a row of blocks whole ones are chosen: one is named by each of its elements.
    const bool last = columns.axis + 1 == tensor.rank();
    const int64_t block = last ? ir::info(tensor.type()).block_elements : 1;
    std::vector<int64_t> indices;
    for (const int64_t index : columns.indices)
      if (index % block == 0) indices.push_back(index / block);
    cut(static_cast<size_t>(columns.axis), block, indices);
  }
  if (part) return std::move(*part);
  return tensor;
}

Status Checker::prepare_true_size(const runtime::CompiledKernel& kernel) {
  if (true_inputs_) return {};
  const int64_t rows = at_.count("rows") != 0 ? at_.find("rows")->second : 1;
  // Which entries of an updated operand a few rows leave as they were is not known from them alone.
  const bool updates = std::any_of(kernel.operands.begin(), kernel.operands.end(),
                                   [](const auto& rule) { return rule.updated; });
  const int64_t sampled_rows = updates ? rows : std::min(rows, kSampledRows);
  for (int64_t i = 0; i < sampled_rows; ++i)
    chosen_rows_.push_back(rows == sampled_rows ? i : i * (rows - 1) / (kSampledRows - 1));
  compiler::Problem sampled = problem_;
  if (problem_.family().sample != nullptr) {
    LATHE_TRY(compiler::Sample sample, problem_.family().sample(problem_, at_));
    sampled = std::move(sample.problem);
    chosen_columns_ = std::move(sample.takes);
  }
  LATHE_TRY(const SharedInputs::Inputs inputs, shared_.of(kernel, at_));
  // Of tables only the entries named are taken: the oracle would make doubles of all.
  const std::vector<bool> is_table = tables_of(kernel);
  const auto chosen_from = [&](ir::Tensor& memory, size_t i) {
    const std::vector<int> order = order_of(kernel, i);
    if (order.empty()) return chosen(memory, kernel, i);
    return chosen(row_major(view_in(order, memory)), kernel, i);
  };
  std::vector<ir::Tensor> part;
  for (size_t i = 0; i < inputs->size(); ++i)
    part.push_back(is_table[i] ? ir::Tensor() : chosen_from((*inputs)[i], i));
  keep_named_entries(kernel, *inputs, part);
  for (size_t i = 0; i < part.size(); ++i)
    if (is_table[i]) part[i] = chosen_from(part[i], i);
  LATHE_TRY(const std::vector<ir::Tensor> before, make_outputs(kernel, at_));
  LATHE_TRY(true_expected_, oracle(sampled, graph_inputs(kernel, part, before)));
  true_inputs_ = inputs;
  return {};
}

Status Checker::check_interpreted(const runtime::CompiledKernel& kernel,
                                  const codegen::Backend& backend) {
  LATHE_TRY(const SmallKernel small, small_of(kernel, backend));
  const Case& first = small.small->cases.front();
  LATHE_TRY(const std::vector<ir::Tensor> outputs, make_outputs(*small.kernel, small.small->sizes));
  const std::vector<LaidOut> operands = lay_out_all(*small.kernel, first.inputs, outputs, 0);
  const Status interpreted =
      runtime::launch_interpreted(*small.kernel, views_of(operands), kInterpretedWorkers);
  if (!interpreted) return fail_with_context("interpreted", interpreted.error());
  return compare_all(*small.kernel, outputs_of(operands, first.inputs.size()), outputs,
                     first.expected, first.pattern, "interpreted");
}

Status Checker::check_small(const SmallKernel& small, const Case& one, int64_t padding,
                            runtime::ThreadPool& pool) const {
  const runtime::CompiledKernel& kernel = *small.kernel;
  const std::vector<ir::Tensor>& inputs = one.inputs;
  LATHE_TRY(const std::vector<ir::Tensor> outputs, make_outputs(kernel, small.small->sizes));
  const std::vector<LaidOut> operands = lay_out_all(kernel, inputs, outputs, padding);
  LATHE_CHECK(runtime::launch(kernel, views_of(operands), pool));
  return compare_all(
      kernel, outputs_of(operands, inputs.size()), outputs, one.expected, one.pattern,
      fmt::format("small shape, {} inputs, rows padded by {}", one.pattern.print(), padding));
}

Status Checker::check_true_size(const runtime::CompiledKernel& kernel,
                                runtime::ThreadPool& pool) const {
  LATHE_TRY(std::vector<ir::Tensor> outputs, make_outputs(kernel, at_));
  std::vector<ir::Tensor> found, before;
  for (size_t i = 0; i < outputs.size(); ++i)
    if (kernel.operands[true_inputs_->size() + i].updated) {
      before.push_back(chosen(outputs[i], kernel, true_inputs_->size() + i));
    } else {
      before.emplace_back();
    }
  LATHE_CHECK(runtime::launch(kernel, views_of(kernel, *true_inputs_, outputs), pool));
  for (size_t i = 0; i < outputs.size(); ++i)
    found.push_back(chosen(outputs[i], kernel, true_inputs_->size() + i));
  return compare_all(kernel, found, before, true_expected_, {}, "true size, chosen outputs");
}

Result<std::string> Checker::check_native(const runtime::CompiledKernel& kernel,
                                          const codegen::Backend& backend,
                                          runtime::ThreadPool& pool) {
  LATHE_TRY(const SmallKernel small, small_of(kernel, backend));
  LATHE_CHECK(prepare_true_size(kernel));
  int64_t padding = 0;
  std::set<compiler::InputKind> kinds;
  const int64_t rows = rows_in(small.small->sizes);
  for (const Case& one : small.small->cases) {
    LATHE_CHECK(check_small(small, one, padding, pool));
    padding = padding == 0 ? kPadding : 0;
    for (int64_t row = 0; row < rows; ++row) kinds.insert(one.pattern.of(row));
  }
  LATHE_CHECK(check_true_size(kernel, pool));
  int64_t outputs = 0;
  for (const auto& expected : true_expected_)
    outputs += static_cast<int64_t>(expected.values.size());
  return fmt::format(
      "interpreted and compared with the oracle at {}{} ({} kinds of rows; padded rows), and at {} "
      "on {} outputs of {} rows",
      small.owned ? small.kernel->problem.line() + " " : "", compiler::print(small.small->sizes),
      kinds.size(), compiler::print(at_), outputs, chosen_rows_.size());
}

}  // namespace lathe::tuner
