// One row at a time.
#include "ir/row_codes.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace lathe::ir {

float quantize_row(std::span<const float> row, int8_t* codes) {
  float largest = 0;
  bool finite = true;
  for (const float x : row) {
    finite = finite && std::isfinite(x);
    largest = std::max(largest, std::fabs(x));
  }
  const float d = finite ? largest / 127.0F : std::numeric_limits<float>::quiet_NaN();
  const float inverse = 1.0F / d;
  if (!std::isfinite(inverse)) {
    std::fill_n(codes, row.size(), int8_t{0});
    return d;
  }
  // Adding and subtracting 1.5 * 2^23 rounds what is far below 2^22 to nearest even.
  constexpr float kWhole = 0x1.8p23F;
  for (size_t i = 0; i < row.size(); ++i)
    codes[i] = static_cast<int8_t>((row[i] * inverse + kWhole) - kWhole);
  return d;
}

}  // namespace lathe::ir
