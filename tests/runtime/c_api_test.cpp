// Runs the checks that are written in C.
#include <gtest/gtest.h>

#include "tests/temporary_folder.h"

extern "C" int c_api_failures(const char* folder);
extern "C" int c_attention_failures(const char* folder);
extern "C" int c_graph_failures(void);

TEST(CInterface, FromC) {
  const lathe::tests::TemporaryFolder folder;
  EXPECT_EQ(c_api_failures(folder.path().c_str()), 0);
}

TEST(CInterface, AttentionFromC) {
  const lathe::tests::TemporaryFolder folder;
  EXPECT_EQ(c_attention_failures(folder.path().c_str()), 0);
}

TEST(CInterface, GraphsFromC) { EXPECT_EQ(c_graph_failures(), 0); }
