// Tensors for operands, tables, what a call touches.
#include "tuner/inputs.h"

#include <algorithm>
#include <cstring>
#include <set>

#include "compiler/family.h"
#include "support/hardware.h"

namespace lathe::tuner {
namespace {

constexpr uint64_t kSharedSeed = 20240607;
constexpr uint64_t kUpdatedSeed = 7;

bool counts_others(const runtime::CompiledKernel& kernel, size_t operand) {
  return std::any_of(kernel.operands.begin(), kernel.operands.end(), [&](const auto& rule) {
    return rule.elements && rule.elements->row_count &&
           rule.elements->row_count->operand == static_cast<int>(operand);
  });
}

// `before`: the inputs before this one. Of what is timed every element is in its range, used or
// not: whoever takes tables apart need not tell them apart.
compiler::CheckInput described(const runtime::CompiledKernel& kernel, const compiler::Sizes& sizes,
                               size_t operand, const std::vector<int64_t>& shape,
                               const compiler::InputPattern& pattern,
                               std::span<const ir::Tensor> before) {
  const runtime::OperandRule& rule = kernel.operands[operand];
  std::vector<std::string> symbols;
  for (const auto& dim : rule.shape) symbols.push_back(dim.symbol);
  compiler::CheckInput input{.type = rule.type,
                             .shape = shape,
                             .operand = static_cast<int>(operand),
                             .row_axis = compiler::row_axis_of(rule.name, symbols)};
  if (rule.elements) {
    std::vector<int64_t> variables;
    for (int i = 0; i < kernel.plan.inputs; ++i) {
      const auto size = sizes.find(kernel.plan.variables[static_cast<size_t>(i)]);
      variables.push_back(size == sizes.end() ? 0 : size->second);
    }
    input.elements =
        compiler::ElementRange{// A timed call leaves no row out.
                               .least = rule.elements->or_none && !pattern.is_normal()
                                            ? -1
                                            : rule.elements->least.evaluate(variables.data()),
                               .below = rule.elements->below.evaluate(variables.data()),
                               .ascending = rule.elements->ascending,
                               // Entries of tables, too, of which no two sequences share a page.
                               .distinct = rule.elements->distinct ||
                                           (rule.elements->row_count && !rule.elements->ascending),
                               .covers = rule.elements->covers,
                               .is_count = counts_others(kernel, operand)};
    if (rule.elements->row_count && !pattern.is_normal()) {
      const ir::plan::RowCount& count = *rule.elements->row_count;
      const ir::Tensor& counts = before[static_cast<size_t>(count.operand)];
      for (int64_t row = 0; row < counts.elements(); ++row) {
        const auto number = static_cast<int64_t>(counts.at(row));
        input.elements->row_counts.push_back((number + count.each - 1) / count.each);
      }
    }
  }
  return input;
}

}  // namespace

Status check_memory(const compiler::Problem& problem, const compiler::Sizes& sizes) {
  double bytes = 0;  // sizes from a command line may overflow an integer
  for (const compiler::Port& port : problem.family().signature(problem)) {
    const ir::TypeInfo& info = ir::info(port.type);
    double count = static_cast<double>(info.block_bytes) / info.block_elements;
    for (const ir::graph::Dim& dim : port.shape) {
      const auto size = sizes.find(dim.symbol);
      count *= static_cast<double>(dim.factor);
      if (size != sizes.end()) count *= static_cast<double>(size->second);
    }
    bytes += count;
  }
  const int64_t available = support::available_memory() / 4;
  if (bytes <= static_cast<double>(available)) return {};
  return fail(ErrorCode::resource_exhausted,
              "{} at {} needs {:.0f} MiB; a quarter of the free memory is {} MiB", problem.line(),
              compiler::print(sizes), bytes / (1 << 20), available >> 20);
}

Result<std::vector<std::vector<int64_t>>> operand_shapes(
    const std::vector<runtime::OperandRule>& rules, const compiler::Sizes& sizes) {
  std::vector<std::vector<int64_t>> shapes;
  for (const runtime::OperandRule& rule : rules) {
    std::vector<int64_t> shape;
    for (const auto& dim : rule.shape) {
      int64_t size = dim.factor;
      if (!dim.symbol.empty()) {
        const auto found = sizes.find(dim.symbol);
        if (found == sizes.end())
          return fail(ErrorCode::invalid_argument, "operand '{}': no size for '{}'", rule.name,
                      dim.symbol);
        size *= found->second;
      }
      shape.push_back(size);
    }
    shapes.push_back(std::move(shape));
  }
  return shapes;
}

Result<std::vector<ir::Tensor>> make_inputs(const runtime::CompiledKernel& kernel,
                                            const compiler::Sizes& sizes,
                                            compiler::InputPattern pattern, uint64_t seed) {
  LATHE_TRY(const auto shapes, operand_shapes(kernel.operands, sizes));
  std::vector<ir::Tensor> inputs;
  compiler::Random random(seed);
  for (size_t i = 0; i < static_cast<size_t>(kernel.inputs); ++i) {
    ir::Tensor tensor(kernel.operands[i].type, shapes[i]);
    compiler::fill_input(described(kernel, sizes, i, shapes[i], pattern, inputs), pattern, random,
                         tensor);
    inputs.push_back(std::move(tensor));
  }
  return inputs;
}

Result<SharedInputs::Inputs> SharedInputs::of(const runtime::CompiledKernel& kernel,
                                              const compiler::Sizes& sizes) {
  LATHE_TRY(const auto shapes, operand_shapes(kernel.operands, sizes));
  std::string signature;
  for (size_t i = 0; i < static_cast<size_t>(kernel.inputs); ++i) {
    const runtime::OperandRule& rule = kernel.operands[i];
    signature += fmt::format("{} [{}] {};", ir::info(rule.type).name, fmt::join(shapes[i], ","),
                             rule.elements ? "index" : "");
  }
  if (inputs_ && signature == signature_) return inputs_;
  std::vector<ir::Tensor> before;
  if (inputs_ && inputs_.use_count() == 1) before = std::move(*inputs_);
  inputs_.reset();
  auto inputs = std::make_shared<std::vector<ir::Tensor>>();
  compiler::Random random(kSharedSeed);
  for (size_t i = 0; i < static_cast<size_t>(kernel.inputs); ++i) {
    const runtime::OperandRule& rule = kernel.operands[i];
    const auto same = std::find_if(before.begin(), before.end(), [&](const ir::Tensor& tensor) {
      return !rule.elements && tensor.elements() > 0 && tensor.type() == rule.type &&
             tensor.shape() == shapes[i];
    });
    if (same != before.end()) {
      inputs->push_back(std::move(*same));
      before.erase(same);
      continue;
    }
    ir::Tensor& tensor = inputs->emplace_back(rule.type, shapes[i]);
    compiler::fill_input(described(kernel, sizes, i, shapes[i], {}, {}), {}, random, tensor);
  }
  signature_ = std::move(signature);
  inputs_ = std::move(inputs);
  return inputs_;
}

void redraw_indices(const runtime::CompiledKernel& kernel, const compiler::Sizes& sizes,
                    uint64_t seed, std::vector<ir::Tensor>& inputs) {
  compiler::Random random(seed);
  for (size_t i = 0; i < inputs.size(); ++i)
    if (kernel.operands[i].elements)
      compiler::fill_input(described(kernel, sizes, i, inputs[i].shape(), {}, {}), {}, random,
                           inputs[i]);
}

namespace {

bool is_indexed(const runtime::CompiledKernel& kernel, size_t operand) {
  const auto& shape = kernel.operands[operand].shape;
  return std::any_of(kernel.operands.begin(), kernel.operands.end(), [&](const auto& rule) {
    return rule.table_variable() >= 0 && shape.size() > 1 &&
           shape.front().variable == rule.table_variable();
  });
}

}  // namespace

std::vector<bool> tables_of(const runtime::CompiledKernel& kernel) {
  std::vector<bool> tables;
  for (size_t i = 0; i < static_cast<size_t>(kernel.inputs); ++i)
    tables.push_back(is_indexed(kernel, i));
  return tables;
}

bool names_entries(const runtime::CompiledKernel& kernel, size_t operand) {
  return kernel.operands[operand].updated && is_indexed(kernel, operand);
}

void for_each_named_entry(const runtime::CompiledKernel& kernel, size_t table,
                          const std::vector<ir::Tensor>& inputs,
                          const std::function<void(int64_t)>& visit) {
  const int limit = kernel.operands[table].shape.front().variable;
  for (size_t k = 0; k < inputs.size(); ++k)
    for (int64_t i = 0; kernel.operands[k].table_variable() == limit && i < inputs[k].elements();
         ++i) {
      const auto entry = static_cast<int64_t>(inputs[k].at(i));
      if (entry >= 0) visit(entry);
    }
}

int64_t named_entries(const runtime::CompiledKernel& kernel, size_t table,
                      const std::vector<ir::Tensor>& inputs) {
  const int limit = kernel.operands[table].shape.front().variable;
  int64_t named = 0;
  for (size_t k = 0; k < inputs.size(); ++k)
    if (kernel.operands[k].table_variable() == limit) named += inputs[k].elements();
  return named;
}

void keep_named_entries(const runtime::CompiledKernel& kernel, const std::vector<ir::Tensor>& whole,
                        std::vector<ir::Tensor>& part) {
  const std::vector<bool> tables = tables_of(kernel);
  const auto first = std::find(tables.begin(), tables.end(), true);
  if (first == tables.end()) return;
  // One kind of index a kernel.
  const auto table = static_cast<size_t>(first - tables.begin());
  const int limit = kernel.operands[table].shape.front().variable;
  std::set<int64_t> named;
  for_each_named_entry(kernel, table, part, [&](int64_t entry) { named.insert(entry); });
  for (size_t k = 0; k < part.size(); ++k) {
    for (int64_t i = 0; kernel.operands[k].table_variable() == limit && i < part[k].elements();
         ++i) {
      const auto place = named.find(static_cast<int64_t>(part[k].at(i)));
      part[k].set(i, static_cast<double>(std::distance(named.begin(), place)));
    }
  }
  for (size_t k = 0; k < part.size(); ++k) {
    if (!tables[k] || kernel.operands[k].shape.front().variable != limit) continue;
    std::vector<int64_t> shape = whole[k].shape();
    const int64_t bytes = whole[k].bytes() / std::max<int64_t>(shape.front(), 1);
    shape.front() = static_cast<int64_t>(named.size());
    part[k] = ir::Tensor(whole[k].type(), shape);
    int64_t to = 0;
    for (const int64_t entry : named)
      std::memcpy(part[k].data() + bytes * to++, whole[k].data() + bytes * entry,
                  static_cast<size_t>(bytes));
  }
}

int64_t bytes_touched(const runtime::CompiledKernel& kernel, const std::vector<ir::Tensor>& inputs,
                      const std::vector<ir::Tensor>& outputs) {
  const std::vector<bool> tables = tables_of(kernel);
  int64_t bytes = 0;
  const auto add = [&](const ir::Tensor& tensor, size_t operand, bool is_named) {
    if (!is_named) {
      bytes += tensor.bytes();
      return;
    }
    const int64_t entries = std::max<int64_t>(tensor.shape().front(), 1);
    bytes += tensor.bytes() / entries * std::min(named_entries(kernel, operand, inputs), entries);
  };
  for (size_t i = 0; i < inputs.size(); ++i) add(inputs[i], i, tables[i]);
  for (size_t i = 0; i < outputs.size(); ++i)
    add(outputs[i], inputs.size() + i, names_entries(kernel, inputs.size() + i));
  return bytes;
}

Result<std::vector<ir::Tensor>> make_outputs(const runtime::CompiledKernel& kernel,
                                             const compiler::Sizes& sizes) {
  LATHE_TRY(const auto shapes, operand_shapes(kernel.operands, sizes));
  std::vector<ir::Tensor> outputs;
  compiler::Random random(kUpdatedSeed);
  for (size_t i = static_cast<size_t>(kernel.inputs); i < kernel.operands.size(); ++i) {
    outputs.emplace_back(kernel.operands[i].type, shapes[i]);
    if (kernel.operands[i].updated)
      compiler::fill_input(described(kernel, sizes, i, shapes[i], {}, {}), {}, random,
                           outputs.back());
  }
  return outputs;
}

std::vector<ir::Tensor> graph_inputs(const runtime::CompiledKernel& kernel,
                                     const std::vector<ir::Tensor>& inputs,
                                     const std::vector<ir::Tensor>& outputs) {
  std::vector<ir::Tensor> all = inputs;
  for (size_t i = 0; i < outputs.size(); ++i)
    if (kernel.operands[static_cast<size_t>(kernel.inputs) + i].updated) all.push_back(outputs[i]);
  return all;
}

std::vector<int> order_of(const runtime::CompiledKernel& kernel, size_t operand) {
  return compiler::order_in_memory(kernel.problem, kernel.operands[operand].name);
}

std::vector<TensorView> views_of(const runtime::CompiledKernel& kernel,
                                 std::vector<ir::Tensor>& inputs,
                                 std::vector<ir::Tensor>& outputs) {
  std::vector<TensorView> views;
  for (auto* list : {&inputs, &outputs})
    for (ir::Tensor& tensor : *list)
      views.push_back(view_in(order_of(kernel, views.size()), tensor));
  return views;
}

}  // namespace lathe::tuner
