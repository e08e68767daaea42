// Golden texts: files under tests/golden that an output is compared with.
#pragma once

#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace lathe::tests {

/// Whether tests/golden/`path` holds exactly `text`; the message shows the first line that differs.
/// With LATHE_UPDATE_GOLDENS=1 in the environment a different file is rewritten and the assertion
/// fails all the same, so that no run that changes goldens passes.
///   EXPECT_TRUE(matches_golden("program/copy.txt", print(program)));
testing::AssertionResult matches_golden(std::string_view path, std::string_view text);

/// The text of a file of this repository, `path` counting from its root; empty when there is none.
std::string read_source(std::string_view path);

}  // namespace lathe::tests
