// Tiles by what they multiply for each load.
#include "compiler/kernels/product/tiles.h"

#include <algorithm>
#include <utility>

namespace lathe::compiler::kernels::product {
namespace {

// Numbers of rows. Each has code of its own, and narrow lanes need many instructions for each row.
std::vector<int64_t> numbers_of_rows(Elements elements, int64_t lanes, int64_t most_rows) {
  const bool of_floats = elements == Elements::floats;
  const int64_t widest = elements == Elements::blocks ? 12 : 14;
  const int64_t most = lanes >= 8 ? widest : !of_floats ? lanes : lanes >= 4 ? 6 : 2;
  std::vector<int64_t> numbers = {1, 2, 3, 4, 5, 6, 8, 10, 12, 14};
  if (of_floats) numbers = {1, 2, 3, 4, 5, 6, 7, 9, 12, 14};
  std::erase_if(numbers, [&](int64_t mr) { return mr > std::min(most, most_rows); });
  return numbers;
}

// What a tile multiplies for what it loads, and what decides between equals. Floats: as far as
// loads are what limits it, for cores start as many of either in a cycle; then most sums. Blocks:
// to decode a vector of w costs as much as half of its products with a row, so rows come first.
std::pair<double, double> worth(const Product& product, const TileShape& shape) {
  constexpr double kEnoughForLoads = 1.5;
  const auto mr = static_cast<double>(shape.mr), nr = static_cast<double>(shape.nr);
  switch (product.elements()) {
    case Elements::floats: return {std::min(mr * nr / (mr + nr), kEnoughForLoads), mr * nr};
    case Elements::blocks: return {mr, product.rows.high == 1 ? nr : -nr};
    default: return {mr * nr / (mr + nr), -mr};
  }
}

}  // namespace

Tiles choose_tiles(const Product& product, const Target& target,
                   const std::vector<int64_t>& vectors, int64_t columns, bool expanded,
                   bool may_expand) {
  const Elements elements = product.elements();
  Tiles tiles;
  tiles.arithmetic = arithmetic_of(product, target);
  tiles.reuse = product.rows.low >= (elements == Elements::floats ? kSomeRows : kManyRows);
  tiles.mr = numbers_of_rows(elements, target.lanes, product.rows.high);
  for (const int64_t nr : vectors)
    if (tiles.arithmetic->fits({1, nr, 1, 1, may_expand})) tiles.nr.push_back(nr);
  std::pair<double, double> most;
  for (const int64_t nr : tiles.nr) {
    const int64_t width = nr * target.lanes;
    const int64_t real = columns == 0 ? width : columns;
    const int64_t multiplied = (real + width - 1) / width * width;
    const double used = static_cast<double>(real) / static_cast<double>(multiplied);
    for (const int64_t mr : tiles.mr) {
      const TileShape shape{mr, nr, 1, 1, expanded};
      auto here = worth(product, shape);
      here.first *= used;
      if (here <= most || !tiles.arithmetic->fits(shape)) continue;
      most = here;
      tiles.usual = shape;
    }
  }
  std::erase_if(tiles.mr, [&](int64_t mr) {
    const bool few = tiles.reuse && elements != Elements::blocks && 2 * mr < tiles.usual.mr;
    return few || !tiles.arithmetic->fits({mr, tiles.nr.front(), 1, 1, may_expand});
  });
  return tiles;
}

}  // namespace lathe::compiler::kernels::product
