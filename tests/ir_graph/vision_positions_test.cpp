// Patch order and table interpolation of the vision tower.
#include "ir/graph/vision_positions.h"

#include "tests/ir_graph/graph_testing.h"

namespace lathe::ir::graph {
namespace {

TEST(VisionPositions, TwoByTwoBlocksInRasterOrder) {
  const Tensor positions = vision_patch_positions(2, 4).value();
  std::vector<double> found;
  for (int64_t i = 0; i < positions.elements(); ++i) found.push_back(positions.at(i));
  expect_close(found, {0, 0, 0, 1, 1, 0, 1, 1, 0, 2, 0, 3, 1, 2, 1, 3}, 0);
}

TEST(VisionPositions, CornersAreAligned) {
  const BilinearRows rows = bilinear_rows(2, 4, 3).value();
  // Patch (1, 3), the last, is the table's last entry; patch (0, 1) lies two thirds between 0
  // and 1.
  EXPECT_EQ(rows.indices.at(4 * 7), 8);
  EXPECT_EQ(rows.weights.at(4 * 7), 1);
  EXPECT_EQ(rows.indices.at(4 * 1 + 1), 1);
  EXPECT_EQ(rows.weights.at(4 * 1), static_cast<double>(static_cast<float>(1.0 / 3)));
  for (int64_t patch = 0; patch < 8; ++patch) {
    double sum = 0;
    for (int64_t k = 0; k < 4; ++k) sum += rows.weights.at(4 * patch + k);
    EXPECT_NEAR(sum, 1, 1e-7);
  }
}

TEST(VisionPositions, OddGridsAndSidesAreErrors) {
  EXPECT_EQ(vision_patch_positions(3, 4).error().message,
            "found a patch grid of 3 x 4, expected positive multiples of 2 up to 1048576");
  EXPECT_FALSE(vision_patch_positions(0, 4).has_value());
  EXPECT_EQ(bilinear_rows(2, 2, 0).error().message,
            "found a table side of 0, expected 1 to 1048576");
}

}  // namespace
}  // namespace lathe::ir::graph
