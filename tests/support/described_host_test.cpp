// A described machine stands in for this one while its scope lasts, and lets no code run that this
// CPU lacks.
#include "support/described_host.h"

#include <gtest/gtest.h>

namespace lathe::support {
namespace {

TEST(DescribedHost, StandsInWhileItLives) {
  const std::string before = host_identity();
  {
    Hardware other = host();
    other.l3_bytes = 12345;
    other.available_memory_bytes = 77;
    const DescribedHost described(other);
    EXPECT_EQ(host().l3_bytes, 12345);
    EXPECT_EQ(available_memory(), 77);
    EXPECT_NE(host_identity(), before);
  }
  EXPECT_EQ(host_identity(), before);
  EXPECT_NE(available_memory(), 77);
}

TEST(DescribedHost, AddsNothingToWhatMayRun) {
  const IsaMask here = host().isa;
  Hardware other = host();
  other.isa.bits = ~std::uint64_t{0};
  {
    const DescribedHost described(other);
    EXPECT_EQ(executable_isa().bits, here.bits);
  }
  other.isa = Isa::sse4_1;
  const DescribedHost described(other);
  EXPECT_EQ(executable_isa().bits, (here & Isa::sse4_1).bits);
}

}  // namespace
}  // namespace lathe::support
