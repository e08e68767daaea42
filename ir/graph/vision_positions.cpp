// Patch order of the vision tower and interpolation of its learned position table.
#include "ir/graph/vision_positions.h"

#include <algorithm>

namespace lathe::ir::graph {
namespace {

constexpr int64_t kMaxSide = int64_t{1} << 20;

Status check_grid(int64_t h, int64_t w, int64_t merge) {
  const bool valid = merge > 0 && h > 0 && w > 0 && h <= kMaxSide && w <= kMaxSide &&
                     h % merge == 0 && w % merge == 0;
  if (valid) return {};
  return fail(ErrorCode::invalid_argument,
              "found a patch grid of {} x {}, expected positive multiples of {} up to {}", h, w,
              merge, kMaxSide);
}

// Calls f(row, column) in merge-block-major order.
template <typename F>
void for_each_patch(int64_t h, int64_t w, int64_t merge, F f) {
  for (int64_t block_row = 0; block_row < h; block_row += merge) {
    for (int64_t block_column = 0; block_column < w; block_column += merge) {
      for (int64_t row = block_row; row < block_row + merge; ++row) {
        for (int64_t column = block_column; column < block_column + merge; ++column) f(row, column);
      }
    }
  }
}

// Where position `i` of `n` falls between two of `side` entries with both ends aligned.
struct Between {
  int64_t low;
  int64_t high;
  double fraction;
};

Between interpolate(int64_t i, int64_t n, int64_t side) {
  const double at =
      static_cast<double>(i * (side - 1)) / static_cast<double>(std::max<int64_t>(n - 1, 1));
  const auto low = static_cast<int64_t>(at);
  return {low, std::min(low + 1, side - 1), at - static_cast<double>(low)};
}

}  // namespace

Result<Tensor> vision_patch_positions(int64_t h, int64_t w, int64_t merge) {
  LATHE_CHECK(check_grid(h, w, merge));
  Tensor positions(Type::i64, {h * w, 2});
  auto out = positions.as<int64_t>().begin();
  for_each_patch(h, w, merge, [&](int64_t row, int64_t column) {
    *out++ = row;
    *out++ = column;
  });
  return positions;
}

Result<BilinearRows> bilinear_rows(int64_t h, int64_t w, int64_t side, int64_t merge) {
  LATHE_CHECK(check_grid(h, w, merge));
  if (side < 1 || side > kMaxSide) {
    return fail(ErrorCode::invalid_argument, "found a table side of {}, expected 1 to {}", side,
                kMaxSide);
  }
  BilinearRows rows{Tensor(Type::i64, {h * w, 4}), Tensor(Type::f32, {h * w, 4})};
  auto index = rows.indices.as<int64_t>().begin();
  auto weight = rows.weights.as<float>().begin();
  const auto corner = [&](int64_t y, int64_t x, double product) {
    *index++ = y * side + x;
    *weight++ = static_cast<float>(product);
  };
  for_each_patch(h, w, merge, [&](int64_t row, int64_t column) {
    const Between y = interpolate(row, h, side);
    const Between x = interpolate(column, w, side);
    corner(y.low, x.low, (1 - y.fraction) * (1 - x.fraction));
    corner(y.low, x.high, (1 - y.fraction) * x.fraction);
    corner(y.high, x.low, y.fraction * (1 - x.fraction));
    corner(y.high, x.high, y.fraction * x.fraction);
  });
  return rows;
}

}  // namespace lathe::ir::graph
