// Which schedules a product has: register tiles that reuse what they load, blocks for the caches.
//
// Knobs have the names of Goto and van de Geijn (2008): mr, nr, mc, nc and kc. Records from before
// they had are read by store/renamed_knobs.h.
#include <algorithm>
#include <set>

#include "compiler/kernels/product/tiles.h"

namespace lathe::compiler::kernels::product {
namespace {

using Numbers = std::vector<int64_t>;

constexpr const char* kFits = "the tile's sums and a step's operands must fit the vector registers";
constexpr const char* kDepth = "steps of k in a block; 0: all of k";

// Parts of each sum, as many as make enough sums to keep the multipliers busy.
void add_chains(SearchSpace& space, const Tiles& tiles) {
  constexpr int64_t kEnoughSums = 8;
  const TileShape& usual = tiles.usual;
  Numbers chains = {1};
  for (const int64_t more : {2, 4})
    if (!tiles.reuse && tiles.arithmetic->fits({1, tiles.nr.front(), 1, more}))
      chains.push_back(more);
  int64_t usual_chains = 1;
  for (const int64_t more : chains)
    if (usual.sums() * usual_chains < kEnoughSums &&
        tiles.arithmetic->fits({usual.mr, usual.nr, 1, more}))
      usual_chains = more;
  space.knob("chains", chains, usual_chains,
             "parts of each sum, so that it does not wait for itself");
}

// Many rows: y keeps the sums between blocks. A few rows go through each panel block by block, so
// that w comes at an even pace.
void add_depth(SearchSpace& space, const Product& p, const Target& target) {
  const bool many = p.rows.low >= kManyRows, few = p.rows.low < kSomeRows;
  const bool keeps_partial = p.out == Type::f32 && !p.pair;
  Numbers depths;
  for (const int64_t depth : many ? Numbers{512, 1024, 2048} : Numbers{64, 512}) {
    const bool possible = many ? keeps_partial : !few && p.k % depth == 0;
    if (possible && depth < p.k) depths.push_back(depth);
  }
  // 16-bit weights gain nothing by the even pace, on any kind of machine that was searched, but for
  // pairs with AVX2, whose tiles hold few sums.
  const bool gains = p.weight == Type::f32 || (p.pair && target.lanes < 16);
  const bool paced = !many && !few && gains && !depths.empty() && depths.front() == 64;
  depths.push_back(0);
  space.knob("kc", depths, paced ? 64 : 0, kDepth);
}

}  // namespace

SearchSpace packed_space(const Product& p, const Target& target) {
  SearchSpace space;
  const bool of_floats = p.elements() == Elements::floats;
  const bool many = p.rows.low >= kManyRows, few = p.rows.low < kSomeRows;
  // Many rows always widen a panel ahead: each tile would do it again. Fewer lose by it what they
  // gain (channels: 1.16 of the time for 16 rows, 1.02 for 31).
  const bool may_expand = !few && arithmetic_of(p, target)->widens();
  const int64_t panel_vectors = std::max<int64_t>(p.panel / target.lanes, 1);
  Numbers vectors;
  for (int64_t v = 1; v <= panel_vectors; ++v)
    if (panel_vectors % v == 0) vectors.push_back(v);
  const Tiles tiles = choose_tiles(p, target, vectors, 0, may_expand && many, may_expand);
  const auto& arithmetic = tiles.arithmetic;
  space.knob("mr", tiles.mr, tiles.usual.mr, "rows of the register tile");
  space.knob("nr", tiles.nr, tiles.usual.nr, "vectors of a panel that a tile multiplies at once");
  // Panels one after the other, by measurement: far ahead of a single stream, prefetching finds the
  // memory's whole bandwidth.
  Numbers streams = {1};
  for (const int64_t more : {2, 4})
    if (!tiles.reuse && !may_expand && !p.pair && arithmetic->fits({1, panel_vectors, more}))
      streams.push_back(more);
  space.knob("streams", streams, 1, "panels of w that a tile reads side by side");
  if (of_floats) {
    add_chains(space, tiles);
    space.knob("unroll", p.rows.high > 1 ? Numbers{4} : Numbers{4, 8}, 4, "steps of k in one trip");
    add_depth(space, p, target);
  }
  if (many) {
    space.knob("mc", {48, 96, 192}, of_floats && p.k <= 4096 ? 192 : 96, "rows of x in a block");
    space.knob("nc", {128, 512}, 128, "columns of w in a block, for all rows and all of k");
  }
  // Many rows are always packed, and panels widened for all of them; few gain nothing by it.
  if (may_expand && !many) {
    space.choice("expand", {"off", "on"}, "off",
                 "whether a panel is widened once for all rows of the block");
    if (of_floats) {
      space.require([](const Schedule& s) { return s["expand"] == 0 || s["kc"] == 0; },
                    "a panel is widened for all of k at once");
    }
  }
  if (!arithmetic->must_pack() && !many && !few) {
    space.choice("pack", {"off", "on"}, "on",
                 "whether rows of x are first copied to where they do not compete for the same "
                 "sets of the first cache");
  }
  if (tiles.reuse) {
    space.choice("next", {"off", "on"}, "on",
                 "whether the tiles of a panel ask for the next panel, into the second cache");
  }
  if (!many) {
    const Numbers bytes = of_floats                            ? Numbers{0, 2048, 4096, 8192}
                          : p.elements() == Elements::channels ? Numbers{0, 2048, 8192}
                                                               : Numbers{0, 1024, 2048, 4096, 8192};
    space.knob("prefetch", bytes, 8192, "bytes of w that are asked for ahead of their use");
  } else if (of_floats) {
    space.knob("prefetch", {0, 2048}, 0,
               "bytes of w that are asked for ahead of their use, from the second cache");
  }
  space.require(
      [arithmetic, may_expand](const Schedule& s) {
        const bool expanded = s.has("expand") ? s["expand"] == 1 : may_expand;
        const int64_t chains = s.has("chains") ? s["chains"] : 1;
        return arithmetic->fits({s["mr"], s["nr"], s["streams"], chains, expanded});
      },
      kFits);
  space.require([=](const Schedule& s) { return s["streams"] == 1 || s["nr"] == panel_vectors; },
                "panels are read side by side only as a whole");
  if (tiles.reuse) {
    const int64_t sums = tiles.usual.sums();
    const bool most = p.elements() == Elements::channels;  // two thirds of them, else half
    const int64_t least = most ? (2 * sums + 2) / 3 : sums / 2 + 1;
    space.require([=](const Schedule& s) { return s["mr"] * s["nr"] >= least; },
                  "a tile of many rows must reuse what it loads");
  }
  return space;
}

SearchSpace packing_space(const Product& p, const Target& target, bool must_pack) {
  SearchSpace space;
  // A panel is as wide as a tile. More than four vectors are for a single row, whose sums would
  // otherwise wait for each other.
  Numbers wide;
  for (const int64_t v : {1, 2, 3, 4, 6})
    if ((v <= 4 || p.rows.high == 1) && (v == 1 || (v - 1) * target.lanes < p.n)) wide.push_back(v);
  const Tiles tiles = choose_tiles(p, target, wide, p.n);
  const bool few = !tiles.reuse;
  const bool narrow = tiles.nr.size() == 1;
  const int64_t sums = tiles.usual.sums();
  const auto reuses = [=](int64_t mr, int64_t nr) {
    return few || (4 * mr * nr > 3 * sums && (narrow || mr + nr <= mr * nr));
  };
  std::set<int64_t> rows, vectors;
  for (const int64_t mr : tiles.mr) {
    for (const int64_t nr : tiles.nr) {
      if (!tiles.fits(mr, nr) || !reuses(mr, nr)) continue;
      rows.insert(mr);
      vectors.insert(nr);
    }
  }
  const std::string x = p.signature[0].name, w = p.signature[1].name;
  space.knob("mr", {rows.begin(), rows.end()}, tiles.usual.mr, "rows of the register tile");
  space.knob("nr", {vectors.begin(), vectors.end()}, tiles.usual.nr,
             "vectors of the register tile's columns, which are a panel of " + w);
  // y keeps the sums between blocks. All of a large k took a fifth longer.
  constexpr int64_t kUsualDepth = 512;
  Numbers depths;
  for (const int64_t depth : {kUsualDepth / 2, kUsualDepth})
    if (!few && p.out == Type::f32 && depth < p.k) depths.push_back(depth);
  if (depths.size() < 2) depths.push_back(0);
  space.knob("kc", depths, !few && kUsualDepth < p.k ? depths.back() : 0, kDepth);
  space.knob("mc", p.rows.high > 96 ? Numbers{96, 192} : Numbers{96}, 96,
             "rows of " + x + " in a block");
  space.knob("nc", p.n > 128 ? Numbers{128, 512} : Numbers{512}, 512,
             "columns of " + w + " in a block, which are packed together");
  if (!must_pack) {
    // A few rows gain nothing by it.
    space.choice("pack", {"off", "on"}, p.rows.low >= kManyRows ? "on" : "off",
                 "whether the rows of " + x + " are first copied to one place");
  }
  space.require([tiles](const Schedule& s) { return tiles.fits(s["mr"], s["nr"]); }, kFits);
  space.require(
      [=](const Schedule& s) { return reuses(s["mr"], s["nr"]); },
      "a tile of many rows must reuse what it loads, and load no more than it multiplies");
  return space;
}

}  // namespace lathe::compiler::kernels::product
