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
                                        const compiler::Sizes& at, bool cold, SharedInputs& shared,
                                        size_t sets) {
  RaceBuffers buffers;
  buffers.at_ = at;
  LATHE_CHECK(check_memory(kernel.problem, at));
  LATHE_TRY(buffers.first_, shared.of(kernel, at));
  LATHE_TRY(const std::vector<ir::Tensor> outputs, make_outputs(kernel, at));
  const std::vector<bool> is_table = tables_of(kernel);
  const Cost cost = cost_of_set(kernel, *buffers.first_, outputs, is_table);
  if (sets == 0) sets = sets_of(cost, cold);
  for (size_t i = 0; i < outputs.size(); ++i) {
    const size_t operand = static_cast<size_t>(kernel.inputs) + i;
    int64_t written = outputs[i].bytes();
    if (names_entries(kernel, operand)) {
      const int64_t entries = std::max<int64_t>(outputs[i].shape().front(), 1);
      written =
          written / entries * std::min(named_entries(kernel, operand, *buffers.first_), entries);
    }
    buffers.written_share_ += static_cast<double>(written) / static_cast<double>(cost.touched);
  }
  buffers.add_set(kernel, nullptr, outputs);
  // Further copies repeat the first one's values: what counts is that they lie elsewhere, and
  // drawing random numbers for hundreds of MiB would take longer than the race. Only indices are
  // drawn anew, as all sets share the tables.
  std::vector<ir::Tensor> inputs(buffers.first_->size());
  for (size_t i = 0; sets > 1 && i < inputs.size(); ++i)
    if (!is_table[i]) inputs[i] = (*buffers.first_)[i];
  for (size_t set = 1; set < sets; ++set) {
    redraw_indices(kernel, at, kSeed + set, inputs);
    buffers.add_set(kernel, &inputs, outputs);
  }
  return buffers;
}

void RaceBuffers::add_set(const runtime::CompiledKernel& kernel,
                          const std::vector<ir::Tensor>* copied,
                          const std::vector<ir::Tensor>& outputs) {
  const std::vector<bool> is_table = tables_of(kernel);
  const std::vector<ir::Tensor>& named_by = copied != nullptr ? *copied : *first_;
  std::vector<ir::Tensor> tensors;
  std::vector<TensorView> views;
  tensors.reserve(is_table.size() + outputs.size());
  const auto view = [&](ir::Tensor& tensor) {
    views.emplace_back(tensor.data(), static_cast<DataType>(tensor.type()), tensor.shape().data(),
                       tensor.rank());
  };
  const auto touch = [&](const ir::Tensor& tensor) {
    touched_.emplace_back(tensor.data(), static_cast<size_t>(tensor.bytes()));
  };
  const auto touch_named = [&](const ir::Tensor& table, size_t operand) {
    const int64_t bytes = table.bytes() / std::max<int64_t>(table.shape().front(), 1);
    for_each_named_entry(kernel, operand, named_by, [&](int64_t entry) {
      touched_.emplace_back(table.data() + entry * bytes, static_cast<size_t>(bytes));
    });
  };
  for (size_t i = 0; i < is_table.size(); ++i) {
    if (is_table[i]) {
      view((*first_)[i]);
      touch_named((*first_)[i], i);
      continue;
    }
    view(copied != nullptr ? tensors.emplace_back((*copied)[i]) : (*first_)[i]);
    touch(copied != nullptr ? tensors.back() : (*first_)[i]);
  }
  for (const ir::Tensor& output : outputs) {
    const size_t operand = views.size();
    view(tensors.emplace_back(output));
    if (names_entries(kernel, operand)) {
      touch_named(tensors.back(), operand);
    } else {
      touch(tensors.back());
    }
  }
  tensors_.push_back(std::move(tensors));
  views_.push_back(std::move(views));
  ends_.push_back(touched_.size());
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
    TensorView& view = views.emplace_back(own[i].data, own[i].type, shapes[i].data(),
                                          static_cast<int>(shapes[i].size()));
    const std::vector<int64_t> strides = strides_in(order_of(kernel, i), shapes[i]);
    std::copy(strides.begin(), strides.end(), view.strides);
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
