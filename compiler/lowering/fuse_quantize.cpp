// Fusion of norms and products with the quantisation of their result.
#include "compiler/lowering/fuse_rules.h"
#include "compiler/lowering/passes.h"

namespace lathe::compiler::lowering {
namespace {

// What the call becomes if it writes `blocks` in place of its last result: the same bits, so that a
// result that was rounded to 16 bits first still is.
Call quantising(const Call& call, ValueId blocks) {
  Call changed = call;
  if (const std::string out = out_type(call); out != "f32") {
    Chain rounded;
    rounded.op = "round_" + out;
    rounded.arguments = {call.epilogue};
    changed.epilogue = std::move(rounded);
  }
  changed.values["out"] = "q8_0";
  changed.outputs.back() = blocks;
  return changed;
}

}  // namespace

void fuse_quantize(LoweredGraph& lowered) {
  for (size_t i = 0; i < lowered.calls.size(); ++i) {
    const Call& quantize = lowered.calls[i];
    if (!quantize.is(CallForm::quantize)) continue;
    const ValueId value = quantize.inputs.front();
    const int p = lowered.producer(value);
    if (p < 0 || lowered.uses(value) != 1) continue;
    Call& producer = lowered.calls[static_cast<size_t>(p)];
    if (!(producer.is_norm() || producer.is(CallForm::linear)) ||
        producer.outputs.back() != value || !same_rows(producer, quantize)) {
      continue;
    }
    Call changed = quantising(producer, quantize.outputs.front());
    // The family says what it computes.
    if (!fits(changed.epilogue) || !problem_of(changed, lowered)) continue;
    producer = std::move(changed);
    remove(lowered, static_cast<int>(i));
    --i;
  }
}

}  // namespace lathe::compiler::lowering
