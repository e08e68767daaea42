// The golden helper itself: equal, different, missing, and an update that still fails.
#include "tests/support/golden.h"

#include <cstdlib>
#include <fstream>
#include <sstream>

#include <gmock/gmock.h>

#include "tests/temporary_folder.h"

namespace lathe::tests {
namespace {

using testing::HasSubstr;

class GoldenTest : public testing::Test {
 protected:
  GoldenTest() { unsetenv("LATHE_UPDATE_GOLDENS"); }
  ~GoldenTest() override { unsetenv("LATHE_UPDATE_GOLDENS"); }

  void write(const std::string& text) { std::ofstream(file()) << text; }
  std::string read() {
    std::ostringstream text;
    text << std::ifstream(file()).rdbuf();
    return text.str();
  }
  std::string file() const { return (folder_.path() / "golden.txt").string(); }
  std::string message(std::string_view text) { return matches_golden(file(), text).message(); }

  TemporaryFolder folder_;
};

TEST_F(GoldenTest, EqualTextMatches) {
  write("one\ntwo\n");
  EXPECT_TRUE(matches_golden(file(), "one\ntwo\n"));
}

TEST_F(GoldenTest, TheFirstDifferenceIsNamed) {
  write("one\ntwo\n");
  EXPECT_FALSE(matches_golden(file(), "one\n2\n"));
  EXPECT_THAT(message("one\n2\n"), HasSubstr("line 2\n  golden: two\n  found:  2"));
  EXPECT_THAT(message("one\n"), HasSubstr("line 2\n  golden: two\n  found:  (end)"));
  EXPECT_THAT(message("one\ntwo"), HasSubstr("the last line's end"));
  EXPECT_EQ(read(), "one\ntwo\n");
}

TEST_F(GoldenTest, AMissingFileFails) {
  EXPECT_FALSE(matches_golden(file(), "one\n"));
  EXPECT_THAT(message("one\n"), HasSubstr("does not exist; LATHE_UPDATE_GOLDENS=1 writes it"));
}

TEST_F(GoldenTest, AnUpdateRewritesAndFails) {
  write("one\n");
  setenv("LATHE_UPDATE_GOLDENS", "1", 1);
  EXPECT_FALSE(matches_golden(file(), "two\n"));
  EXPECT_EQ(read(), "two\n");
  EXPECT_TRUE(matches_golden(file(), "two\n"));
}

TEST_F(GoldenTest, ATableInADocument) {
  write("# Title\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\nText.\n| other |\n");
  const std::string same = "| a | b |\n|---|---|\n| 1 | 2 |\n";
  const std::string longer = same + "| 3 | 4 |\n";
  EXPECT_TRUE(document_has_table(file(), same));
  EXPECT_FALSE(document_has_table(file(), longer));
  EXPECT_FALSE(document_has_table(file(), "| a | b |\n|---|---|\n"));
  EXPECT_THAT(document_has_table(file(), "| c |\n").message(), HasSubstr("no table that begins"));
  setenv("LATHE_UPDATE_GOLDENS", "1", 1);
  EXPECT_FALSE(document_has_table(file(), longer));
  EXPECT_EQ(read(), "# Title\n\n" + longer + "\nText.\n| other |\n");
  EXPECT_TRUE(document_has_table(file(), longer));
}

TEST_F(GoldenTest, SourcesAreReadFromTheRepository) {
  EXPECT_THAT(read_source("tests/support/golden_test.cpp"),
              HasSubstr("// The golden helper itself"));
  EXPECT_EQ(read_source("no/such/file"), "");
}

}  // namespace
}  // namespace lathe::tests
