// Listings: parsing, and bounds against ones reckoned by hand.
#include "bench/listings/listing.h"

#include <gtest/gtest.h>

namespace lathe::bench {
namespace {

double cycles(std::string_view text, std::string_view cpu) {
  const auto parts = parse_listing(text);
  EXPECT_TRUE(parts.has_value()) << parts.error().message;
  const auto bound = bound_cycles(*parts, cpu);
  EXPECT_TRUE(bound.has_value()) << bound.error().message;
  return *bound;
}

TEST(Listing, PortsShareWhatMayGoToEither) {
  // Four uops for ports 0 and 1, one for 0, 1 and 5, one for 5 alone.
  const char* text = "a ; fma\nb ; mul\nc ; shift\nd ; minmax\ne ; ialu\nf ; lookup\n";
  EXPECT_DOUBLE_EQ(cycles(text, "skylake"), 2.0);
  EXPECT_DOUBLE_EQ(cycles(text, "zen4"), 1.5);  // six uops over four ports
}

TEST(Listing, TheMostCrowdedPortDecides) {
  EXPECT_DOUBLE_EQ(cycles("a ; lookup\nb ; lookup\nc ; fma\n", "skylake"), 2.0);
  EXPECT_DOUBLE_EQ(cycles("a ; add\nb ; add\nc ; fma\n", "haswell"), 2.0);
}

TEST(Listing, TheDividerBoundsToo) {
  EXPECT_DOUBLE_EQ(cycles("a ; div\nb ; fma\n", "skylake"), 5.0);
  EXPECT_DOUBLE_EQ(cycles("a ; div\n", "haswell"), 14.0);
}

TEST(Listing, PartsAddUpAndMemoryIsFree) {
  EXPECT_DOUBLE_EQ(
      cycles("loop a\nx ; mul\ny ; load\nloop b\nx ; fma\ny ; store\nz ; move\n", "skylake"), 1.0);
}

TEST(Listing, RefusesWhatItDoesNotKnow) {
  const auto no_class = parse_listing("# comment\nvaddps ymm0, ymm1, ymm2\n");
  ASSERT_FALSE(no_class.has_value());
  EXPECT_EQ(no_class.error().code, ErrorCode::parse_error);
  EXPECT_NE(no_class.error().message.find("line 2"), std::string::npos);
  const auto bad_class = parse_listing("vaddps ymm0, ymm1, ymm2 ; sum\n");
  ASSERT_FALSE(bad_class.has_value());
  EXPECT_NE(bad_class.error().message.find("'sum'"), std::string::npos);
  EXPECT_FALSE(parse_listing("").has_value());
  const auto cpu = bound_cycles(*parse_listing("a ; fma\n"), "z80");
  ASSERT_FALSE(cpu.has_value());
  EXPECT_EQ(cpu.error().code, ErrorCode::not_found);
  const auto file = listing_cycles("bench/listings/none.s", "zen4");
  ASSERT_FALSE(file.has_value());
  EXPECT_EQ(file.error().code, ErrorCode::io_error);
}

TEST(Listing, EveryCommittedListingHasABoundOnEveryMachine) {
  for (const char* name : {"silu", "softmax", "gelu_tanh", "gelu_erf", "swiglu"})
    for (const std::string_view cpu : known_microarchitectures()) {
      const auto bound = listing_cycles(std::string("bench/listings/") + name + ".s", cpu);
      ASSERT_TRUE(bound.has_value()) << bound.error().message;
      EXPECT_GT(*bound, 3.0) << name << " on " << cpu;
      EXPECT_LT(*bound, 25.0) << name << " on " << cpu;
    }
}

}  // namespace
}  // namespace lathe::bench
