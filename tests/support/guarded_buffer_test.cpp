// Guard pages fault, and damage to the filler beside the data is seen.
#include "tests/support/guarded_buffer.h"

#include <gtest/gtest.h>

namespace lathe::tests {
namespace {

using Side = GuardedBuffer::Side;

void write(std::byte* at) { *static_cast<volatile std::byte*>(at) = std::byte{1}; }

TEST(GuardedBufferDeathTest, AccessesPastTheGuardedEndFault) {
  GuardedBuffer after(100), before(100, Side::before);
  EXPECT_DEATH(write(after.data() + 100), "");
  EXPECT_DEATH(write(before.data() - 1), "");
  write(after.data() + 99);
  write(before.data());
  EXPECT_TRUE(after.intact());
  EXPECT_TRUE(before.intact());
}

TEST(GuardedBuffer, DamageAtTheOtherEndIsSeen) {
  GuardedBuffer after(100), before(100, Side::before);
  write(after.data() - 1);
  write(before.data() + 100);
  EXPECT_FALSE(after.intact());
  EXPECT_FALSE(before.intact());
}

TEST(GuardedBuffer, KeepsTheAlignmentAskedFor) {
  for (const size_t bytes : {size_t{0}, size_t{1}, size_t{100}, size_t{4096}, size_t{5000}}) {
    GuardedBuffer buffer(bytes, Side::after, 64);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % 64, 0u) << bytes;
    EXPECT_EQ(buffer.size(), bytes);
  }
}

}  // namespace
}  // namespace lathe::tests
