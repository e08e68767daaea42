// docs/numerics.md has the table of limits that the code has.
#include "compiler/limits.h"

#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "compiler/family.h"

namespace lathe::compiler {
namespace {

std::string read(const std::string& path) {
  std::ifstream in(path);
  EXPECT_TRUE(in) << path;
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

TEST(Limits, TheDocumentHasTheTable) {
  std::string table = "| family | output | absolute | relative |\n|---|---|---|---|\n";
  for (const LimitRow& row : limit_table()) {
    table += fmt::format("| {} | {} | {:.3g} | {:.3g} |\n", row.family, ir::name(row.type),
                         row.limit.absolute, row.limit.relative);
  }
  EXPECT_NE(read("docs/numerics.md").find(table), std::string::npos)
      << "docs/numerics.md, \"Limits of kernels\", should have:\n"
      << table;
}

TEST(Limits, EveryFamilyHasLimitsForItsOutputs) {
  for (const Family* family : catalogue()) {
    const Problem problem = *parse_problem(family->example);
    bool found = false;
    for (const LimitRow& row : limit_table()) found = found || row.family == problem.family().name;
    EXPECT_TRUE(found) << family->name;
  }
}

TEST(Limits, TheScaleOfARowCounts) {
  const Limit limit{1e-6, 1e-3};
  EXPECT_DOUBLE_EQ(limit.allowed(2, 0.5), 1e-6 + 2e-3);
  EXPECT_DOUBLE_EQ(limit.allowed(-2, 100), 1e-4 + 2e-3);
}

}  // namespace
}  // namespace lathe::compiler
