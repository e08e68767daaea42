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
  for (size_t c = 0; c < lowered.calls.size(); ++c) {
    const Call& call = lowered.calls[c];
    for (ValueId read : call.reads()) {
      const int life = index[static_cast<size_t>(source[static_cast<size_t>(read)])];
      if (life >= 0) lives[static_cast<size_t>(life)].last = c;
    }
    for (ValueId output : call.outputs) {
      if (lowered.is_output(output)) {
        at(output).kind = Placement::Kind::external;
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
