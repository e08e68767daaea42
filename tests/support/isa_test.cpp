// Masks of instruction-set extensions.
#include "support/isa.h"

#include <set>

#include <gtest/gtest.h>

namespace lathe::support {
namespace {

TEST(Isa, ContainsAndWithout) {
  const IsaMask haswell = Isa::avx | Isa::avx2 | IsaMask(Isa::fma);
  EXPECT_TRUE(haswell.contains(Isa::avx2));
  EXPECT_TRUE(haswell.contains(Isa::avx | Isa::fma));
  EXPECT_FALSE(haswell.contains(Isa::avx2 | Isa::avx512f));
  EXPECT_TRUE(haswell.contains(IsaMask()));
  EXPECT_EQ(haswell.without(Isa::fma), Isa::avx | Isa::avx2);
  EXPECT_TRUE(IsaMask().empty());
}

TEST(Isa, TextRoundTripOfEveryExtension) {
  std::set<std::string_view> names;
  for (const Isa isa : all_isa()) {
    EXPECT_TRUE(names.insert(to_string(isa)).second) << to_string(isa);
    const auto parsed = parse_isa_mask(to_string(isa));
    ASSERT_TRUE(parsed) << to_string(isa);
    EXPECT_EQ(*parsed, IsaMask(isa));
  }
  IsaMask all;
  for (const Isa isa : all_isa()) all |= isa;
  EXPECT_EQ(*parse_isa_mask(to_string(all)), all);
}

TEST(Isa, TextIsOrderedAndKeepsUnknownBits) {
  EXPECT_EQ(to_string(IsaMask(Isa::avx2) | Isa::sse4_1), "sse4_1+avx2");
  EXPECT_EQ(to_string(IsaMask()), "none");
  EXPECT_EQ(*parse_isa_mask("none"), IsaMask());
  const IsaMask from_the_future(std::uint64_t{1} << 63 | 1);
  EXPECT_EQ(to_string(from_the_future), "sse3+bit63");
  EXPECT_EQ(*parse_isa_mask("bit63+sse3"), from_the_future);
}

// Stored identities hold these numbers: a change would make every record invisible.
TEST(Isa, BitsAreFrozen) {
  EXPECT_EQ(IsaMask(Isa::sse3).bits, 1u);
  EXPECT_EQ(IsaMask(Isa::avx2).bits, 0x100u);
  EXPECT_EQ(IsaMask(Isa::avx512_fp16).bits, 0x200000u);
  EXPECT_EQ(IsaMask(Isa::neon).bits, 0x10000000000u);
}

TEST(Isa, UnknownNameIsLocated) {
  for (const char* text : {"avx9", "avx+", "+avx", "", "avx2 fma", "bit64", "bit-1"}) {
    const auto parsed = parse_isa_mask(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code, ErrorCode::parse_error);
    EXPECT_NE(parsed.error().message.find("unknown instruction-set extension"), std::string::npos);
  }
}

}  // namespace
}  // namespace lathe::support
