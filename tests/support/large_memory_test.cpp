// Large arrays are aligned, writable to their last byte, and refused where they cannot be.
#include "support/large_memory.h"

#include <cstring>
#include <vector>

#include <gtest/gtest.h>

namespace lathe::support {
namespace {

TEST(LargeMemory, IsAlignedAndWhole) {
  for (const size_t bytes : {size_t{1}, size_t{63}, size_t{4097}, kLargeBytes - 1, kLargeBytes,
                             kLargeBytes + 1, 3 * kLargeBytes - 5}) {
    auto* memory = static_cast<unsigned char*>(allocate_large(bytes));
    ASSERT_NE(memory, nullptr) << bytes;
    EXPECT_EQ(reinterpret_cast<uintptr_t>(memory) % 64, 0U) << bytes;
    std::memset(memory, 0x5a, bytes);
    EXPECT_EQ(memory[bytes - 1], 0x5a);
    free_large(memory, bytes);
  }
}

TEST(LargeMemory, ServesContainers) {
  std::vector<int, LargeAllocator<int>> numbers(2 << 20, 7);
  numbers.resize(3 << 20, 8);
  EXPECT_EQ(numbers.front(), 7);
  EXPECT_EQ(numbers.back(), 8);
}

TEST(LargeMemory, RefusesWhatCannotBe) {
  EXPECT_EQ(allocate_large(SIZE_MAX - 8), nullptr);
  EXPECT_THROW(LargeAllocator<double>().allocate(SIZE_MAX / 4), std::bad_array_new_length);
}

}  // namespace
}  // namespace lathe::support
