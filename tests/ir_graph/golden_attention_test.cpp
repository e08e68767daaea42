// Every attention of the reference arrays, whatever their sizes: text with its cache, segments of
// images, images in text, and the single operations with earlier keys.
#include <filesystem>
#include <iostream>

#include "ir/graph/builder.h"
#include "ir/npz.h"
#include "tests/ir_graph/golden.h"

namespace lathe::ir::graph {
namespace {

Shape shape_of(const Tensor& tensor) { return {tensor.shape().begin(), tensor.shape().end()}; }

// q, k and v are [batch, heads, tokens, size]; packed ones have a batch of 1, which goes.
// Text is causal, after the earlier keys; segments are not.
Result<std::vector<DoubleTensor>> attend(const std::vector<Tensor>& inputs, bool tokens_first) {
  const bool packed = inputs.size() == 4;  // with bounds of segments
  GraphBuilder b("attend");
  std::vector<Var> operands;
  for (size_t i = 0; i < 3; ++i) {
    Var x = b.input("x" + std::to_string(i), inputs[i].type(), shape_of(inputs[i]));
    if (packed) {
      Shape shape = shape_of(inputs[i]);
      shape.erase(shape.begin());
      x = b.op("reshape", {x}, {{"shape", shape}});
    }
    operands.push_back(x);
  }
  if (packed)
    operands.insert(operands.end(), {{}, b.input("bounds", inputs[3].type(), shape_of(inputs[3]))});
  Var y = b.op("attention", operands,
               {{"causal", packed ? "none" : "end"}, {"layout", "heads_tokens"}});
  if (packed) {
    Shape shape = shape_of(inputs[2]);
    shape[1] = inputs[0].shape()[1];
    shape[2] = inputs[0].shape()[2];
    y = b.op("reshape", {y}, {{"shape", shape}});
  }
  if (tokens_first) y = b.op("transpose", {y}, {{"perm", {0, 2, 1, 3}}});
  LATHE_TRY(const Graph graph, b.finish({y}));
  return evaluate_case(graph, inputs);
}

// Members NAME.q, NAME.k, NAME.v with the result NAME.out [batch, tokens, heads, size], or NAME.y
// in q's order; GROUP.cu_seqlens, where GROUP is the name up to its first dot, are bounds of
// segments.
int check_archive(const Npz& archive) {
  int checked = 0;
  for (const std::string& q : archive.names()) {
    if (!q.ends_with(".q")) continue;
    const std::string name = q.substr(0, q.size() - 2);
    const std::string result = archive.has(name + ".out") ? name + ".out" : name + ".y";
    std::vector<std::string> members = {q, name + ".k", name + ".v"};
    const std::string bounds = name.substr(0, name.find('.')) + ".cu_seqlens";
    if (archive.has(bounds)) members.push_back(bounds);
    std::vector<Tensor> inputs;
    for (const std::string& member : members) {
      auto tensor = archive.read(member);
      if (tensor) inputs.push_back(*std::move(tensor));
    }
    const auto expected = archive.read_doubles(result);
    if (inputs.size() != members.size() || !expected) {
      std::cout << "not run: " << name << ": it has not all of q, k, v and a result\n";
      continue;
    }
    const auto found = attend(inputs, result.ends_with(".out"));
    EXPECT_TRUE(found.has_value()) << name << ": " << (found ? "" : found.error().message);
    if (!found) continue;
    EXPECT_EQ((*found)[0].shape, expected->shape) << name;
    EXPECT_LE(relative_difference((*found)[0].values, expected->values), kGoldenLimit) << name;
    ++checked;
  }
  return checked;
}

void check_folder(const std::filesystem::path& folder) {
  int all = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".npz") continue;
    const auto archive = Npz::open(entry.path());
    if (!archive) {
      ADD_FAILURE() << archive.error().message;
      continue;
    }
    const int checked = check_archive(*archive);
    all += checked;
    if (checked > 0)
      std::cout << "run: " << checked << " of " << entry.path().filename().string() << "\n";
  }
  EXPECT_GT(all, 0) << folder << " has no attention";
}

TEST(AttentionGolden, CommittedArrays) { check_folder(source_folder() / "tests/data/golden"); }

TEST(AttentionGolden, AllArrays) {
  const auto folder = shared_folder() / "golden";
  if (!std::filesystem::exists(folder)) {
    GTEST_SKIP() << "no reference arrays in " << folder
                 << "; set LATHE_SHARED to the folder that has them";
  }
  check_folder(folder);
}

}  // namespace
}  // namespace lathe::ir::graph
