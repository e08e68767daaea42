// docs/kernels.md and docs/add_a_kernel.md say what the code says.
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compiler/family.h"
#include "tests/support/golden.h"

namespace lathe::tests {
namespace {

// The parts of `text` between `begin` and `end`, markers left out.
std::vector<std::string> parts(const std::string& text, const std::string& begin,
                               const std::string& end) {
  std::vector<std::string> found;
  for (size_t at = text.find(begin); at != std::string::npos; at = text.find(begin, at)) {
    at += begin.size();
    const size_t stop = text.find(end, at);
    if (stop == std::string::npos) break;
    found.push_back(text.substr(at, stop - at));
    at = stop + end.size();
  }
  return found;
}

TEST(KernelsDocument, HasTheCatalogue) {
  EXPECT_TRUE(document_has_table("docs/kernels.md", compiler::describe_catalogue()));
}

TEST(KernelsDocument, HasAParagraphForEveryFamily) {
  const std::string document = read_source("docs/kernels.md");
  for (const compiler::Family* family : compiler::catalogue()) {
    EXPECT_THAT(document, testing::HasSubstr("**" + family->name + "**"));
  }
}

TEST(AddAKernelDocument, EveryBlockIsARegionOfItsExamples) {
  const std::string source = read_source("compiler/kernels/skeleton.cpp") +
                             read_source("compiler/kernels/log_softmax.cpp");
  std::vector<std::string> regions;
  for (const std::string& region : parts(source, "// [docs:", "// [/docs:")) {
    regions.push_back(region.substr(region.find('\n') + 1));
  }
  const std::vector<std::string> blocks =
      parts(read_source("docs/add_a_kernel.md"), "```cpp\n", "```");
  EXPECT_EQ(blocks, regions);
  EXPECT_GE(regions.size(), 5U);
}

}  // namespace
}  // namespace lathe::tests
