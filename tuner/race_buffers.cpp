// Sets of operands, and the lines that a call on each touches.
#include "tuner/race_buffers.h"

#include <algorithm>

#include "tuner/inputs.h"

namespace lathe::tuner {
namespace {

constexpr uint64_t kSeed = 1;
/// What the calls of one pass touch at least, where memory allows it: some hundreds of microseconds
/// at the bandwidth of memory, long against the clock and a late thread.
constexpr int64_t kPassBytes = int64_t{8} << 20;
constexpr int64_t kMostSets = 4096;
/// Of a shared table, the sets of one pass name at most one entry of so many: few find an entry
/// that another has brought into a cache.
constexpr int64_t kTableShare = 16;

int64_t bytes_of(const TensorView& view) {
  int64_t elements = 1;
  for (int i = 0; i < view.rank; ++i) elements *= view.shape[i];
  return ir::bytes_of(static_cast<ir::Type>(view.type), elements);
}

struct Cost {
  int64_t touched = 0;  ///< bytes that a call touches
  int64_t own = 0;      ///< bytes of a set without tables
  int64_t most_sets = kMostSets;
};

Cost cost_of_set(const runtime::CompiledKernel& kernel, const std::vector<ir::Tensor>& inputs,
                 const std::vector<ir::Tensor>& outputs, const std::vector<bool>& is_table) {
  Cost cost;
  cost.touched = std::max<int64_t>(bytes_touched(kernel, inputs, outputs), 1);
  for (const ir::Tensor& output : outputs) cost.own += output.bytes();
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!is_table[i]) {
      cost.own += inputs[i].bytes();
      continue;
    }
    const int64_t entries = inputs[i].shape().front();
    const int64_t named = std::max<int64_t>(named_entries(kernel, i, inputs), 1);
    cost.most_sets = std::min(cost.most_sets, entries / (named * kTableShare));
  }
  return cost;
}

size_t sets_of(const Cost& cost, bool cold) {
  if (!cold) return 1;
  const int64_t affordable = 1 + spare_for_sets() / std::max<int64_t>(cost.own, 1);
  return static_cast<size_t>(
      std::max<int64_t>(std::min({kPassBytes / cost.touched, affordable, cost.most_sets}), 1));
}

}  // namespace

Result<RaceBuffers> RaceBuffers::create(const runtime::CompiledKernel& kernel,
                                        const compiler::Sizes& at, bool cold) {
  return create(kernel, at, cold, 0);
}

Result<RaceBuffers> RaceBuffers::create(const runtime::CompiledKernel& kernel,
                                        const compiler::Sizes& at, bool cold, size_t sets) {
  RaceBuffers buffers;
  buffers.at_ = at;
  buffers.cold_ = cold;
  LATHE_CHECK(check_memory(kernel.problem, at));
  LATHE_TRY(std::vector<ir::Tensor> inputs, make_inputs(kernel, at, InputKind::normal, kSeed));
  LATHE_TRY(const std::vector<ir::Tensor> outputs, make_outputs(kernel, at));
  const std::vector<bool> is_table = tables_of(kernel);
  const Cost cost = cost_of_set(kernel, inputs, outputs, is_table);
  if (sets == 0) sets = sets_of(cost, cold);
  for (const ir::Tensor& output : outputs)
    buffers.written_share_ +=
        static_cast<double>(output.bytes()) / static_cast<double>(cost.touched);
  // Further copies repeat the first one's values: what counts is that they lie elsewhere, and
  // drawing random numbers for hundreds of MiB would take longer than the race. Only indices are
  // drawn anew, as all sets share the tables.
  for (size_t i = 0; i < inputs.size(); ++i)
    if (is_table[i]) buffers.tables_.push_back(std::move(inputs[i]));
  for (size_t set = 0; set < sets; ++set) {
    if (set > 0) redraw_indices(kernel, at, kSeed + set, inputs);
    LATHE_CHECK(buffers.add_set(kernel, inputs, outputs, is_table));
  }
  return buffers;
}

Status RaceBuffers::add_set(const runtime::CompiledKernel& kernel,
                            const std::vector<ir::Tensor>& inputs,
                            const std::vector<ir::Tensor>& outputs,
                            const std::vector<bool>& is_table) {
  std::vector<ir::Tensor> tensors;
  std::vector<TensorView> views;
  const auto view = [&](ir::Tensor& tensor) {
    views.emplace_back(tensor.data(), static_cast<DataType>(tensor.type()), tensor.shape().data(),
                       tensor.rank());
  };
  const auto add = [&](const ir::Tensor& tensor) {
    view(tensors.emplace_back(tensor));
    touched_.emplace_back(tensors.back().data(), static_cast<size_t>(tensors.back().bytes()));
  };
  tensors.reserve(inputs.size() + outputs.size());
  size_t table = 0;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!is_table[i]) {
      add(inputs[i]);
      continue;
    }
    ir::Tensor& shared = tables_[table++];
    view(shared);
    const int64_t bytes = shared.bytes() / std::max<int64_t>(shared.shape().front(), 1);
    for_each_named_entry(kernel, i, inputs, [&](int64_t entry) {
      touched_.emplace_back(shared.data() + entry * bytes, static_cast<size_t>(bytes));
    });
  }
  for (const ir::Tensor& output : outputs) add(output);
  tensors_.push_back(std::move(tensors));
  views_.push_back(std::move(views));
  ends_.push_back(touched_.size());
  return {};
}

Result<std::vector<TensorView>> RaceBuffers::views(size_t set,
                                                   const runtime::CompiledKernel& kernel) const {
  LATHE_TRY(const auto shapes, operand_shapes(kernel.operands, at_));
  const std::vector<TensorView>& own = views_[set];
  if (shapes.size() != own.size()) {
    return fail(ErrorCode::internal, "{}: {} operands, the buffers have {}", kernel.problem.line(),
                shapes.size(), own.size());
  }
  std::vector<TensorView> views;
  for (size_t i = 0; i < shapes.size(); ++i) {
    views.emplace_back(own[i].data, own[i].type, shapes[i].data(),
                       static_cast<int>(shapes[i].size()));
    const bool fits = static_cast<ir::Type>(own[i].type) == kernel.operands[i].type &&
                      bytes_of(views.back()) <= bytes_of(own[i]);
    if (!fits) {
      return fail(ErrorCode::internal, "{}: its operand {} does not fit into the buffers' {} bytes",
                  kernel.problem.line(), kernel.operands[i].name, bytes_of(own[i]));
    }
  }
  return views;
}

std::span<const ColdCaches::Bytes> RaceBuffers::touched(size_t sets) const {
  return std::span(touched_).first(sets == 0 ? 0 : ends_[std::min(sets, ends_.size()) - 1]);
}

}  // namespace lathe::tuner
