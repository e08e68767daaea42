// Fusion of writes into caches with what makes their rows: a cast, a quantisation, a rotation.
#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "compiler/lowering/fuse_rules.h"
#include "compiler/lowering/passes.h"

namespace lathe::compiler::lowering {
namespace {

// The value that `value` is another shape of, and the calls that say so, the last first; as long as
// nothing else reads what is between.
struct Source {
  ValueId value;
  std::vector<int> views;
};

Source source_of(const LoweredGraph& lowered, ValueId value) {
  Source source{value, {}};
  while (true) {
    const int producer = lowered.producer(source.value);
    if (producer < 0 || lowered.uses(source.value) != 1) return source;
    const Call& call = lowered.calls[static_cast<size_t>(producer)];
    if (call.kind != CallKind::view) return source;
    source.value = call.inputs.front();
    source.views.push_back(producer);
  }
}

// Whether the rows lie as [tokens, heads, dim] does, with a batch before it or without.
bool has_heads_beside_each_other(const Call& write) {
  const int64_t heads = std::stoll(write.values.at("heads"));
  const int64_t dim = std::stoll(write.values.at("dim"));
  std::vector<int64_t> dense = {heads * dim, dim, 1};
  if (write.strides[0].size() == 4)
    dense.insert(dense.begin(), write.rows / write.batch * heads * dim);
  return write.strides[0] == dense;
}

// The call that makes the rows of `write`, as one that writes them itself; or nothing.
std::optional<Call> writing(const Call& producer, const Call& write, ValueId rows) {
  const std::string& out = write.values.at("out");
  Call changed = write;
  if (producer.is(CallForm::chain) && producer.prologue.is_plain_leaf()) {  // a cast
    const std::string type = out_type(producer);
    // Of two roundings the second alone would not do; a cast to f32 is none.
    if (write.values.at("type") != type || (type != "f32" && type != out)) return std::nullopt;
    changed.inputs.front() = producer.prologue.value;
    changed.values["type"] = in_type(producer);
    return changed;
  }
  if (producer.is(CallForm::quantize)) {
    if (out != "q8_0" || write.values.at("type") != "q8_0") return std::nullopt;
    changed.inputs.front() = producer.inputs.front();
    changed.values["type"] = in_type(producer);
    return changed;
  }
  if (!producer.is(CallForm::rope) || producer.rows != write.rows ||
      value_or(producer, "heads", "") != write.values.at("heads") ||
      value_or(producer, "dim", "") != write.values.at("dim") ||
      value_or(producer, "slots", "off") != "off" || producer.outputs.front() != rows ||
      !has_heads_beside_each_other(write))
    return std::nullopt;
  // What was rounded to the rows' type before still has to be.
  const std::string type = out_type(producer);
  if (type != write.values.at("type") || (type != "f32" && type != out)) return std::nullopt;
  changed = producer;
  changed.node = write.node;
  changed.batch = write.batch;
  changed.outputs = write.outputs;
  changed.updates = write.updates;
  changed.sizes = write.sizes;
  changed.values["out"] = out;
  changed.values["slots"] = value_or(write, "slots", "flat");
  if (write.values.count("slots_type") != 0)
    changed.values["slots_type"] = write.values.at("slots_type");
  changed.strides.resize(producer.inputs.size());
  changed.inputs.push_back(write.inputs[1]);
  changed.strides.push_back(write.strides[1]);
  changed.strides.push_back(write.strides[2]);
  return changed;
}

}  // namespace

void fuse_write_cache(LoweredGraph& lowered) {
  for (size_t i = 0; i < lowered.calls.size(); ++i) {
    // One after the other: a rotation, then a cast or a quantisation, then the write.
    for (bool found = true; found && lowered.calls[i].is(CallForm::write_cache);) {
      found = false;
      const Call& write = lowered.calls[i];
      const Source source = source_of(lowered, write.inputs.front());
      const int p = lowered.producer(source.value);
      if (p < 0 || lowered.uses(source.value) != 1) break;
      const std::optional<Call> changed =
          writing(lowered.calls[static_cast<size_t>(p)], write, source.value);
      // The family says what it computes.
      if (!changed || !problem_of(*changed, lowered)) break;
      lowered.calls[i] = *changed;
      std::vector<int> gone = source.views;
      gone.push_back(p);
      std::sort(gone.rbegin(), gone.rend());
      for (const int index : gone) remove(lowered, index);
      i -= gone.size();
      found = true;
    }
  }
}

}  // namespace lathe::compiler::lowering
