// Graphs in the C interface.
#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include <lathe/graph.h>

#include "runtime/api/c_handles.h"
#include "runtime/api/c_support.h"

struct lathe_graph {
  lathe::Graph graph;
};

namespace {

using lathe::runtime::are_known;
using lathe::runtime::guarded;
using lathe::runtime::is_null;
using lathe::runtime::report;
using lathe::runtime::say;
using lathe::runtime::view_of;

// LATHE_OK, or what is wrong with a list of views.
lathe_status check_list(const char* function, const char* what, const lathe_view* views,
                        size_t count) {
  if (views == nullptr && count != 0) return is_null(function, what);
  return are_known(function, what, {views, count}) ? LATHE_OK : LATHE_INVALID_ARGUMENT;
}

std::vector<lathe::TensorView> views_of(const lathe_view* views, size_t count) {
  std::vector<lathe::TensorView> list;
  list.reserve(count);
  for (size_t i = 0; i < count; ++i) list.push_back(view_of(views[i]));
  return list;
}

const char* name_at(std::span<const lathe::GraphOperand> operands, size_t index) {
  return index < operands.size() ? operands[index].name.c_str() : nullptr;
}

}  // namespace

lathe_status lathe_library_load_graph(lathe_library* library, const char* text,
                                      lathe_graph** graph) {
  constexpr const char* kName = "lathe_library_load_graph";
  if (graph == nullptr) return is_null(kName, "graph");
  *graph = nullptr;
  if (library == nullptr) return is_null(kName, "library");
  if (text == nullptr) return is_null(kName, "text");
  return guarded([&] {
    auto loaded = library->library.load_graph(text);
    if (!loaded) return report(loaded.error());
    *graph = new lathe_graph{std::move(*loaded)};
    return LATHE_OK;
  });
}

void lathe_graph_release(lathe_graph* graph) { delete graph; }

size_t lathe_graph_input_count(const lathe_graph* graph) {
  return graph == nullptr ? 0 : graph->graph.inputs().size();
}

size_t lathe_graph_output_count(const lathe_graph* graph) {
  return graph == nullptr ? 0 : graph->graph.outputs().size();
}

const char* lathe_graph_input_name(const lathe_graph* graph, size_t index) {
  return graph == nullptr ? nullptr : name_at(graph->graph.inputs(), index);
}

const char* lathe_graph_output_name(const lathe_graph* graph, size_t index) {
  return graph == nullptr ? nullptr : name_at(graph->graph.outputs(), index);
}

lathe_status lathe_graph_output_shape(const lathe_graph* graph, const lathe_view* inputs,
                                      size_t input_count, size_t output,
                                      int64_t shape[LATHE_MAX_RANK], int32_t* rank) {
  constexpr const char* kName = "lathe_graph_output_shape";
  if (graph == nullptr) return is_null(kName, "graph");
  if (shape == nullptr) return is_null(kName, "shape");
  if (rank == nullptr) return is_null(kName, "rank");
  if (const lathe_status status = check_list(kName, "input", inputs, input_count);
      status != LATHE_OK)
    return status;
  return guarded([&] {
    const auto shapes = graph->graph.output_shapes(views_of(inputs, input_count));
    if (!shapes) return report(shapes.error());
    if (output >= shapes->size()) {
      say({kName, ": output is beyond the last of the graph"});
      return LATHE_INVALID_ARGUMENT;
    }
    const std::vector<int64_t>& found = (*shapes)[output];
    if (found.size() > LATHE_MAX_RANK) {
      say({kName, ": the output has more dimensions than a view"});
      return LATHE_UNSUPPORTED;
    }
    std::copy(found.begin(), found.end(), shape);
    *rank = static_cast<int32_t>(found.size());
    return LATHE_OK;
  });
}

lathe_status lathe_graph_run(const lathe_graph* graph, const lathe_view* inputs, size_t input_count,
                             const lathe_view* outputs, size_t output_count) {
  constexpr const char* kName = "lathe_graph_run";
  if (graph == nullptr) return is_null(kName, "graph");
  if (const lathe_status status = check_list(kName, "input", inputs, input_count);
      status != LATHE_OK)
    return status;
  if (const lathe_status status = check_list(kName, "output", outputs, output_count);
      status != LATHE_OK)
    return status;
  return guarded([&] {
    return report(graph->graph(views_of(inputs, input_count), views_of(outputs, output_count)));
  });
}

lathe_status lathe_graph_steps(const lathe_graph* graph, const lathe_view* inputs,
                               size_t input_count, char* buffer, size_t size, size_t* length) {
  constexpr const char* kName = "lathe_graph_steps";
  if (graph == nullptr) return is_null(kName, "graph");
  if (buffer == nullptr && size != 0) return is_null(kName, "buffer");
  if (length == nullptr) return is_null(kName, "length");
  if (const lathe_status status = check_list(kName, "input", inputs, input_count);
      status != LATHE_OK)
    return status;
  return guarded([&] {
    const auto steps = graph->graph.steps(views_of(inputs, input_count));
    if (!steps) return report(steps.error());
    std::string text;
    for (const lathe::GraphStep& step : *steps) {
      text += step.what;
      if (!step.schedule.empty())
        text += " (" + std::string(lathe::to_string(step.match)) + ": " + step.schedule + ")";
      text += "\n";
    }
    *length = text.size();
    if (size > 0) {
      const size_t count = std::min(text.size(), size - 1);
      std::memcpy(buffer, text.data(), count);
      buffer[count] = 0;
    }
    return LATHE_OK;
  });
}
