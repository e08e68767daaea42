// docs/numerics.md has the table of limits that the code has.
#include "compiler/limits.h"

#include <gtest/gtest.h>

#include "compiler/family.h"
#include "tests/support/golden.h"

namespace lathe::compiler {
namespace {

TEST(Limits, TheDocumentHasTheTable) {
  std::string table = "| family | output | absolute | relative |\n|---|---|---|---|\n";
  for (const Family* family : catalogue()) {
    for (const auto& [type, limit] : family->limits) {
      table += fmt::format("| {} | {} | {:.3g} | {:.3g} |\n", family->name, ir::name(type),
                           limit.absolute, limit.relative);
    }
  }
  EXPECT_TRUE(tests::document_has_table("docs/numerics.md", table));
}

TEST(Limits, EveryFamilyHasLimitsForItsOutputs) {
  for (const Family* family : catalogue())
    EXPECT_FALSE(family->limits.empty()) << family->name << " names no limits";
}

TEST(Limits, TheScaleOfARowCounts) {
  const Limit limit{1e-6, 1e-3};
  EXPECT_DOUBLE_EQ(limit.allowed(2, 0.5), 1e-6 + 2e-3);
  EXPECT_DOUBLE_EQ(limit.allowed(-2, 100), 1e-4 + 2e-3);
}

}  // namespace
}  // namespace lathe::compiler
