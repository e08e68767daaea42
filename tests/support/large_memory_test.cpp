// Large arrays are aligned, writable to their last byte, and refused where they cannot be.
#include "support/large_memory.h"

#include <cstring>
#include <memory>
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

TEST(LargeMemory, SharesMappingsAmongArraysThatLiveOnWithoutEachOther) {
  constexpr size_t kBytes = (size_t{1} << 20) + 7;
  std::vector<std::shared_ptr<void>> arrays;
  for (size_t i = 0; i < 3 * (kSlabBytes / kBytes); ++i) {
    arrays.push_back(share_large(kBytes));
    ASSERT_NE(arrays.back(), nullptr);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(arrays.back().get()) % 64, 0U);
    std::memset(arrays.back().get(), static_cast<int>(i), kBytes);
    if (i % 2 == 1) arrays[i - 1].reset();
  }
  for (size_t i = 1; i < arrays.size(); i += 2) {
    const auto* bytes = static_cast<const unsigned char*>(arrays[i].get());
    EXPECT_EQ(bytes[0], static_cast<unsigned char>(i));
    EXPECT_EQ(bytes[kBytes - 1], static_cast<unsigned char>(i));
  }
  for (const size_t bytes : {size_t{1}, kLeastSlabArray - 1, kSlabBytes, 2 * kSlabBytes}) {
    const auto alone = share_large(bytes);
    ASSERT_NE(alone, nullptr);
    std::memset(alone.get(), 1, bytes);
  }
}

TEST(LargeMemory, RefusesWhatCannotBe) {
  EXPECT_EQ(share_large(SIZE_MAX - 8), nullptr);
  EXPECT_EQ(allocate_large(SIZE_MAX - 8), nullptr);
  EXPECT_THROW(LargeAllocator<double>().allocate(SIZE_MAX / 4), std::bad_array_new_length);
}

}  // namespace
}  // namespace lathe::support
