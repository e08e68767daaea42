// Evicting memory changes nothing that it holds.
#include "support/evict.h"

#include <cstdint>
#include <vector>

#include <gtest/gtest.h>

namespace lathe::support {
namespace {

TEST(Evict, KeepsWhatWasWritten) {
  if (!can_evict()) GTEST_SKIP() << "this architecture cannot evict";
  std::vector<uint8_t> memory(4096);
  for (size_t begin : {size_t{0}, size_t{1}, size_t{63}, size_t{64}, size_t{100}}) {
    for (size_t bytes : {size_t{0}, size_t{1}, size_t{64}, size_t{65}, memory.size() - begin}) {
      for (size_t i = 0; i < memory.size(); ++i) memory[i] = static_cast<uint8_t>(i + bytes);
      evict(memory.data() + begin, bytes);
      for (size_t i = 0; i < memory.size(); ++i)
        ASSERT_EQ(memory[i], static_cast<uint8_t>(i + bytes)) << i;
    }
  }
}

TEST(Evict, TakesAnyAddressOfNoBytes) { evict(nullptr, 0); }

}  // namespace
}  // namespace lathe::support
