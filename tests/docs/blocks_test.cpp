// Code blocks of README.md and docs/ stand in compiled sources; .lir examples verify.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>

#include <gtest/gtest.h>

#include "ir/graph/text.h"
#include "ir/graph/verify.h"

namespace lathe::tests {
namespace {

std::string read(const std::filesystem::path& path) {
  std::ifstream in(path);
  EXPECT_TRUE(in) << path;
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

// Everything between a line that holds `begin` and the next one that holds `end`.
std::vector<std::string> between(const std::string& text, const std::string& begin,
                                 const std::string& end) {
  std::vector<std::string> found;
  for (size_t at = text.find(begin); at != std::string::npos; at = text.find(begin, at)) {
    at = text.find('\n', at) + 1;
    const size_t stop = text.rfind('\n', text.find(end, at)) + 1;
    found.push_back(text.substr(at, stop - at));
    at = stop;
  }
  return found;
}

std::vector<std::filesystem::path> documents() {
  std::vector<std::filesystem::path> paths = {"README.md", "CONTRIBUTING.md"};
  for (const auto& entry : std::filesystem::directory_iterator("docs"))
    if (entry.path().extension() == ".md") paths.push_back(entry.path());
  return paths;
}

// Text without what stands between ``` fences.
std::string prose(const std::string& text) {
  std::string result;
  bool fenced = false;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind("```", 0) == 0) fenced = !fenced;
    if (!fenced) result += line + "\n";
  }
  return result;
}

TEST(Documentation, EveryCodeBlockStandsInACompiledSource) {
  std::vector<std::string> sources;
  for (const char* folder :
       {"examples", "compiler/kernels", "tests/ir_program", "tests/ir_graph"}) {
    for (const auto& entry : std::filesystem::directory_iterator(folder))
      if (entry.is_regular_file()) sources.push_back(read(entry.path()));
  }
  size_t blocks = 0;
  for (const auto& document : documents()) {
    const std::string text = read(document);
    for (const char* language : {"```cpp\n", "```c\n"}) {
      for (const std::string& block : between(text, language, "```")) {
        ++blocks;
        EXPECT_TRUE(std::any_of(
            sources.begin(), sources.end(),
            [&](const std::string& source) { return source.find(block) != std::string::npos; }))
            << document << " has a block that no source has:\n"
            << block;
      }
    }
  }
  EXPECT_GE(blocks, 4U);
}

// Those of graph_ir.md are printed again by a test of their own.
TEST(Documentation, EveryGraphIsAnExample) {
  std::string examples;
  for (const auto& entry : std::filesystem::directory_iterator("examples"))
    if (entry.path().extension() == ".lir") examples += read(entry.path());
  size_t graphs = 0;
  for (const auto& document : documents()) {
    if (document.filename() == "graph_ir.md") continue;
    for (const std::string& graph : between(read(document), "```lir\n", "```")) {
      ++graphs;
      EXPECT_NE(examples.find(graph), std::string::npos)
          << document << " has a graph that no example has:\n"
          << graph;
    }
  }
  EXPECT_GE(graphs, 2U);
}

TEST(Documentation, ExampleGraphsVerify) {
  size_t graphs = 0;
  for (const auto& entry : std::filesystem::directory_iterator("examples")) {
    if (entry.path().extension() != ".lir") continue;
    ++graphs;
    const auto graph = ir::graph::parse(read(entry.path()));
    ASSERT_TRUE(graph.has_value()) << entry.path() << ": " << graph.error().message;
    EXPECT_TRUE(ir::graph::verify(*graph).has_value()) << entry.path();
  }
  EXPECT_GE(graphs, 1U);
}

TEST(Documentation, LinksLeadSomewhere) {
  const std::regex link(R"(\]\(([^)#:]+)\))");
  for (const auto& document : documents()) {
    const std::string text = prose(read(document));
    for (std::sregex_iterator it(text.begin(), text.end(), link), end; it != end; ++it)
      EXPECT_TRUE(std::filesystem::exists(document.parent_path() / (*it)[1].str()))
          << document << ": " << (*it)[1];
  }
}

}  // namespace
}  // namespace lathe::tests
