// Integers that stand twice: the same answer by every way of looking.
#include "runtime/launch/repeated_element.h"

#include <algorithm>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace lathe::runtime {
namespace {

template <typename T>
std::string text(const std::vector<T>& row, std::optional<int64_t> ignored = -1) {
  const auto found =
      repeated_element(reinterpret_cast<const std::byte*>(row.data()),
                       static_cast<int64_t>(row.size()), static_cast<int>(sizeof(T)), ignored);
  return found ? std::to_string(found->second) + " as " + std::to_string(found->first) : "none";
}

// Pair by pair.
template <typename T>
std::string expected(const std::vector<T>& row) {
  for (size_t second = 0; second < row.size(); ++second)
    for (size_t first = 0; first < second; ++first)
      if (row[first] == row[second] && row[second] != -1)
        return std::to_string(second) + " as " + std::to_string(first);
  return "none";
}

TEST(RepeatedElement, FewElements) {
  EXPECT_EQ(text(std::vector<int32_t>{}), "none");
  EXPECT_EQ(text(std::vector<int32_t>{4}), "none");
  EXPECT_EQ(text(std::vector<int32_t>{4, 7, 4}), "2 as 0");
  EXPECT_EQ(text(std::vector<int64_t>{-1, 7, -1}), "none");
  EXPECT_EQ(text(std::vector<int64_t>{-1, 7, -1}, std::nullopt), "2 as 0");
}

// Near each other, far apart, and over all of 64 bits.
TEST(RepeatedElement, ManyElements) {
  std::mt19937_64 random(1);
  for (const int64_t step : {int64_t{1}, int64_t{3}, int64_t{100'000}, int64_t{1} << 56}) {
    for (const size_t count : {16, 17, 100}) {
      std::vector<int64_t> row;
      for (size_t i = 0; i < count; ++i) row.push_back((static_cast<int64_t>(i) - 20) * step);
      std::shuffle(row.begin(), row.end(), random);
      row[3] = row[5] = -1;
      EXPECT_EQ(text(row), "none") << step;
      for (int twice = 0; twice < 5; ++twice) {
        row[random() % count] = row[random() % count];
        EXPECT_EQ(text(row), expected(row)) << step;
      }
    }
  }
  EXPECT_EQ(text(std::vector<int64_t>(40, -1)), "none");
}

}  // namespace
}  // namespace lathe::runtime
