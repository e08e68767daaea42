// Folding vectors into each other: within each four lanes where that is possible, as moves between
// fours are slower.
#include "compiler/kernels/attention/lane_sums.h"

#include <bit>
#include <cassert>

namespace lathe::compiler::kernels::attention {

using ir::program::Builder;
using ir::program::Vec;

namespace {

using Pattern = std::vector<uint8_t>;

// Of a ++ b, whose lanes hold sums in runs of 2 · unit lanes: the first half of each run, or the
// second. Runs of both are there, none behind another one's halves.
Pattern half_runs(int lanes, int unit, int second) {
  Pattern pattern;
  for (int i = 0; i < lanes; ++i) {
    if (unit >= 4 || lanes < 4) {
      const int run = i / unit;
      pattern.push_back(static_cast<uint8_t>((2 * run + second) * unit + i % unit));
      continue;
    }
    // Within four lanes the first two come from a, the last two from b.
    const int quad = i / 4 * 4, of_pair = i % 2, from_b = i % 4 / 2;
    const int lane = unit == 2 ? 2 * second + of_pair : 2 * of_pair + second;
    pattern.push_back(static_cast<uint8_t>(from_b * lanes + quad + lane));
  }
  return pattern;
}

}  // namespace

LaneSums lane_sums(Builder& b, std::vector<Vec> vectors) {
  const int lanes = b.lanes();
  assert(std::has_single_bit(vectors.size()) && static_cast<int>(vectors.size()) <= lanes);
  // Which vector each lane's part belongs to, for every vector that is left.
  std::vector<std::vector<size_t>> owners;
  for (size_t i = 0; i < vectors.size(); ++i) owners.emplace_back(static_cast<size_t>(lanes), i);
  int unit = lanes / 2;
  for (; vectors.size() > 1; unit /= 2) {
    const Pattern first = half_runs(lanes, unit, 0), second = half_runs(lanes, unit, 1);
    std::vector<Vec> folded;
    std::vector<std::vector<size_t>> folded_owners;
    for (size_t i = 0; i < vectors.size(); i += 2) {
      const Vec x = vectors[i], y = vectors[i + 1];
      folded.push_back(b.shuffle(x, y, first) + b.shuffle(x, y, second));
      std::vector<size_t> owner;
      for (const size_t from : first) {
        const auto of = static_cast<size_t>(lanes);
        owner.push_back(owners[i + from / of][from % of]);
      }
      folded_owners.push_back(std::move(owner));
    }
    vectors = std::move(folded);
    owners = std::move(folded_owners);
  }
  // What is left of each sum lies side by side.
  Vec sums = vectors.front();
  for (; unit >= 1; unit /= 2) {
    Pattern other;
    for (int i = 0; i < lanes; ++i) other.push_back(static_cast<uint8_t>(i ^ unit));
    sums = sums + b.permute(sums, other);
  }
  return {sums, owners.front()};
}

}  // namespace lathe::compiler::kernels::attention
