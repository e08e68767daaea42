// Finds bytes that one parallel iteration writes and another reads or writes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace lathe::ir::plan {

/// Shadows memory byte by byte with the iterations that touched it. Operands may overlap each
/// other: what counts is the address. Not thread-safe.
class RaceCheck {
 public:
  /// Memory that may be written. All must be watched before the first access.
  void watch(const std::byte* data, int64_t bytes);

  /// A conflict: the iterations are numbers within the loop nest, in order of execution.
  struct Race {
    int64_t first = 0, second = 0;
    bool first_writes = false, second_writes = false;
    int64_t offset = 0, bytes = 0;  ///< from the start of the access
  };

  void begin_loop();
  void begin_iteration();
  std::optional<Race> read(const std::byte* at, int64_t bytes);
  std::optional<Race> wrote(const std::byte* at, int64_t bytes);

 private:
  // Iteration numbers run on from loop to loop, so that older ones are recognised as stale. Of the
  // readers two different ones are enough: one of them is not the writer.
  struct Byte {
    uint32_t writer = 0, reader = 0, other_reader = 0;
  };
  struct Region {
    const std::byte* begin;
    const std::byte* end;
    std::vector<Byte> shadow;
  };

  Byte* shadow(const std::byte* at);
  template <typename F>
  std::optional<Race> scan(const std::byte* at, int64_t bytes, bool writes, F conflict);

  std::vector<Region> regions_;  // disjoint, by address
  uint32_t now_ = 0;             // the running iteration
  uint32_t first_ = 1;           // the first of the running loop
};

}  // namespace lathe::ir::plan
