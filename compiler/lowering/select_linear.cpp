// Matrix products with a matrix: the weight is packed in a step of its own, then multiplied.
#include <algorithm>

#include "compiler/choose_layout.h"
#include "compiler/lowering/passes.h"
#include "compiler/lowering/select.h"

namespace lathe::compiler::lowering {
namespace {

using ir::Type;
using ir::graph::Node;
using ir::graph::TensorType;

ValueId add_value(LoweredGraph& lowered, std::string name, TensorType type) {
  ir::graph::Value value;
  value.name = std::move(name);
  value.type = std::move(type);
  value.producer = -1;
  lowered.graph.values.push_back(std::move(value));
  return static_cast<ValueId>(lowered.graph.values.size() - 1);
}

// Where `value` is what the blocks of another of q8_0 are worth, exactly: that other; else -1.
ValueId dequantised(const LoweredGraph& lowered, ValueId value) {
  const int32_t producer = lowered.graph.value(value).producer;
  if (producer < 0 || lowered.graph.type(value).element != Type::f32) return -1;
  const Node& node = lowered.graph.nodes[static_cast<size_t>(producer)];
  if (!ir::graph::is_op(node, "dequantize")) return -1;
  const ValueId blocks = node.operands.front();
  return lowered.graph.type(blocks).element == Type::q8_0 ? blocks : -1;
}

// The weight's parts, by the step that there is or by a new one.
const std::vector<ValueId>& packed(LoweredGraph& lowered, ValueId weight,
                                   const WeightLayout& layout, bool transposed) {
  for (const Call& call : lowered.calls) {
    if (call.kind == CallKind::pack && call.inputs.front() == weight &&
        call.transposed == transposed)
      return call.outputs;
  }
  Call pack;
  pack.kind = CallKind::pack;
  pack.inputs = {weight};
  pack.layout = layout;
  pack.transposed = transposed;
  add_parts(lowered, pack);
  lowered.calls.push_back(std::move(pack));
  return lowered.calls.back().outputs;
}

// Epilogues read f32 vectors.
ValueId as_f32(LoweredGraph& lowered, ValueId vector) {
  const TensorType type = lowered.graph.type(vector);
  if (type.element == Type::f32) return vector;
  Call cast;
  cast.kind = CallKind::kernel;
  cast.family = &family_of(CallForm::chain);
  cast.prologue = Chain::leaf(vector);
  cast.width = elements(type);
  cast.values = {{"type", std::string(ir::name(type.element))}, {"out", "f32"}};
  cast.outputs = {
      add_value(lowered, lowered.graph.value(vector).name + ".f32", {Type::f32, type.shape})};
  lowered.calls.push_back(std::move(cast));
  return lowered.calls.back().outputs.front();
}

}  // namespace

void add_parts(LoweredGraph& lowered, Call& pack) {
  std::string name = lowered.graph.value(pack.inputs.front()).name;
  for (size_t i = 1; i < pack.inputs.size(); ++i)
    name += "." + lowered.graph.value(pack.inputs[i]).name;
  pack.outputs.clear();
  for (const PackedPart& part : packed_parts(pack.layout)) {
    ir::graph::Shape shape;
    for (const int64_t size : part.shape) shape.emplace_back(size);
    pack.outputs.push_back(add_value(lowered,
                                     name + ".packed" + (part.name == "w" ? "" : "." + part.name),
                                     {part.type, std::move(shape)}));
  }
}

bool select_linear(LoweredGraph& lowered, const Node& node, Call& call, std::string& reason) {
  ValueId weight = node.operands[1];
  bool transposed = node.op->name == "matmul";  // its second operand is [k, n]
  if (const ValueId source = untransposed(lowered, weight); source >= 0) {
    weight = source;
    transposed = !transposed;
  }
  ValueId rows = node.operands[0];
  const TensorType x = lowered.graph.type(rows);
  const TensorType w = lowered.graph.type(weight);
  const TensorType y = lowered.graph.type(node.results.front());
  if (w.shape.size() != 2 || elements(x) == 0 || elements(y) == 0) {
    reason = "the second operand is no matrix, or nothing is computed";
    return false;
  }
  int64_t n = w.shape[0].number(), k = w.shape[1].number();
  if (transposed) std::swap(n, k);
  if (!ir::info(w.element).is_float) {
    reason = "kernels' integer weights come with scales, which this op has not";
    return false;
  }
  Type x_type = x.element;
  if (ir::info(w.element).block_elements != 1) {
    rows = dequantised(lowered, rows);
    x_type = Type::q8_0;
    if (rows < 0) {
      reason = "kernels round x to q8_0 for a quantised weight, which the graph does not ask for";
      return false;
    }
  }
  const WeightLayout layout = lowered.layouts(w.element, n, k, false);
  call.kind = CallKind::kernel;
  call.rows = elements(x) / k;
  call.width = n;
  call.values = {{"n", std::to_string(n)},
                 {"k", std::to_string(k)},
                 {"weight", std::string(ir::name(w.element))},
                 {"panel", std::to_string(layout.panel)},
                 {"type", std::string(ir::name(x_type))},
                 {"out", std::string(ir::name(y.element))}};
  call.epilogue = Chain::self();
  // The family says what it computes.
  std::string line = fmt::format("{} rows={}", call.family->name, call.rows);
  for (const auto& [key, value] : call.values) line += " " + key + "=" + value;
  if (const auto problem = parse_problem(line); !problem) {
    reason = problem.error().message;
    return false;
  }
  call.inputs = {rows};
  const auto& parts = packed(lowered, weight, layout, transposed);
  call.inputs.insert(call.inputs.end(), parts.begin(), parts.end());
  if (node.operands.size() > 2 && node.operands[2] >= 0) {
    Chain sum;
    sum.op = "add";
    sum.arguments = {Chain::self(), Chain::leaf(as_f32(lowered, node.operands[2]), "vec")};
    call.epilogue = std::move(sum);
  }
  return true;
}

}  // namespace lathe::compiler::lowering
