// Runs the checks that are written in C.
#include <gtest/gtest.h>

extern "C" int c_api_failures(void);

TEST(CInterface, FromC) { EXPECT_EQ(c_api_failures(), 0); }
