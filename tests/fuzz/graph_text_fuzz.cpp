// Any text given to the graph parser is refused at a place, or prints to text that parses to the
// same graph, and a small graph evaluates to what inference promised or to an error.
#include <cctype>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ir/graph/reference.h"
#include "ir/graph/text.h"
#include "ir/graph/verify.h"
#include "tests/fuzz/require.h"

using lathe::fuzz::require;
namespace graph = lathe::ir::graph;

namespace {

constexpr int64_t kNamedDim = 3;
constexpr int64_t kMaxElementsToEvaluate = 4096;

bool is_small(const graph::Graph& bound) {
  for (const graph::Value& value : bound.values) {
    int64_t elements = 1;
    for (const graph::Dim& dim : value.type.shape) {
      if (!dim.is_number() || dim.number() > kMaxElementsToEvaluate) return false;
      elements *= dim.number();
      if (elements > kMaxElementsToEvaluate) return false;
    }
  }
  return true;
}

void check_evaluation(const graph::Graph& parsed) {
  graph::DimBindings bindings;
  for (const std::string& name : parsed.dim_names()) bindings[name] = kNamedDim;
  const auto bound = graph::bind_dims(parsed, bindings);
  if (!bound || !is_small(*bound)) return;
  std::vector<lathe::ir::Tensor> inputs;
  for (const graph::ValueId id : bound->inputs) {
    const graph::TensorType& type = bound->type(id);
    const auto shape = graph::numbers(type.shape);
    require(shape.has_value(), "a bound shape has numbers", graph::to_string(type));
    inputs.emplace_back(type.element, *shape);
  }
  const auto outputs = graph::evaluate_double(*bound, inputs);
  if (!outputs) {
    require(!outputs.error().message.empty(), "an error says what was found", bound->name);
    return;
  }
  require(outputs->size() == bound->outputs.size(), "one result for each output", bound->name);
  for (size_t i = 0; i < outputs->size(); ++i) {
    const graph::TensorType& type = bound->type(bound->outputs[i]);
    require((*outputs)[i].shape == *graph::numbers(type.shape), "shapes are those inferred",
            graph::to_string(type));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto parsed = graph::parse(text);
  if (!parsed) {
    const std::string& message = parsed.error().message;
    require(!message.empty() && std::isdigit(static_cast<unsigned char>(message[0])) != 0,
            "an error starts with line:column", message);
    return 0;
  }
  const auto verified = graph::verify(*parsed);
  require(verified.has_value(), "what parses is verified",
          verified ? "" : verified.error().message);
  for (const auto types : {graph::PrintTypes::no, graph::PrintTypes::yes}) {
    const std::string printed = graph::print(*parsed, types);
    const auto again = graph::parse(printed);
    require(again.has_value(), "printed text parses",
            again ? "" : again.error().message + "\nin:\n" + printed);
    require(graph::print(*again, types) == printed, "printing is stable", printed);
  }
  check_evaluation(*parsed);
  return 0;
}
