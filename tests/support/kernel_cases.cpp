// Making inputs, laying them out, comparing results.
#include "tests/support/kernel_cases.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>

#include "compiler/kept_elements.h"
#include "compiler/limits.h"
#include "ir/graph/updates.h"
#include "ir/graph/verify.h"
#include "tests/support/guarded_buffer.h"
#include "tests/support/paged_cache.h"

namespace lathe::tests {
namespace {

using ir::Tensor;
using ir::Type;

constexpr int64_t kTableEntries = 11;
constexpr int64_t kBatches = 3;
constexpr int64_t kFreeSlots = 4;    // of a cache that has more of them than a call has rows
constexpr double kMeanLimit = 1e-5;  // mean |difference| of f32 results on ordinary inputs
constexpr std::byte kUntouched{0xa5};

// Indices are of tables with few entries; lengths are of the context, of the pages that there is
// room for, or of a window; bounds of tokens or keys; lists of the context's blocks or pages.
compiler::ElementRange range_of(const std::string& operand, const compiler::Problem& problem,
                                const compiler::Sizes& sizes) {
  const auto size = [&](const char* name) {
    const auto found = sizes.find(name);
    return found == sizes.end() ? int64_t{0} : found->second;
  };
  const auto parts_of_context = [&](const char* part) {
    const int64_t keys = problem.integer(part);
    return (size("context") + keys - 1) / keys;
  };
  if (operand == "block_table") return {.below = size("pages")};
  if (operand == "slots") {
    const int64_t slots =
        size("capacity") > 0 ? size("capacity") : size("pages") * problem.integer("page");
    return {.least = -1, .below = slots, .distinct = true};
  }
  if (operand == "lengths") {
    const int64_t most = size("most");
    return {.below = 1 + (most > 0 ? most * problem.integer("page") : size("context"))};
  }
  if (operand == "cu_seqlens" || operand == "cu_seqlens_k") {
    const int64_t all = size(operand == "cu_seqlens" ? "tokens" : "context");
    return {.below = all + 1, .ascending = true, .covers = true};
  }
  if (operand == "recent_lengths") return {.below = 1 + problem.integer("recent")};
  if (operand == "pages") return {.below = parts_of_context("page"), .ascending = true};
  if (!problem.has("block")) return {.below = kTableEntries};
  const int64_t blocks = parts_of_context("block");
  if (operand == "counts") return {.below = std::min(blocks, size("kept")) + 1};
  return {.below = blocks, .ascending = true, .distinct = true};
}

compiler::CheckInput described(const ir::graph::Value& value, std::vector<int64_t> shape,
                               int operand, const compiler::Problem& problem,
                               const compiler::Sizes& sizes) {
  const ir::graph::TensorType& type = value.type;
  std::vector<std::string> symbols;
  for (const ir::graph::Dim& dim : type.shape) symbols.push_back(dim.symbol);
  const bool is_index = type.element == Type::i32 || type.element == Type::i64;
  return {
      .type = type.element,
      .shape = std::move(shape),
      .operand = operand,
      .row_axis = compiler::row_axis_of(value.name, symbols),
      .elements = is_index ? std::optional(range_of(value.name, problem, sizes)) : std::nullopt};
}

/// One operand in memory that ends at a protected page.
class Laid {
 public:
  Laid(const Tensor& tensor, int64_t padding) : type_(tensor.type()), shape_(tensor.shape()) {
    const int64_t width = shape_.empty() ? 1 : shape_.back();
    row_bytes_ = ir::bytes_of(type_, width);
    rows_ = width == 0 ? 0 : tensor.elements() / width;
    step_ = row_bytes_ +
            (shape_.size() < 2 ? 0 : ir::bytes_of(type_, padding * ir::info(type_).block_elements));
    const int64_t bytes = rows_ == 0 ? 0 : (rows_ - 1) * step_ + row_bytes_;
    const int size = ir::info(type_).block_elements == 1 ? ir::size_of(type_) : 1;
    memory_.emplace(static_cast<size_t>(bytes), GuardedBuffer::Side::after,
                    static_cast<size_t>(size));
    std::fill(memory_->data(), memory_->data() + bytes, kUntouched);
    for (int64_t r = 0; r < rows_; ++r) {
      std::memcpy(memory_->data() + r * step_, tensor.data() + r * row_bytes_,
                  static_cast<size_t>(row_bytes_));
    }
  }

  /// Bytes between neighbours of dimension k.
  int64_t stride(size_t k) const {
    int64_t stride = step_;
    for (size_t i = shape_.size() - 2; i > k; --i) stride *= shape_[i];
    return stride;
  }
  ir::plan::OperandView view() {
    return {memory_->data(), static_cast<int64_t>(memory_->size()), 0};
  }
  bool same_layout(const Laid& other) const {
    return type_ == other.type_ && shape_ == other.shape_;
  }

  Tensor tensor() {
    Tensor tensor(type_, shape_);
    for (int64_t r = 0; r < rows_; ++r) {
      std::memcpy(tensor.data() + r * row_bytes_, memory_->data() + r * step_,
                  static_cast<size_t>(row_bytes_));
    }
    return tensor;
  }

  bool gaps_intact() {
    for (int64_t r = 0; r + 1 < rows_; ++r) {
      const std::byte* gap = memory_->data() + r * step_ + row_bytes_;
      if (std::any_of(gap, gap + (step_ - row_bytes_), [](std::byte b) { return b != kUntouched; }))
        return false;
    }
    return memory_->intact();
  }

 private:
  Type type_;
  std::vector<int64_t> shape_;
  int64_t row_bytes_ = 0, step_ = 0, rows_ = 0;
  std::optional<GuardedBuffer> memory_;
};

Status compare_blocks(const std::string& name, const Tensor& found, const Tensor& expected) {
  const int64_t block = ir::info(found.type()).block_elements;
  const auto bytes = static_cast<size_t>(ir::info(found.type()).block_bytes);
  for (int64_t i = 0; i < found.elements() / block; ++i) {
    if (std::isnan(found.at(i * block)) && std::isnan(expected.at(i * block)))
      continue;  // payloads are free
    if (std::memcmp(found.data() + i * static_cast<int64_t>(bytes),
                    expected.data() + i * static_cast<int64_t>(bytes), bytes) != 0) {
      return fail(ErrorCode::mismatch, "{}: block {} differs: found {} …, expected {} …", name, i,
                  found.at(i * block), expected.at(i * block));
    }
  }
  return {};
}

// The largest finite magnitude in the row.
double scale_of(const ir::graph::DoubleTensor& expected, int64_t row, int64_t width) {
  double scale = 1;
  for (int64_t i = row * width; i < (row + 1) * width; ++i) {
    const double magnitude = std::fabs(expected.values[static_cast<size_t>(i)]);
    if (std::isfinite(magnitude)) scale = std::max(scale, magnitude);
  }
  return scale;
}

Status compare(const std::string& name, const Tensor& found,
               const ir::graph::DoubleTensor& expected, const compiler::Limit& limit,
               InputPattern pattern, bool check_mean) {
  const int64_t width = found.rank() == 0 ? 1 : found.shape().back();
  double sum = 0;
  double scale = 1;
  for (int64_t i = 0; i < found.elements(); ++i) {
    if (i % width == 0) scale = scale_of(expected, i / width, width);
    const double want = expected.values[static_cast<size_t>(i)];
    const double got = found.at(i);
    const bool equal = got == want || (std::isnan(got) && std::isnan(want)) ||
                       (ir::info(found.type()).block_elements == 1 &&
                        got == ir::graph::round_to(found.type(), want));
    if (equal) continue;
    const double difference = std::fabs(got - want);
    if (!(difference <= limit.allowed(want, scale)) || std::isinf(want)) {
      return fail(ErrorCode::mismatch,
                  "{}[{}] (row {} of kind {}, column {}): found {:.9g}, expected {:.9g} within "
                  "{:.3g}",
                  name, i, i / width, to_string(pattern.of(i / width)), i % width, got, want,
                  limit.allowed(want, scale));
    }
    sum += difference;
  }
  if (check_mean && sum > kMeanLimit * static_cast<double>(found.elements())) {
    return fail(ErrorCode::mismatch,
                "{}: found a mean difference of {:.3g}, expected less than {:.3g}", name,
                sum / static_cast<double>(found.elements()), kMeanLimit);
  }
  return {};
}

// The plan's input variables.
Result<std::vector<int64_t>> bind(const ir::plan::Plan& plan, const KernelCase& kernel_case,
                                  std::vector<Laid>& operands, int threads) {
  std::vector<int64_t> values;
  for (int i = 0; i < plan.inputs; ++i) {
    const std::string& name = plan.variables[static_cast<size_t>(i)];
    if (name == "threads") {
      values.push_back(threads);
    } else if (const size_t dot = name.find(".stride"); dot != std::string::npos) {
      size_t operand = 0;
      while (operand < plan.operands.size() && plan.operands[operand].name != name.substr(0, dot))
        ++operand;
      if (operand == plan.operands.size())
        return fail(ErrorCode::mismatch, "no operand for the variable {}", name);
      values.push_back(operands[operand].stride(std::stoul(name.substr(dot + 7))));
    } else if (const auto size = kernel_case.sizes.find(name); size != kernel_case.sizes.end()) {
      values.push_back(size->second);
    } else {
      return fail(ErrorCode::mismatch, "the plan asks for the variable {}, which nothing defines",
                  name);
    }
  }
  return values;
}

}  // namespace

std::vector<InputPattern> adversarial_patterns(int64_t rows) {
  std::vector<InputPattern> patterns = compiler::check_patterns(rows);
  patterns.emplace_back(InputKind::offset);
  return patterns;
}

Result<KernelCase> make_case(const std::string& problem_line, int64_t rows, InputPattern pattern) {
  return make_case(problem_line, compiler::Sizes{{"rows", rows}, {"batch", kBatches}}, pattern);
}

Result<KernelCase> make_case(const std::string& problem_line, const compiler::Sizes& sizes,
                             InputPattern pattern, const GivenElements& given) {
  LATHE_TRY(compiler::Problem problem, compiler::parse_problem(problem_line));
  LATHE_TRY(const ir::graph::Graph graph, problem.family().reference(problem));
  KernelCase result{.problem = std::move(problem),
                    .sizes = {},
                    .pattern = pattern,
                    .inputs = {},
                    .before = {},
                    .expected = {},
                    .rounded = {}};
  ir::graph::DimBindings bindings;
  for (const std::string& name : graph.dim_names()) {
    const auto size = sizes.find(name);
    bindings[name] = size == sizes.end() ? kTableEntries : size->second;
    const auto rows = sizes.find("rows");
    if (name == "capacity" && size == sizes.end() && rows != sizes.end())
      bindings[name] = std::max(kTableEntries, rows->second + kFreeSlots);
  }
  if (const auto dependent = result.problem.family().dependent_sizes; dependent != nullptr)
    for (const auto& [name, size] : dependent(result.problem, sizes)) bindings[name] = size;
  result.sizes.insert(bindings.begin(), bindings.end());
  compiler::Random random(1234 + static_cast<uint64_t>(pattern.of(1)));
  LATHE_TRY(const ir::graph::Graph bound, ir::graph::bind_dims(graph, bindings));
  const std::vector<int> updated = ir::graph::updated_inputs(graph);
  for (const ir::graph::ValueId id : bound.inputs) {
    LATHE_TRY(auto numbers, ir::graph::numbers(bound.value(id).type.shape));
    const auto operand = static_cast<int>(result.inputs.size());
    const ir::graph::Value& value = graph.value(graph.inputs[result.inputs.size()]);
    compiler::CheckInput input =
        described(value, std::move(numbers), operand, result.problem, result.sizes);
    if (value.name == "block_table") describe_pages(graph, result, *input.elements);
    Tensor& tensor = result.inputs.emplace_back(input.type, input.shape);
    const bool is_updated = std::find(updated.begin(), updated.end(), operand) != updated.end();
    compiler::fill_input(input, is_updated ? InputPattern() : pattern, random, tensor);
    const auto elements = given.find(value.name);
    for (size_t i = 0; elements != given.end() && i < elements->second.size(); ++i)
      tensor.set(static_cast<int64_t>(i), static_cast<double>(elements->second[i]));
  }
  spoil_unused_pages(graph, result);
  LATHE_TRY(result.expected, ir::graph::evaluate_double(graph, result.inputs));
  LATHE_TRY(result.rounded, ir::graph::evaluate(graph, result.inputs));
  std::vector<Tensor> given_alone;
  for (const int input : updated) {
    if (input < 0) {
      result.before.emplace_back();
    } else {
      result.before.push_back(result.inputs[static_cast<size_t>(input)]);
    }
  }
  for (size_t i = 0; i < result.inputs.size(); ++i)
    if (std::find(updated.begin(), updated.end(), static_cast<int>(i)) == updated.end())
      given_alone.push_back(std::move(result.inputs[i]));
  result.inputs = std::move(given_alone);
  return result;
}

Executor interpreted() {
  return [](const ir::plan::Plan& plan, std::span<const ir::plan::OperandView> operands,
            std::span<const int64_t> variables) -> Status {
    ir::plan::PlanOptions options;
    options.workers = 2;
    LATHE_CHECK(ir::plan::interpret(plan, operands, variables, options));
    return {};
  };
}

namespace {

// Operands after a run.
struct Ran {
  std::vector<std::string> names;
  std::vector<Laid> operands;
  std::vector<size_t> memory;  // which operand's memory each operand has
};

Result<Ran> run_plan(const KernelCase& kernel_case, const compiler::Schedule& schedule,
                     const ir::Target& target, const Executor& executor,
                     const CaseOptions& options) {
  LATHE_TRY(const ir::plan::Plan plan,
            kernel_case.problem.family().build(kernel_case.problem, schedule, target));
  LATHE_CHECK(ir::plan::verify(plan));
  Ran ran;
  std::vector<Laid>& operands = ran.operands;
  std::vector<size_t>& memory = ran.memory;
  // Operands without a stride of their own are dense.
  const auto padding_of = [&](size_t operand) {
    const std::string& name = plan.operands[operand].name;
    return plan.find(name + ".stride0") < 0 ? 0 : options.padding;
  };
  for (const Tensor& input : kernel_case.inputs)
    operands.emplace_back(input, padding_of(operands.size()));
  const size_t inputs = operands.size();
  for (const Tensor& output : kernel_case.rounded) {
    const size_t operand = operands.size();
    const bool is_updated = plan.operands[operand].updated;
    operands.emplace_back(
        is_updated ? kernel_case.before[operand - inputs] : Tensor(output.type(), output.shape()),
        padding_of(operand));
  }
  std::vector<ir::plan::OperandView> views;
  for (size_t i = 0; i < operands.size(); ++i) {
    memory.push_back(i);
    for (size_t j = 0; i >= inputs && j < inputs && options.in_place && plan.in_place &&
                       !plan.operands[i].updated && memory[i] == i;
         ++j) {
      const bool taken = std::find(memory.begin() + static_cast<std::ptrdiff_t>(inputs),
                                   memory.begin() + static_cast<std::ptrdiff_t>(i),
                                   j) != memory.begin() + static_cast<std::ptrdiff_t>(i);
      if (!taken && operands[i].same_layout(operands[j])) memory[i] = j;
    }
    views.push_back(operands[memory[i]].view());
    ran.names.push_back(plan.operands[i].name);
  }
  LATHE_TRY(const auto variables, bind(plan, kernel_case, operands, options.threads));
  LATHE_CHECK(executor(plan, views, variables));
  return ran;
}

}  // namespace

Result<std::vector<Tensor>> outputs_of(const KernelCase& kernel_case,
                                       const compiler::Schedule& schedule, const ir::Target& target,
                                       const Executor& executor, const CaseOptions& options) {
  LATHE_TRY(Ran ran, run_plan(kernel_case, schedule, target, executor, options));
  std::vector<Tensor> outputs;
  for (size_t i = kernel_case.inputs.size(); i < ran.operands.size(); ++i)
    outputs.push_back(ran.operands[ran.memory[i]].tensor());
  return outputs;
}

Status run_case(const KernelCase& kernel_case, const compiler::Schedule& schedule,
                const ir::Target& target, const Executor& executor, const CaseOptions& options) {
  const compiler::Family& family = kernel_case.problem.family();
  LATHE_TRY(Ran ran, run_plan(kernel_case, schedule, target, executor, options));
  auto& [names, operands, memory] = ran;
  const size_t inputs = kernel_case.inputs.size();
  for (size_t i = inputs; i < operands.size(); ++i) {
    const size_t output = i - inputs;
    const Tensor found = operands[memory[i]].tensor();
    const std::string& name = names[i];
    if (!operands[memory[i]].gaps_intact())
      return fail(ErrorCode::mismatch, "{}: bytes between rows were written", name);
    if (const Tensor& before = kernel_case.before[output]; before.elements() > 0) {
      const int64_t changed =
          compiler::changed_element(found, before, kernel_case.expected[output]);
      if (changed >= 0)
        return fail(ErrorCode::mismatch, "{}[{}]: found {}, expected {}, as it was before", name,
                    changed, found.at(changed), before.at(changed));
    }
    const compiler::Limit limit = compiler::limit_of(kernel_case.problem, found.type());
    const bool exact = limit.absolute == 0 && limit.relative == 0;
    if (exact && ir::info(found.type()).block_elements > 1) {
      LATHE_CHECK(compare_blocks(name, found, kernel_case.rounded[output]));
      continue;
    }
    // A product's difference grows with what it adds up: its limit is relative to the row alone.
    // A large mean must cost layer_norm nothing; other results of such inputs are large themselves.
    const bool ordinary =
        kernel_case.pattern.is_normal() ||
        (!kernel_case.pattern.is_mixed() && kernel_case.pattern.of(0) == InputKind::offset &&
         family.name == "layer_norm" && name == "y");
    const bool is_product = family.name == "linear" || family.name == "batched_matmul" ||
                            family.name == "attention_page_scores";
    LATHE_CHECK(compare(name, found, kernel_case.expected[output], limit, kernel_case.pattern,
                        ordinary && found.type() == Type::f32 && !is_product));
  }
  for (size_t i = 0; i < inputs; ++i) {
    if (std::find(memory.begin() + static_cast<std::ptrdiff_t>(inputs), memory.end(), i) !=
        memory.end())
      continue;
    const Tensor after = operands[i].tensor();
    if (!operands[i].gaps_intact() || std::memcmp(after.data(), kernel_case.inputs[i].data(),
                                                  static_cast<size_t>(after.bytes())) != 0) {
      return fail(ErrorCode::mismatch, "{}: the input was written", names[i]);
    }
  }
  return {};
}

}  // namespace lathe::tests
