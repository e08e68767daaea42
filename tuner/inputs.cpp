// Random tensors from a counter-based generator.
#include "tuner/inputs.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <set>

#include "compiler/family.h"
#include "ir/gguf_blocks.h"
#include "support/hardware.h"

namespace lathe::tuner {
namespace {

// SplitMix64 (Steele, Lea, Flood 2014): the same sequence everywhere, unlike <random>'s
// distributions.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next() {
    uint64_t z = (state_ += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }
  double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }
  // The sum of four uniforms has a normal's shape where it matters here, without transcendental
  // functions whose last bits differ between libraries.
  double normal() { return (uniform() + uniform() + uniform() + uniform() - 2) * std::sqrt(3.0); }

 private:
  uint64_t state_;
};

double special_value(uint64_t choice) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const double values[] = {std::nan(""), kInfinity, -kInfinity, 0.0, -0.0};
  return values[choice % std::size(values)];
}

constexpr uint64_t kSharedSeed = 20240607;

// Large tensors repeat their first kPeriod elements: a prime, so that no two rows are alike.
constexpr int64_t kPeriod = 65537;

void repeat_beginning(ir::Tensor& tensor) {
  const int64_t bytes = tensor.bytes();
  for (int64_t done = ir::bytes_of(tensor.type(), std::min(kPeriod, tensor.elements()));
       done < bytes;) {
    const int64_t part = std::min(done, bytes - done);
    std::memcpy(tensor.data() + done, tensor.data(), static_cast<size_t>(part));
    done += part;
  }
}

void fill(ir::Tensor& tensor, InputKind kind, bool is_weight, Random& random) {
  const int64_t row = tensor.rank() == 0 ? 1 : std::max<int64_t>(tensor.shape().back(), 1);
  const bool whole_rows = tensor.rank() >= 2 && !is_weight;
  for (int64_t i = 0; i < std::min(tensor.elements(), kPeriod); ++i) {
    double value = random.normal();
    switch (kind) {
      case InputKind::normal: break;
      case InputKind::large: value = value * 1e4 + 1e4; break;
      case InputKind::tiny: value *= 0x1p-126; break;
      case InputKind::special:
        // Weights and biases stay ordinary: a NaN there would hide every other row's result.
        if (whole_rows && random.next() % 37 == 0) value = special_value(random.next());
        break;
      case InputKind::masked:
        if (whole_rows && (i / row) % 2 == 1) value = -std::numeric_limits<double>::infinity();
        break;
    }
    tensor.set(i, value);
  }
  repeat_beginning(tensor);
}

// Codes and words of packed weights: any bits, but q8_0's are never -128.
void draw_codes(ir::Tensor& tensor, Random& random) {
  const int bits = ir::size_of(tensor.type()) * 8;
  const bool is_signed = ir::info(tensor.type()).is_signed;
  const uint64_t values = (uint64_t{1} << std::min(bits, 32)) - (is_signed ? 1 : 0);
  const double least = is_signed ? -static_cast<double>(values / 2) : 0;
  for (int64_t i = 0; i < std::min(tensor.elements(), kPeriod); ++i)
    tensor.set(i, least + static_cast<double>(random.next() % values));
  repeat_beginning(tensor);
}

// Whether an operand's shape has no run-time size: it is a constant of the model.
bool is_weight(const runtime::OperandRule& rule) {
  return std::all_of(rule.shape.begin(), rule.shape.end(),
                     [](const auto& dim) { return dim.symbol.empty(); });
}

void draw_indices(const runtime::CompiledKernel& kernel, const runtime::OperandRule& rule,
                  const compiler::Sizes& sizes, Random& random, ir::Tensor& tensor) {
  const std::string& name = kernel.plan.variables[static_cast<size_t>(rule.index_limit)];
  const int64_t limit = sizes.find(name)->second;
  for (int64_t k = 0; k < tensor.elements(); ++k)
    tensor.set(k, static_cast<double>(random.next() % static_cast<uint64_t>(limit)));
}

}  // namespace

const std::vector<InputKind>& adversarial_kinds() {
  static const std::vector<InputKind> kinds = {InputKind::large, InputKind::tiny,
                                               InputKind::special, InputKind::masked};
  return kinds;
}

std::string_view to_string(InputKind kind) {
  switch (kind) {
    case InputKind::normal: return "normal";
    case InputKind::large: return "large";
    case InputKind::tiny: return "tiny";
    case InputKind::special: return "special";
    case InputKind::masked: return "masked";
  }
  return "unknown";
}

Status check_memory(const compiler::Problem& problem, const compiler::Sizes& sizes) {
  LATHE_TRY(const ir::graph::Graph graph, problem.family().reference(problem));
  double bytes = 0;  // sizes from a command line may overflow an integer
  for (const auto* list : {&graph.inputs, &graph.outputs}) {
    for (const ir::graph::ValueId id : *list) {
      const ir::graph::TensorType& type = graph.type(id);
      const ir::TypeInfo& info = ir::info(type.element);
      double count = static_cast<double>(info.block_bytes) / info.block_elements;
      for (const ir::graph::Dim& dim : type.shape) {
        const auto size = sizes.find(dim.symbol);
        count *= static_cast<double>(dim.factor);
        if (size != sizes.end()) count *= static_cast<double>(size->second);
      }
      bytes += count;
    }
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

namespace {

void fill_operand(const runtime::CompiledKernel& kernel, const runtime::OperandRule& rule,
                  const compiler::Sizes& sizes, InputKind kind, Random& random,
                  ir::Tensor& tensor) {
  if (rule.index_limit >= 0) {
    draw_indices(kernel, rule, sizes, random, tensor);
  } else if (ir::info(rule.type).block_elements > 1) {
    ir::Tensor values(ir::Type::f32, tensor.shape());
    fill(values, kind, is_weight(rule), random);
    ir::quantize(rule.type, values.as<float>(), tensor.data());
  } else if (!ir::info(rule.type).is_float) {
    draw_codes(tensor, random);
  } else {
    fill(tensor, kind, is_weight(rule), random);
  }
}

}  // namespace

Result<std::vector<ir::Tensor>> make_inputs(const runtime::CompiledKernel& kernel,
                                            const compiler::Sizes& sizes, InputKind kind,
                                            uint64_t seed) {
  LATHE_TRY(const auto shapes, operand_shapes(kernel.operands, sizes));
  std::vector<ir::Tensor> inputs;
  Random random(seed);
  for (int i = 0; i < kernel.inputs; ++i) {
    const runtime::OperandRule& rule = kernel.operands[static_cast<size_t>(i)];
    inputs.emplace_back(rule.type, shapes[static_cast<size_t>(i)]);
    fill_operand(kernel, rule, sizes, kind, random, inputs.back());
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
                             rule.index_limit >= 0 ? "index" : "");
  }
  if (inputs_ && signature == signature_) return inputs_;
  std::vector<ir::Tensor> before;
  if (inputs_ && inputs_.use_count() == 1) before = std::move(*inputs_);
  inputs_.reset();
  auto inputs = std::make_shared<std::vector<ir::Tensor>>();
  Random random(kSharedSeed);
  for (size_t i = 0; i < static_cast<size_t>(kernel.inputs); ++i) {
    const runtime::OperandRule& rule = kernel.operands[i];
    const auto same = std::find_if(before.begin(), before.end(), [&](const ir::Tensor& tensor) {
      return rule.index_limit < 0 && tensor.elements() > 0 && tensor.type() == rule.type &&
             tensor.shape() == shapes[i];
    });
    if (same != before.end()) {
      inputs->push_back(std::move(*same));
      before.erase(same);
      continue;
    }
    inputs->emplace_back(rule.type, shapes[i]);
    fill_operand(kernel, rule, sizes, InputKind::normal, random, inputs->back());
  }
  signature_ = std::move(signature);
  inputs_ = std::move(inputs);
  return inputs_;
}

void redraw_indices(const runtime::CompiledKernel& kernel, const compiler::Sizes& sizes,
                    uint64_t seed, std::vector<ir::Tensor>& inputs) {
  Random random(seed);
  for (size_t i = 0; i < inputs.size(); ++i)
    if (kernel.operands[i].index_limit >= 0)
      draw_indices(kernel, kernel.operands[i], sizes, random, inputs[i]);
}

std::vector<bool> tables_of(const runtime::CompiledKernel& kernel) {
  std::vector<bool> tables(static_cast<size_t>(kernel.inputs));
  for (size_t i = 0; i < tables.size(); ++i) {
    const auto& shape = kernel.operands[i].shape;
    for (const runtime::OperandRule& rule : kernel.operands)
      if (rule.index_limit >= 0 && shape.size() > 1 && shape.front().variable == rule.index_limit)
        tables[i] = true;
  }
  return tables;
}

void for_each_named_entry(const runtime::CompiledKernel& kernel, size_t table,
                          const std::vector<ir::Tensor>& inputs,
                          const std::function<void(int64_t)>& visit) {
  const int limit = kernel.operands[table].shape.front().variable;
  for (size_t k = 0; k < inputs.size(); ++k)
    for (int64_t i = 0; kernel.operands[k].index_limit == limit && i < inputs[k].elements(); ++i)
      visit(static_cast<int64_t>(inputs[k].at(i)));
}

int64_t named_entries(const runtime::CompiledKernel& kernel, size_t table,
                      const std::vector<ir::Tensor>& inputs) {
  const int limit = kernel.operands[table].shape.front().variable;
  int64_t named = 0;
  for (size_t k = 0; k < inputs.size(); ++k)
    if (kernel.operands[k].index_limit == limit) named += inputs[k].elements();
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
    for (int64_t i = 0; kernel.operands[k].index_limit == limit && i < part[k].elements(); ++i) {
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
  for (const ir::Tensor& output : outputs) bytes += output.bytes();
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!tables[i]) {
      bytes += inputs[i].bytes();
      continue;
    }
    const int64_t entries = std::max<int64_t>(inputs[i].shape().front(), 1);
    bytes += inputs[i].bytes() / entries * std::min(named_entries(kernel, i, inputs), entries);
  }
  return bytes;
}

Result<std::vector<ir::Tensor>> make_outputs(const runtime::CompiledKernel& kernel,
                                             const compiler::Sizes& sizes) {
  LATHE_TRY(const auto shapes, operand_shapes(kernel.operands, sizes));
  std::vector<ir::Tensor> outputs;
  for (size_t i = static_cast<size_t>(kernel.inputs); i < kernel.operands.size(); ++i)
    outputs.emplace_back(kernel.operands[i].type, shapes[i]);
  return outputs;
}

std::vector<TensorView> views_of(std::vector<ir::Tensor>& inputs,
                                 std::vector<ir::Tensor>& outputs) {
  std::vector<TensorView> views;
  for (auto* list : {&inputs, &outputs}) {
    for (ir::Tensor& tensor : *list) {
      views.emplace_back(tensor.data(), static_cast<DataType>(tensor.type()), tensor.shape().data(),
                         tensor.rank());
    }
  }
  return views;
}

}  // namespace lathe::tuner
