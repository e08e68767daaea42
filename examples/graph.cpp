// Loads a graph from its file and runs it on memory of the program's own.
#include <cstdio>
#include <fstream>
#include <sstream>
#include <vector>

#include <lathe/lathe.h>

int main(int count, char** arguments) {
  std::stringstream text;
  if (count > 1) {
    text << std::ifstream(arguments[1]).rdbuf();
  } else {
    text << "graph gate(%x: f32[tokens, 4], %w: f32[8, 4]) -> (%y) {\n"
            "  %h = linear(%x, %w)\n"
            "  %y = silu(%h)\n"
            "}";
  }
  const auto library = lathe::Library::open();
  if (!library) return std::fprintf(stderr, "%s\n", library.error().message.c_str()), 1;
  const auto graph = library->load_graph(text.str());
  if (!graph) return std::fprintf(stderr, "%s\n", graph.error().message.c_str()), 1;

  // Named dimensions are 3 here; each input is filled with 0.5, whatever it is.
  std::vector<std::vector<float>> memory;
  const auto view_of = [&memory](const lathe::GraphOperand& operand) {
    std::vector<int64_t> shape;
    size_t elements = 1;
    for (const auto& [factor, name] : operand.shape) {
      shape.push_back(name.empty() ? factor : 3 * factor);
      elements *= static_cast<size_t>(shape.back());
    }
    memory.emplace_back(elements, 0.5f);
    return lathe::TensorView(memory.back().data(), operand.type, shape.data(),
                             static_cast<int>(shape.size()));
  };
  std::vector<lathe::TensorView> inputs, outputs;
  for (const auto& operand : graph->inputs()) inputs.push_back(view_of(operand));
  for (const auto& operand : graph->outputs()) outputs.push_back(view_of(operand));
  if (const auto status = (*graph)(inputs, outputs); !status)
    return std::fprintf(stderr, "%s\n", status.error().message.c_str()), 1;
  if (const auto steps = graph->steps(inputs))
    for (const auto& step : *steps)
      std::printf("%s %s\n", step.what.c_str(), step.schedule.c_str());
  std::printf("%s[0] = %g\n", graph->outputs()[0].name.c_str(),
              *static_cast<const float*>(outputs[0].data));
}
