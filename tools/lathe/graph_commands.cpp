// run, check and print: commands on .lir graphs.
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "compiler/lowering/memory_plan.h"
#include "compiler/lowering/passes.h"
#include "compiler/problem.h"
#include "ir/graph/reference.h"
#include "ir/graph/text.h"
#include "ir/graph/verify.h"
#include "ir/npy.h"
#include "runtime/graph/executor.h"
#include "tools/common/output.h"
#include "tools/lathe/commands.h"

namespace lathe::tools {
namespace {

namespace graph_ir = ir::graph;

// "name=file" pairs, each name once.
Result<std::map<std::string, std::string>> parse_bindings(const std::string& option,
                                                          const std::vector<std::string>& list) {
  std::map<std::string, std::string> bindings;
  for (const std::string& text : list) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == text.size()) {
      return fail(ErrorCode::invalid_argument, "{}: found '{}', expected NAME=FILE.npy", option,
                  text);
    }
    if (!bindings.emplace(text.substr(0, equals), text.substr(equals + 1)).second) {
      return fail(ErrorCode::invalid_argument, "{}: '{}' is given twice", option,
                  text.substr(0, equals));
    }
  }
  return bindings;
}

Result<std::vector<ir::Tensor>> read_inputs(const graph_ir::Graph& graph,
                                            std::map<std::string, std::string> files) {
  std::vector<ir::Tensor> inputs;
  for (graph_ir::ValueId id : graph.inputs) {
    const graph_ir::Value& value = graph.value(id);
    const auto file = files.find(value.name);
    if (file == files.end()) {
      return fail(ErrorCode::invalid_argument, "input %{} is missing; give --in {}=FILE.npy",
                  value.name, value.name);
    }
    auto tensor = ir::read_npy(file->second);
    if (!tensor) return tl::unexpected(std::move(tensor).error());
    auto typed = ir::reinterpret(std::move(*tensor), value.type.element);
    if (!typed)
      return fail_with_context(fmt::format("{} for input %{}", file->second, value.name),
                               typed.error());
    inputs.push_back(std::move(*typed));
    files.erase(file);
  }
  if (!files.empty()) {
    return fail(ErrorCode::invalid_argument, "the graph has no input %{}", files.begin()->first);
  }
  return inputs;
}

std::string describe(const runtime::InterpretedNode& node) {
  return fmt::format("{} = {}{}: {}", node.results, node.op,
                     node.line > 0 ? fmt::format(" in line {}", node.line) : "", node.reason);
}

// What a run did.
struct RunRecord {
  std::vector<ir::Tensor> outputs;
  std::vector<runtime::ExecutionStep> steps;
  std::vector<runtime::InterpretedNode> interpreted;
};

Result<RunRecord> run_reference(const graph_ir::Graph& graph, std::span<const ir::Tensor> inputs) {
  RunRecord record;
  for (const graph_ir::Node& node : graph.nodes)
    record.interpreted.push_back(runtime::interpreted_node(graph, node, "--target reference"));
  LATHE_TRY(record.outputs, graph_ir::evaluate(graph, inputs));
  return record;
}

Status check_strict(const std::vector<runtime::InterpretedNode>& interpreted, size_t nodes) {
  if (interpreted.empty()) return {};
  constexpr size_t kNamed = 16;
  std::vector<std::string> named;
  for (size_t i = 0; i < std::min(interpreted.size(), kNamed); ++i)
    named.push_back(describe(interpreted[i]));
  if (interpreted.size() > kNamed)
    named.push_back(fmt::format("and {} more", interpreted.size() - kNamed));
  return fail(ErrorCode::unsupported,
              "--strict: {} of {} nodes can run in the reference interpreter only, expected a "
              "kernel for each: {}; write these nodes in another way (docs/kernels.md has what "
              "there are kernels for), or leave --strict out",
              interpreted.size(), nodes, fmt::join(named, "; "));
}

Result<RunRecord> execute(const DriverOptions& driver, bool strict, graph_ir::Graph graph,
                          std::span<const ir::Tensor> inputs, const runtime::Backends& backends) {
  if (driver.target == "reference") {
    if (!strict) return run_reference(graph, inputs);
    return fail(ErrorCode::invalid_argument,
                "--strict excludes --target reference, which runs every node in the interpreter; "
                "leave one of them out");
  }
  LibraryOptions options;
  options.backends = backends;
  options.target = driver.target;
  options.threads = driver.threads;
  options.store = driver.db;
  options.device = driver.device;
  LATHE_TRY(auto library, runtime::KernelLibrary::open(options));
  LATHE_TRY(auto executor, runtime::Executor::create(std::move(graph), library));
  RunRecord record;
  LATHE_TRY(record.steps, executor->steps(inputs));
  for (const runtime::ExecutionStep& step : record.steps)
    if (step.interpreted) record.interpreted.push_back(*step.interpreted);
  if (strict) LATHE_CHECK(check_strict(record.interpreted, executor->graph().nodes.size()));
  LATHE_TRY(record.outputs, executor->run(inputs));
  return record;
}

nlohmann::json steps_json(const std::vector<runtime::ExecutionStep>& list) {
  nlohmann::json steps = nlohmann::json::array();
  for (const runtime::ExecutionStep& step : list) {
    steps.push_back(
        {{"step", step.what}, {"schedule", step.schedule}, {"match", to_string(step.match)}});
  }
  return steps;
}

nlohmann::json interpreted_json(const std::vector<runtime::InterpretedNode>& list) {
  nlohmann::json nodes = nlohmann::json::array();
  for (const runtime::InterpretedNode& node : list) {
    nodes.push_back(
        {{"results", node.results}, {"op", node.op}, {"line", node.line}, {"reason", node.reason}});
  }
  return nodes;
}

}  // namespace

Result<graph_ir::Graph> read_graph(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored))
    return fail(ErrorCode::invalid_argument, "{}: is a folder; expected a .lir file", path);
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail(ErrorCode::not_found, "{}: cannot be read", path);
  std::ostringstream text;
  text << file.rdbuf();
  auto graph = graph_ir::parse(text.str());
  if (!graph) return fail_with_context(path, std::move(graph).error());
  return graph;
}

Result<int> run_command(const DriverOptions& driver, const RunOptions& options,
                        const runtime::Backends& backends) {
  if (!driver.schedule.empty() || !driver.cpu.empty()) {
    return fail(
        ErrorCode::invalid_argument,
        "run takes no --schedule or --cpu: a graph has many kernels, and they run here; see "
        "lathe bench and lathe emit");
  }
  LATHE_TRY(graph_ir::Graph graph, read_graph(options.graph));
  LATHE_TRY(auto in, parse_bindings("--in", options.in));
  LATHE_TRY(auto out, parse_bindings("--out", options.out));
  LATHE_TRY(const std::vector<ir::Tensor> inputs, read_inputs(graph, std::move(in)));
  std::vector<std::string> names;
  for (graph_ir::ValueId id : graph.outputs) names.push_back(graph.value(id).name);
  for (const auto& [name, file] : out) {
    if (std::find(names.begin(), names.end(), name) == names.end())
      return fail(ErrorCode::invalid_argument, "--out: the graph has no output %{}", name);
  }
  LATHE_TRY(const RunRecord record,
            execute(driver, options.strict, std::move(graph), inputs, backends));
  const std::vector<ir::Tensor>& outputs = record.outputs;
  nlohmann::json results = nlohmann::json::array();
  for (size_t i = 0; i < outputs.size(); ++i) {
    const auto file = out.find(names[i]);
    if (file != out.end()) LATHE_CHECK(ir::write_npy(file->second, outputs[i]));
    results.push_back({{"name", names[i]},
                       {"type", ir::name(outputs[i].type())},
                       {"shape", outputs[i].shape()},
                       {"file", file == out.end() ? "" : file->second}});
  }
  if (driver.json) {
    print_json({{"steps", steps_json(record.steps)},
                {"interpreted", interpreted_json(record.interpreted)},
                {"outputs", std::move(results)}});
  } else {
    // Who asks for the reference knows.
    if (driver.target != "reference") {
      for (const runtime::InterpretedNode& node : record.interpreted)
        print_note(fmt::format("lathe: ran in the reference interpreter: {}\n", describe(node)));
    }
    for (const auto& result : results) {
      fmt::print("%{}: {}{}{}\n", result["name"].get<std::string>(),
                 result["type"].get<std::string>(), result["shape"].dump(),
                 result["file"].get<std::string>().empty()
                     ? ""
                     : " -> " + result["file"].get<std::string>());
    }
  }
  return kSuccess;
}

Result<int> check_command(const DriverOptions& driver, const std::string& path) {
  LATHE_TRY(const graph_ir::Graph graph, read_graph(path));
  LATHE_CHECK(graph_ir::verify(graph));
  if (driver.json) {
    print_json({{"graph", graph.name},
                {"nodes", graph.nodes.size()},
                {"inputs", graph.inputs.size()},
                {"outputs", graph.outputs.size()},
                {"dimensions", graph.dim_names()}});
  } else {
    fmt::print("{}: graph {} is well formed: {} nodes\n", path, graph.name, graph.nodes.size());
  }
  return kSuccess;
}

Result<int> print_command(const DriverOptions& driver, const std::string& path,
                          const std::string& after, const std::string& sizes) {
  LATHE_TRY(graph_ir::Graph graph, read_graph(path));
  std::string text;
  if (after.empty()) {
    text = graph_ir::print(graph, graph_ir::PrintTypes::yes);
  } else {
    LATHE_TRY(const compiler::Sizes given, compiler::parse_sizes(sizes));
    graph_ir::DimBindings bindings(given.begin(), given.end());
    for (const std::string& name : graph.dim_names()) {
      if (bindings.count(name) == 0) {
        return fail(ErrorCode::invalid_argument,
                    "lowering needs sizes; give --at {}=N for the graph's named dimensions", name);
      }
    }
    LATHE_TRY(graph, graph_ir::bind_dims(graph, bindings));
    LATHE_TRY(const auto lowered, compiler::lowering::lower(graph, after == "all" ? "" : after));
    text = compiler::lowering::print(lowered);
    if (after == "all") {
      const auto memory = compiler::lowering::plan_memory(lowered);
      text += fmt::format("arena {} bytes ({} without reuse)\n", memory.arena_bytes,
                          memory.unshared_bytes);
    }
  }
  if (driver.json) {
    print_json({{"text", text}});
  } else {
    fmt::print("{}", text);
  }
  return kSuccess;
}

}  // namespace lathe::tools
