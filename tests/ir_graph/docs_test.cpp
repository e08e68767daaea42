// The graph pages of docs/ say what the code does: the table of ops, and every block of text.
#include <fstream>
#include <sstream>

#include "ir/graph/builder.h"
#include "ir/graph/ops.h"
#include "tests/ir_graph/graph_testing.h"
#include "tests/support/golden.h"

namespace lathe::ir::graph {
namespace {

std::string read_text(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.good()) << path;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

struct Block {
  std::string language;
  std::string text;
};

std::vector<Block> code_blocks(const std::string& page) {
  std::vector<Block> blocks;
  std::istringstream lines(page);
  bool inside = false;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("```")) {
      inside = !inside;
      if (inside) blocks.push_back({line.substr(3), ""});
    } else if (inside) {
      blocks.back().text += line + "\n";
    }
  }
  EXPECT_FALSE(inside) << "a code block has no end";
  return blocks;
}

Result<Graph> build_mlp() {
  GraphBuilder b("mlp");
  const Var x = b.input("x", Type::f32, {"tokens", 2048});
  const Var w = b.input("w", Type::f32, {2048});
  const Var h = b.op("rms_norm", {x, w}, {{"eps", 1e-6}});
  return b.finish({b.op("silu", {h})});
}

TEST(Docs, TheBuilderExampleBuilds) {
  const auto graph = build_mlp();
  ASSERT_TRUE(graph.has_value()) << graph.error().message;
  EXPECT_EQ(to_string(graph->type(graph->outputs[0])), "f32[tokens, 2048]");
}

TEST(Docs, GraphOpsIsTheTable) {
  EXPECT_TRUE(tests::document_is("docs/graph_ops.md", describe_ops()));
}

// On the page of the text form, `lir` blocks are graphs as they print, `text` blocks are the error
// of the `lir-error` block before them, `cpp` blocks stand in this file, and `ebnf` is the grammar.
TEST(Docs, GraphIrBlocksAreTrue) {
  const auto blocks = code_blocks(read_text(source_folder() / "docs/graph_ir.md"));
  const std::string this_file = read_text(source_folder() / "tests/ir_graph/docs_test.cpp");
  int graphs = 0;
  std::string error;
  for (const Block& block : blocks) {
    if (block.language == "lir") {
      EXPECT_EQ(print(parse_valid(block.text)), block.text);
      ++graphs;
    } else if (block.language == "lir-error") {
      const auto graph = parse(block.text);
      ASSERT_FALSE(graph.has_value()) << block.text;
      error = graph.error().message + "\n";
    } else if (block.language == "text") {
      EXPECT_EQ(error, block.text);
    } else if (block.language == "cpp") {
      EXPECT_NE(this_file.find(block.text), std::string::npos) << "not in docs_test.cpp:\n"
                                                               << block.text;
    } else {
      EXPECT_EQ(block.language, "ebnf");
    }
  }
  EXPECT_GT(graphs, 0);
}

}  // namespace
}  // namespace lathe::ir::graph
