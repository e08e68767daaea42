// Chains, uses and text of lowered graphs.
#include "compiler/lowering/lowered_graph.h"

#include <algorithm>

#include "compiler/choose_layout.h"
#include "ir/graph/op.h"

namespace lathe::compiler::lowering {
namespace {

void collect(const Chain& chain, std::vector<std::pair<ValueId, std::string>>& values) {
  if (chain.is_leaf()) {
    if (chain.number || chain.value < 0) return;
    const std::pair entry{chain.value, chain.wrapper};
    if (std::find(values.begin(), values.end(), entry) == values.end()) values.push_back(entry);
  }
  for (const Chain& argument : chain.arguments) collect(argument, values);
}

std::string text_of(const Chain& chain, const ir::graph::Graph& graph) {
  if (chain.number) return fmt::format("{}", *chain.number);
  if (chain.is_leaf()) {
    const std::string name = chain.value == Chain::kSelf    ? "y"
                             : chain.value == Chain::kOther ? "z"
                                                            : "%" + graph.value(chain.value).name;
    return chain.wrapper.empty() ? name : chain.wrapper + "(" + name + ")";
  }
  std::string text = chain.op + "(";
  for (size_t i = 0; i < chain.arguments.size(); ++i)
    text += (i == 0 ? "" : ",") + text_of(chain.arguments[i], graph);
  return text + ")";
}

std::string names(const std::vector<ValueId>& values, const ir::graph::Graph& graph) {
  std::string text;
  for (ValueId value : values) {
    text += text.empty() ? "" : ", ";
    text += value < 0 ? "-" : "%" + graph.value(value).name;
  }
  return text;
}

}  // namespace

Chain Chain::leaf(ValueId value, std::string wrapper) {
  Chain chain;
  chain.value = value;
  chain.wrapper = std::move(wrapper);
  return chain;
}

Chain Chain::constant(double number) {
  Chain chain;
  chain.number = number;
  return chain;
}

std::vector<std::pair<ValueId, std::string>> Chain::values() const {
  std::vector<std::pair<ValueId, std::string>> list;
  collect(*this, list);
  return list;
}

Chain Chain::substitute(ValueId replaced, const Chain& replacement) const {
  if (is_plain_leaf() && value == replaced) return replacement;
  Chain copy = *this;
  for (Chain& argument : copy.arguments) argument = argument.substitute(replaced, replacement);
  return copy;
}

bool Chain::reads(ValueId wanted) const {
  const auto list = values();
  return std::any_of(list.begin(), list.end(),
                     [&](const auto& entry) { return entry.first == wanted; });
}

size_t Chain::depth() const {
  size_t deepest = 0;
  for (const Chain& argument : arguments) deepest = std::max(deepest, argument.depth());
  return deepest + 1;
}

size_t Chain::size() const {
  size_t sum = 1;
  for (const Chain& argument : arguments) sum += argument.size();
  return sum;
}

std::vector<ValueId> Call::reads() const {
  std::vector<ValueId> list;
  const auto add = [&](ValueId value) {
    if (value >= 0 && std::find(list.begin(), list.end(), value) == list.end())
      list.push_back(value);
  };
  for (const auto& entry : prologue.values()) add(entry.first);
  for (const auto& entry : epilogue.values()) add(entry.first);
  for (ValueId value : inputs) add(value);
  add(updates);
  return list;
}

bool LoweredGraph::is_output(ValueId value) const {
  return std::find(graph.outputs.begin(), graph.outputs.end(), value) != graph.outputs.end();
}

int LoweredGraph::uses(ValueId value) const {
  int count = is_output(value) ? 1 : 0;
  for (const Call& call : calls) {
    const auto reads = call.reads();
    count += static_cast<int>(std::count(reads.begin(), reads.end(), value));
  }
  return count;
}

int LoweredGraph::producer(ValueId value) const {
  for (size_t i = 0; i < calls.size(); ++i) {
    const auto& outputs = calls[i].outputs;
    if (std::find(outputs.begin(), outputs.end(), value) != outputs.end())
      return static_cast<int>(i);
  }
  return -1;
}

std::string print(const LoweredGraph& lowered) {
  std::string text = fmt::format("lowered {} ({}) -> ({})\n", lowered.graph.name,
                                 names(lowered.graph.inputs, lowered.graph),
                                 names(lowered.graph.outputs, lowered.graph));
  for (const Call& call : lowered.calls) {
    text += "  " + names(call.outputs, lowered.graph) + " = ";
    switch (call.kind) {
      case CallKind::kernel: {
        text += call.family->name;
        if (call.has_rows()) text += fmt::format(" [{} x {}]", call.rows, call.width);
        for (const auto& [key, value] : call.values) text += " " + key + "=" + value;
        if (call.is(CallForm::chain)) text += " expr=" + text_of(call.prologue, lowered.graph);
        if (call.is_norm()) {
          text += " prologue=" + text_of(call.prologue, lowered.graph);
          text += " epilogue=" + text_of(call.epilogue, lowered.graph);
        }
        if (call.is_product()) text += " epilogue=" + text_of(call.epilogue, lowered.graph);
        break;
      }
      case CallKind::view: text += "view"; break;
      case CallKind::pack:
        text += "pack " + compiler::print(call.layout) + (call.transposed ? " transposed" : "");
        break;
      case CallKind::function:
        text += fmt::format("function {}",
                            lowered.graph.nodes[static_cast<size_t>(call.node)].op->name);
        break;
      case CallKind::host:
        text +=
            fmt::format("host {}: {};",
                        lowered.graph.nodes[static_cast<size_t>(call.node)].op->name, call.reason);
        break;
    }
    if (!call.inputs.empty()) text += " (" + names(call.inputs, lowered.graph) + ")";
    if (call.updates >= 0) text += " into " + names({call.updates}, lowered.graph);
    text += "\n";
  }
  return text;
}

}  // namespace lathe::compiler::lowering
