// What learned codes see of a page: the mean, the least and the greatest of each dimension.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

namespace lathe::runtime {

inline constexpr int64_t kPageFeatures = 3;  ///< numbers for each dimension

/// features [3 * dim] of `keys` keys, of which key(j, d) is dimension d of the j-th. A mean is NaN
/// where one of them is.
inline void page_features(int64_t keys, int64_t dim, auto&& key, std::span<double> features) {
  for (int64_t d = 0; d < dim; ++d) {
    double sum = 0, least = key(0, d), greatest = least;
    for (int64_t j = 0; j < keys; ++j) {
      const double value = key(j, d);
      sum += value;
      least = std::min(least, value);
      greatest = std::max(greatest, value);
    }
    features[static_cast<size_t>(d)] = sum / static_cast<double>(keys);
    features[static_cast<size_t>(dim + d)] = least;
    features[static_cast<size_t>(2 * dim + d)] = greatest;
  }
}

}  // namespace lathe::runtime
