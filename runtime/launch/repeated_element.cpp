// Pair by pair, by a bit for each number, or by sorting.
#include "runtime/launch/repeated_element.h"

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

namespace lathe::runtime {
namespace {

// Up to so many are compared pair by pair.
constexpr int64_t kFew = 16;
// Bits that are worth one element's share of a sort.
constexpr int64_t kBitsForEach = 64;

class Row {
 public:
  Row(const std::byte* row, int size, std::optional<int64_t> ignored)
      : row_(row), size_(size), ignored_(ignored) {}
  int64_t at(int64_t place) const {
    if (size_ == 8) return reinterpret_cast<const int64_t*>(row_)[place];
    return reinterpret_cast<const int32_t*>(row_)[place];
  }
  bool counts(int64_t number) const { return !ignored_ || number != *ignored_; }

 private:
  const std::byte* row_;
  int size_;
  std::optional<int64_t> ignored_;
};

std::optional<Repetition> by_pairs(const Row& row, int64_t count) {
  for (int64_t second = 1; second < count; ++second) {
    const int64_t number = row.at(second);
    for (int64_t first = 0; first < second && row.counts(number); ++first)
      if (row.at(first) == number) return Repetition{first, second};
  }
  return std::nullopt;
}

std::optional<Repetition> by_sorting(const Row& row, int64_t count) {
  std::vector<std::pair<int64_t, int64_t>> places;  // a number, where it stands
  for (int64_t i = 0; i < count; ++i)
    if (row.counts(row.at(i))) places.emplace_back(row.at(i), i);
  std::sort(places.begin(), places.end());
  std::optional<Repetition> found;
  for (size_t i = 1; i < places.size(); ++i) {
    if (places[i].first != places[i - 1].first) continue;
    if (!found || places[i].second < found->second)
      found = Repetition{places[i - 1].second, places[i].second};
  }
  return found;
}

// Whether no number stands twice, by a bit for each of those between the least and the largest.
bool all_differ(const Row& row, int64_t count, int64_t least, int64_t numbers) {
  thread_local std::vector<uint64_t> seen;
  seen.assign(static_cast<size_t>(numbers / 64 + 1), 0);
  for (int64_t i = 0; i < count; ++i) {
    const int64_t number = row.at(i);
    if (!row.counts(number)) continue;
    const auto bit = static_cast<uint64_t>(number - least);
    uint64_t& word = seen[bit / 64];
    const uint64_t mask = uint64_t{1} << (bit % 64);
    if ((word & mask) != 0) return false;
    word |= mask;
  }
  return true;
}

}  // namespace

std::optional<Repetition> repeated_element(const std::byte* row_start, int64_t count, int size,
                                           std::optional<int64_t> ignored) {
  const Row row(row_start, size, ignored);
  if (count <= kFew) return by_pairs(row, count);
  int64_t least = std::numeric_limits<int64_t>::max();
  int64_t largest = std::numeric_limits<int64_t>::min();
  for (int64_t i = 0; i < count; ++i) {
    const int64_t number = row.at(i);
    if (!row.counts(number)) continue;
    least = std::min(least, number);
    largest = std::max(largest, number);
  }
  if (least > largest) return std::nullopt;
  int64_t numbers = 0;
  const bool are_near =
      !__builtin_sub_overflow(largest, least, &numbers) && numbers / kBitsForEach < count;
  if (are_near && all_differ(row, count, least, numbers + 1)) return std::nullopt;
  return by_sorting(row, count);
}

}  // namespace lathe::runtime
