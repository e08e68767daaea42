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

/// Whether the Markdown document at `path`, counting from this repository's root, has exactly this
/// table, which is found by its first line. Updated as matches_golden() does.
///   EXPECT_TRUE(document_has_table("docs/kernels.md", compiler::describe_catalogue()));
testing::AssertionResult document_has_table(std::string_view path, std::string_view table);

/// The same for a document that is nothing but `text`.
testing::AssertionResult document_is(std::string_view path, std::string_view text);

/// The text of a file of this repository, `path` counting from its root; empty when there is none.
std::string read_source(std::string_view path);

}  // namespace lathe::tests
