// The shapes by what they multiply for each load.
#include "compiler/kernels/tile_shape.h"

#include <algorithm>
#include <array>

namespace lathe::compiler::kernels {
namespace {

// Products for each load that leave loads idle: cores start as many of either in a cycle.
constexpr double kEnoughForLoads = 1.5;

constexpr std::array<int64_t, 10> kTiles = {1, 2, 3, 4, 5, 6, 7, 9, 12, 14};

}  // namespace

int64_t most_tile_rows(const ir::Target& target) {
  return target.lanes >= 8 ? kTiles.back() : target.lanes >= 4 ? 6 : 2;
}

TileShape best_shape(const TileRegisters& registers, const std::vector<int64_t>& vectors,
                     int64_t most_rows, int64_t columns, int lanes) {
  TileShape best;
  double most = 0;
  for (const int64_t v : vectors) {
    const int64_t width = v * lanes;
    const double used = columns == 0
                            ? 1
                            : static_cast<double>(columns) /
                                  static_cast<double>((columns + width - 1) / width * width);
    for (const int64_t tile : kTiles) {
      if (tile > most_rows || !registers.fit(tile, v, 1, 1)) continue;
      const double ratio = static_cast<double>(tile * v) / static_cast<double>(tile + v);
      const double worth = used * std::min(ratio, kEnoughForLoads);
      const TileShape shape{tile, v};
      if (worth > most || (worth == most && shape.sums() > best.sums())) {
        most = worth;
        best = shape;
      }
    }
  }
  return best;
}

std::vector<int64_t> tile_rows(const TileRegisters& registers, int64_t least_vectors,
                               const TileShape& best, const Bucket& rows,
                               const ir::Target& target) {
  std::vector<int64_t> tiles;
  for (const int64_t tile : kTiles) {
    if (tile > std::min(rows.high, most_tile_rows(target))) continue;
    if (!registers.fit(tile, least_vectors, 1, 1)) continue;
    if (rows.low < 8 || 2 * tile >= best.tile) tiles.push_back(tile);
  }
  return tiles;
}

}  // namespace lathe::compiler::kernels
