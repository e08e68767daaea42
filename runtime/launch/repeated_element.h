// Integers that must differ: where one stands a second time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

namespace lathe::runtime {

/// Places in a row of integers that hold the same number.
struct Repetition {
  int64_t first = 0, second = 0;
};

/// The first place whose number stands at an earlier one, too, with that earlier one. The row has
/// `count` elements of `size` bytes (4 or 8); those that are `ignored` may stand anywhere.
/// Thread-safe. Time is linear in the count where the numbers are near each other, as slots of a
/// cache are; else it sorts them.
std::optional<Repetition> repeated_element(const std::byte* row, int64_t count, int size,
                                           std::optional<int64_t> ignored);

}  // namespace lathe::runtime
