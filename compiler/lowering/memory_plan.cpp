// Lifetimes and offsets.
#include "compiler/lowering/memory_plan.h"

#include <algorithm>

namespace lathe::compiler::lowering {
namespace {

constexpr int64_t kAlignment = 64;

struct Life {
  ValueId value;
  int64_t bytes;
  size_t first, last;  ///< calls that write and last read it
};

int64_t bytes_of(const ir::graph::TensorType& type) {
  int64_t elements = 1;
  for (const auto& dim : type.shape) elements *= dim.number();
  const int64_t bytes = ir::bytes_of(type.element, elements);
  return std::max<int64_t>((bytes + kAlignment - 1) / kAlignment, 1) * kAlignment;
}

// For each value the one whose memory it has as a view, itself where it is none.
std::vector<ValueId> sources_of_views(const LoweredGraph& lowered) {
  std::vector<ValueId> source(lowered.graph.values.size());
  for (size_t v = 0; v < source.size(); ++v) source[v] = static_cast<ValueId>(v);
  for (const Call& call : lowered.calls)
    if (call.kind == CallKind::view)
      source[static_cast<size_t>(call.outputs.front())] =
          source[static_cast<size_t>(call.inputs.front())];
  return source;
}

// Which updates may happen in the memory of what they update.
class Updates {
 public:
  explicit Updates(const LoweredGraph& lowered)
      : lowered_(lowered), view_of_(sources_of_views(lowered)) {}

  /// Whether no call after `index` needs what its updated operand held before, nor the call itself
  /// as another operand, nor whoever runs the graph.
  bool is_last_use(size_t index) const {
    const Call& update = lowered_.calls[index];
    const ValueId old = source(update.updates);
    int reads = 0;
    for (const ValueId read : update.reads()) reads += source(read) == old ? 1 : 0;
    for (const ValueId input : update.inputs)
      if (source(input) == old) return false;
    if (reads > 1) return false;
    for (size_t c = index + 1; c < lowered_.calls.size(); ++c)
      for (const ValueId read : lowered_.calls[c].reads())
        if (source(read) == old) return false;
    return std::none_of(lowered_.graph.outputs.begin(), lowered_.graph.outputs.end(),
                        [&](ValueId output) { return source(output) == old; });
  }

  /// The first call that updates the value, as it is or as another shape of it; none: how many
  /// calls there are.
  size_t first_of(ValueId value) const {
    size_t c = 0;
    while (c < lowered_.calls.size() &&
           (lowered_.calls[c].updates < 0 || source(lowered_.calls[c].updates) != value))
      ++c;
    return c;
  }

  /// The output of the graph that is an updated value in another shape, through views alone; -1.
  ValueId output_of(ValueId updated) const {
    for (const ValueId output : lowered_.graph.outputs)
      if (source(output) == updated) return output;
    return -1;
  }

 private:
  ValueId source(ValueId value) const { return view_of_[static_cast<size_t>(value)]; }

  const LoweredGraph& lowered_;
  std::vector<ValueId> view_of_;
};

}  // namespace

MemoryPlan plan_memory(const LoweredGraph& lowered) {
  MemoryPlan plan;
  plan.placements.resize(lowered.graph.values.size());
  const auto at = [&](ValueId value) -> Placement& {
    return plan.placements[static_cast<size_t>(value)];
  };
  for (ValueId input : lowered.graph.inputs) at(input).kind = Placement::Kind::external;

  // A view is its source's memory, unless the caller holds it: then the call copies.
  std::vector<ValueId> source(lowered.graph.values.size());
  for (size_t v = 0; v < source.size(); ++v) source[v] = static_cast<ValueId>(v);
  std::vector<Life> lives;
  std::vector<int> index(lowered.graph.values.size(), -1);
  const Updates updates(lowered);
  // Gives the value, whose life has begun, the memory of an output of the graph.
  const auto move_to_output = [&](ValueId value, ValueId output) {
    lives[static_cast<size_t>(index[static_cast<size_t>(value)])].bytes = 0;
    index[static_cast<size_t>(value)] = -1;
    at(value) = {Placement::Kind::alias, 0, 0, output};
  };
  for (size_t c = 0; c < lowered.calls.size(); ++c) {
    const Call& call = lowered.calls[c];
    for (ValueId read : call.reads()) {
      const int life = index[static_cast<size_t>(source[static_cast<size_t>(read)])];
      if (life >= 0) lives[static_cast<size_t>(life)].last = c;
    }
    for (ValueId output : call.outputs) {
      const bool updates_here = call.updates >= 0 && output == call.outputs.back();
      const ValueId old = updates_here ? source[static_cast<size_t>(call.updates)] : ValueId{-1};
      const bool in_place =
          updates_here && index[static_cast<size_t>(old)] >= 0 && updates.is_last_use(c);
      const bool is_output = lowered.is_output(output);
      const ValueId target = is_output      ? output
                             : updates_here ? updates.output_of(output)
                                            : ValueId{-1};
      if (in_place && target >= 0) move_to_output(old, target);
      if (is_output) {
        at(output).kind = Placement::Kind::external;
      } else if (target >= 0) {
        at(output) = {Placement::Kind::alias, 0, 0, target};
      } else if (in_place) {
        source[static_cast<size_t>(output)] = old;
        at(output) = {Placement::Kind::alias, 0, 0, old};
      } else if (call.kind == CallKind::view) {
        const ValueId root = source[static_cast<size_t>(call.inputs.front())];
        source[static_cast<size_t>(output)] = root;
        at(output) = {Placement::Kind::alias, 0, 0, root};
      } else {
        index[static_cast<size_t>(output)] = static_cast<int>(lives.size());
        lives.push_back({output, bytes_of(lowered.graph.type(output)), c, c});
      }
    }
  }
  for (const ValueId input : lowered.graph.inputs) {
    const size_t first = updates.first_of(input);
    if (first < lowered.calls.size() && updates.is_last_use(first)) plan.donated.push_back(input);
  }
  std::erase_if(lives, [](const Life& life) { return life.bytes == 0; });
  std::stable_sort(lives.begin(), lives.end(),
                   [](const Life& a, const Life& b) { return a.bytes > b.bytes; });
  std::vector<std::pair<Life, int64_t>> placed;
  for (const Life& life : lives) {
    std::vector<std::pair<int64_t, int64_t>> taken;  // ranges of values that live at the same time
    for (const auto& [other, offset] : placed)
      if (life.first <= other.last && other.first <= life.last)
        taken.emplace_back(offset, offset + other.bytes);
    std::sort(taken.begin(), taken.end());
    int64_t offset = 0;
    for (const auto& [begin, end] : taken) {
      if (offset + life.bytes <= begin) break;
      offset = std::max(offset, end);
    }
    placed.emplace_back(life, offset);
    at(life.value) = {Placement::Kind::arena, offset, life.bytes, -1};
    plan.arena_bytes = std::max(plan.arena_bytes, offset + life.bytes);
    plan.unshared_bytes += life.bytes;
  }
  return plan;
}

}  // namespace lathe::compiler::lowering
