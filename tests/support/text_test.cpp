// Control characters of text from elsewhere, in every encoding that a terminal knows.
#include "support/text.h"

#include <gtest/gtest.h>

namespace lathe::support {
namespace {

TEST(Text, PrintableTextStaysAsItIs) {
  for (const char* text : {"", "tile=4 vectors=3", "1.31× über", "≠ ≤ …"}) {
    EXPECT_TRUE(is_printable(text)) << text;
    EXPECT_EQ(printable(text), text);
  }
}

TEST(Text, ControlCharactersAreEscaped) {
  EXPECT_EQ(printable("a\x1b[2Jb"), "a\\x1b[2Jb");
  EXPECT_EQ(printable("a\r\n\t\x7f"), "a\\x0d\\x0a\\x09\\x7f");
  EXPECT_EQ(printable(std::string_view("\0", 1)), "\\x00");
  EXPECT_EQ(printable("\xc2\x9b"
                      "31m\xc2\xa0"),
            "\\xc2\\x9b31m\xc2\xa0");
  for (const char* text : {"\x1b", "x\x07", "\xc2\x80", "\xc2\x9f"})
    EXPECT_FALSE(is_printable(text));
}

}  // namespace
}  // namespace lathe::support
