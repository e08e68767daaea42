// Fusion of kernel calls with their neighbours.
#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "compiler/lowering/fuse_rules.h"
#include "compiler/lowering/passes.h"
#include "compiler/lowering/select.h"

namespace lathe::compiler::lowering {
namespace {

// Every full input of the two must have one type: a kernel reads its [rows, width] inputs alike.
bool types_meet(const Call& producer, const Call& consumer) {
  return in_type(producer) == in_type(consumer) && out_type(producer) == in_type(consumer) &&
         value_or(producer, "weight_type", in_type(producer)) ==
             value_or(consumer, "weight_type", in_type(consumer));
}

// Who makes each value and how many calls read it, kept up to date while calls fuse.
class Uses {
 public:
  explicit Uses(const LoweredGraph& lowered)
      : producers_(lowered.graph.values.size(), -1), counts_(lowered.graph.values.size(), 0) {
    for (size_t i = 0; i < lowered.calls.size(); ++i) {
      for (const ValueId value : lowered.calls[i].outputs)
        if (value >= 0) producers_[static_cast<size_t>(value)] = static_cast<int>(i);
      count(lowered.calls[i], 1);
    }
    // Twice named, an output counts once, as LoweredGraph::uses() has it.
    const std::set<ValueId> outputs(lowered.graph.outputs.begin(), lowered.graph.outputs.end());
    for (const ValueId value : outputs) ++counts_[static_cast<size_t>(value)];
  }

  int producer(ValueId value) const { return producers_[static_cast<size_t>(value)]; }
  int of(ValueId value) const { return counts_[static_cast<size_t>(value)]; }
  void count(const Call& call, int times) {
    for (const ValueId value : call.reads()) counts_[static_cast<size_t>(value)] += times;
  }

 private:
  std::vector<int> producers_, counts_;
};

// Takes one producer into the chain of call `i`; returns which, or -1.
int fuse_producer(LoweredGraph& lowered, size_t i, Uses& uses) {
  Call& consumer = lowered.calls[i];
  for (const auto& [value, wrapper] : consumer.prologue.values()) {
    const int p = uses.producer(value);
    if (p < 0 || !wrapper.empty() || !is_full_reader(consumer.prologue, value)) continue;
    const Call& producer = lowered.calls[static_cast<size_t>(p)];
    if (!producer.is(CallForm::chain) || uses.of(value) != 1 || !same_rows(producer, consumer) ||
        !types_meet(producer, consumer)) {
      continue;
    }
    Chain chain = consumer.prologue.substitute(value, producer.prologue);
    if (!fits(chain)) continue;
    uses.count(producer, -1);
    uses.count(consumer, -1);
    consumer.prologue = std::move(chain);
    uses.count(consumer, 1);
    return p;
  }
  return -1;
}

}  // namespace

// A chain takes in producers until none is left that fits. What stands before it is not looked at
// again: a value that it read twice is now read once, by the same call.
void fuse_elementwise(LoweredGraph& lowered) {
  Uses uses(lowered);
  std::vector<bool> gone(lowered.calls.size(), false);
  for (size_t i = 0; i < lowered.calls.size(); ++i) {
    if (!lowered.calls[i].is(CallForm::chain)) continue;
    for (int p; (p = fuse_producer(lowered, i, uses)) >= 0;) gone[static_cast<size_t>(p)] = true;
  }
  size_t kept = 0;
  for (size_t i = 0; i < lowered.calls.size(); ++i) {
    if (gone[i]) continue;
    if (kept != i) lowered.calls[kept] = std::move(lowered.calls[i]);
    ++kept;
  }
  lowered.calls.erase(lowered.calls.begin() + static_cast<ptrdiff_t>(kept), lowered.calls.end());
}

void fuse_norm_prologue(LoweredGraph& lowered) {
  for (size_t i = 0; i < lowered.calls.size(); ++i) {
    Call& norm = lowered.calls[i];
    if (!norm.is_norm() || !norm.prologue.is_plain_leaf()) continue;
    const ValueId value = norm.prologue.value;
    const int p = lowered.producer(value);
    if (p < 0) continue;
    const Call& producer = lowered.calls[static_cast<size_t>(p)];
    if (!producer.is(CallForm::chain) || !same_rows(producer, norm) ||
        !types_meet(producer, norm) || !fits(producer.prologue)) {
      continue;
    }
    const bool others = lowered.uses(value) > 1;
    if (others) {
      // The norm takes the producer's place: nothing between them may read the value.
      bool read_between = false;
      for (size_t k = static_cast<size_t>(p) + 1; k < i; ++k) {
        const auto reads = lowered.calls[k].reads();
        read_between = read_between || std::find(reads.begin(), reads.end(), value) != reads.end();
      }
      if (read_between) continue;
      norm.values["keep"] = "true";
      norm.outputs.insert(norm.outputs.begin(), value);
    }
    norm.prologue = producer.prologue;
    remove(lowered, p);
    --i;
  }
}

void fuse_norm_epilogue(LoweredGraph& lowered) {
  for (size_t i = 0; i < lowered.calls.size(); ++i) {
    if (!lowered.calls[i].is(CallForm::chain)) continue;
    const Call& consumer = lowered.calls[i];
    for (const auto& [value, wrapper] : consumer.prologue.values()) {
      const int p = lowered.producer(value);
      if (p < 0 || !wrapper.empty() || !is_full_reader(consumer.prologue, value)) continue;
      Call& norm = lowered.calls[static_cast<size_t>(p)];
      if (!norm.is_norm() || norm.outputs.back() != value || lowered.uses(value) != 1 ||
          !same_rows(norm, consumer) || in_type(norm) != in_type(consumer) ||
          out_type(norm) != in_type(consumer)) {
        continue;
      }
      // The chain runs where the norm stands: its other operands must be there already, and must
      // not be the norm's own kept value.
      const auto reads = consumer.reads();
      const bool ready = std::all_of(reads.begin(), reads.end(), [&](ValueId read) {
        return read == value || lowered.producer(read) < p;
      });
      Chain chain = norm.epilogue.is_plain_leaf() && norm.epilogue.value == Chain::kSelf
                        ? consumer.prologue.substitute(value, Chain::self())
                        : consumer.prologue.substitute(value, norm.epilogue);
      // A leaf that the prologue reads, too, would need one name for two places.
      const bool shared = std::any_of(reads.begin(), reads.end(),
                                      [&](ValueId read) { return norm.prologue.reads(read); });
      if (!ready || shared || !fits(chain)) continue;
      norm.epilogue = std::move(chain);
      norm.outputs.back() = consumer.outputs.front();
      norm.values["out"] = out_type(consumer);
      remove(lowered, static_cast<int>(i));
      --i;
      break;
    }
  }
}

void fuse_norm_rope(LoweredGraph& lowered) {
  for (size_t i = 0; i < lowered.calls.size(); ++i) {
    Call& rope = lowered.calls[i];
    if (!rope.is(CallForm::rope) || value_or(rope, "norm", "false") == "true" ||
        value_or(rope, "interleaved", "false") == "true" ||
        value_or(rope, "rotary_dim", "0") != "0" ||
        value_or(rope, "tables", "by_position") == "per_token") {
      continue;
    }
    const int p = lowered.producer(rope.inputs.front());
    if (p < 0) continue;
    const Call& norm = lowered.calls[static_cast<size_t>(p)];
    const bool plain = norm.is_norm() && computes(*norm.family, "rms_norm") &&
                       norm.prologue.is_plain_leaf() && norm.epilogue.is_plain_leaf() &&
                       norm.inputs.size() == 1 && value_or(norm, "keep", "false") == "false";
    if (!plain || lowered.uses(norm.outputs.front()) != 1 ||
        std::to_string(norm.width) != value_or(rope, "dim", "") || in_type(norm) != in_type(rope) ||
        out_type(norm) != in_type(rope)) {
      continue;
    }
    rope.inputs.front() = norm.prologue.value;
    rope.inputs.push_back(norm.inputs.front());
    rope.values["norm"] = "true";
    for (const char* key : {"eps", "weight_type"})
      if (norm.values.count(key) != 0) rope.values[key] = norm.values.at(key);
    remove(lowered, p);
    --i;
  }
}

}  // namespace lathe::compiler::lowering
