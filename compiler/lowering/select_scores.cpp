// Scores of blocks and pages, and bounds of pages: ops whose operands are a family's, in order; and
// lists that are chosen by scores, which plain functions of the runtime make.
#include <algorithm>
#include <array>
#include <utility>

#include "compiler/lowering/attention_operands.h"
#include "compiler/lowering/select.h"

namespace lathe::compiler::lowering {
namespace {

using ir::Type;
using ir::graph::Node;
using ir::graph::TensorType;

// The ops that plain functions compute.
constexpr std::array<std::string_view, 2> kFunctions = {"select_blocks", "select_pages"};

// Parameters and sizes of a problem, as numbers and words.
class Parameters {
 public:
  explicit Parameters(Call& call) : call_(call) {}
  void set(const char* name, int64_t value) { call_.values[name] = std::to_string(value); }
  void set(const char* name, ir::graph::Dim value) { set(name, value.number()); }
  void set(const char* name, Type value) { call_.values[name] = ir::name(value); }

 private:
  Call& call_;
};

void describe_block_scores(const LoweredGraph& lowered, const Node& node, Call& call) {
  const TensorType& q = lowered.graph.type(node.operands[0]);
  const TensorType& k = lowered.graph.type(node.operands[1]);
  const TensorType& scores = lowered.graph.type(node.results[0]);
  const ValueId weights = operand_of(node, 2);
  Parameters parameters(call);
  parameters.set("tokens", q.shape[1]);
  parameters.set("context", k.shape[1]);
  parameters.set("heads", q.shape[2]);
  parameters.set("kv_heads", k.shape[2]);
  parameters.set("dim", q.shape[3]);
  parameters.set("block", node.attributes.integer("block"));
  if (weights >= 0) parameters.set("rank", lowered.graph.type(weights).shape[2]);
  parameters.set("type", q.element);
  call.sizes = {{"query_blocks", scores.shape[2].number()},
                {"key_blocks", scores.shape[3].number()}};
}

void describe_page_bounds(const LoweredGraph& lowered, const Node& node, Call& call) {
  const TensorType& k = lowered.graph.type(node.operands[0]);
  Parameters parameters(call);
  parameters.set("pages", k.shape[1]);
  parameters.set("page", k.shape[2]);
  parameters.set("kv_heads", k.shape[3]);
  parameters.set("dim", k.shape[4]);
  parameters.set("type", k.element);
}

void describe_page_scores(const LoweredGraph& lowered, const Node& node, Call& call) {
  const TensorType& q = lowered.graph.type(node.operands[0]);
  const TensorType& pages = lowered.graph.type(node.operands[1]);
  Parameters parameters(call);
  parameters.set("tokens", q.shape[1]);
  parameters.set("pages", pages.shape[1]);
  parameters.set("heads", q.shape[2]);
  parameters.set("kv_heads", pages.shape[2]);
  parameters.set("dim", q.shape[3]);
  parameters.set("type", q.element);
  parameters.set("kv_type", pages.element);
  if (const ValueId weights = operand_of(node, 2); weights >= 0) {
    call.values["select"] = "learned";
    parameters.set("rank", pages.shape[3]);
    parameters.set("weight_type", lowered.graph.type(weights).element);
    std::swap(call.inputs[1], call.inputs[2]);  // the kernel reads weights before codes
  }
}

}  // namespace

bool select_scores(const LoweredGraph& lowered, const Node& node, Call& call, std::string& reason) {
  const std::string_view op = node.op->name;
  for (const ValueId operand : node.operands) {
    if (operand < 0) continue;
    call.inputs.push_back(operand);
    if (elements(lowered.graph.type(operand)) == 0) {
      reason = "nothing to do";
      return false;
    }
  }
  call.kind = CallKind::kernel;
  if (op == "block_scores") {
    for (const size_t weights : {size_t{2}, size_t{3}}) {
      const ValueId value = operand_of(node, weights);
      if (value < 0 || lowered.graph.type(value).element == Type::f32) continue;
      reason = "weights that are not f32";
      return false;
    }
    describe_block_scores(lowered, node, call);
  } else if (op == "page_bounds") {
    describe_page_bounds(lowered, node, call);
  } else {
    describe_page_scores(lowered, node, call);
  }
  return is_problem(call, reason);
}

bool is_function(std::string_view op) {
  return std::find(kFunctions.begin(), kFunctions.end(), op) != kFunctions.end();
}

bool select_function(const LoweredGraph& lowered, const Node& node, Call& call,
                     std::string& reason) {
  const TensorType& scores = lowered.graph.type(node.operands[0]);
  if (scores.element != Type::f32) {
    reason = "scores that are not f32";
    return false;
  }
  if (!is_one_each(lowered.graph, operand_of(node, 1), scores.shape.front().number())) {
    reason = "lengths that are not one i32 of each sequence";
    return false;
  }
  for (const ValueId result : node.results) {
    if (elements(lowered.graph.type(result)) > 0 && elements(scores) > 0) continue;
    reason = "nothing to do";
    return false;
  }
  call.kind = CallKind::function;
  for (const ValueId operand : node.operands)
    if (operand >= 0) call.inputs.push_back(operand);
  return true;
}

}  // namespace lathe::compiler::lowering
