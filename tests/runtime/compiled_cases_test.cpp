// The golden and conformance cases of tests/ir_graph once more, with compiled kernels in the
// oracle's place, and that these reach every family.
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "runtime/graph/executor.h"
#include "tests/ir_graph/graph_testing.h"

namespace lathe::runtime {
namespace {

using ir::graph::DoubleTensor;
using ir::graph::Graph;

// Why attention was left to the host.
std::set<std::string>& attention_left() {
  static std::set<std::string> reasons;
  return reasons;
}

std::set<std::string>& families_reached() {
  static std::set<std::string> families;
  return families;
}

// Indices come as i64, kernels read i32: positions and ids of these cases fit.
void narrow_indices(Graph& graph, std::vector<ir::Tensor>& inputs) {
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i].type() != ir::Type::i64) continue;
    ir::Tensor narrow(ir::Type::i32, inputs[i].shape());
    for (int64_t k = 0; k < narrow.elements(); ++k) narrow.set(k, inputs[i].at(k));
    inputs[i] = std::move(narrow);
    graph.values[static_cast<size_t>(graph.inputs[i])].type.element = ir::Type::i32;
  }
}

Result<std::vector<DoubleTensor>> evaluate_compiled(const Graph& given,
                                                    std::span<const ir::Tensor> tensors) {
  static const auto library = [] {
    LibraryOptions options;
    options.store = "none";
    options.threads = 2;
    return KernelLibrary::open(options);
  }();
  if (!library) return tl::unexpected(library.error());
  Graph graph = given;
  std::vector<ir::Tensor> inputs(tensors.begin(), tensors.end());
  narrow_indices(graph, inputs);
  LATHE_TRY(const auto executor, Executor::create(std::move(graph), *library));
  LATHE_TRY(const auto steps, executor->steps(inputs));
  for (const ExecutionStep& step : steps) {
    families_reached().insert(step.what.substr(0, step.what.find(' ')));
    if (step.interpreted && step.interpreted->op == "attention")
      attention_left().insert(step.interpreted->reason);
  }
  LATHE_TRY(const auto outputs, executor->run(inputs));
  std::vector<DoubleTensor> results;
  for (const ir::Tensor& output : outputs)
    results.push_back(
        {output.type(), output.shape(), ir::graph::to_doubles(ir::graph::to_array(output))});
  return results;
}

class CompiledCases : public testing::Environment {
 public:
  void SetUp() override { ir::graph::evaluate_case = evaluate_compiled; }
  void TearDown() override {
    if (GTEST_FLAG_GET(filter) != "*") return;
    std::vector<std::string> families = {
        "attention_prefill", "embedding", "gelu", "layer_norm", "linear",
        "rms_norm",          "rope",      "silu", "swiglu"};
    // Of products of two variable sides and of a few tokens there are conformance cases only.
    if (std::filesystem::exists(ir::graph::shared_folder() / "conformance" / "index.json"))
      families.insert(families.end(), {"attention_decode", "batched_matmul"});
    for (const std::string& family : families)
      EXPECT_EQ(families_reached().count(family), 1U) << family << ": no case reached its kernels";
    for (const std::string& reason : attention_left()) {
      EXPECT_TRUE(reason == "sequences that have places" ||
                  reason == "the scores are asked for, too")
          << "attention was left to the host: " << reason;
    }
  }
};

[[maybe_unused]] testing::Environment* const environment =
    testing::AddGlobalTestEnvironment(new CompiledCases);

}  // namespace
}  // namespace lathe::runtime
