// XXH3's published values: stored checksums depend on them.
#include "support/hash.h"

#include <gtest/gtest.h>

namespace lathe::support {
namespace {

TEST(Hash, IsXxh3) {
  EXPECT_EQ(hash64(""), 0x2d06800538d394c2u);
  EXPECT_EQ(hash64("a"), 0xe6c632b61e964e1fu);
  EXPECT_EQ(hash64("abc"), 0x78af5f94892f3950u);
}

TEST(Hash, SeesEveryByte) {
  std::string text(300, 'x');
  const std::uint64_t before = hash64(text);
  for (const std::size_t at :
       {std::size_t{0}, std::size_t{17}, std::size_t{240}, text.size() - 1}) {
    std::string changed = text;
    changed[at] = 'y';
    EXPECT_NE(hash64(changed), before) << at;
  }
  EXPECT_NE(hash64(std::string_view("a\0b", 3)), hash64("a"));
}

}  // namespace
}  // namespace lathe::support
