// Which schedules a product has: register tiles that reuse what they load, blocks for the caches.
//
// Schedules name mr, nr, mc, nc and kc by what they cut: tile, vectors, rows, columns and depth.
#include <algorithm>
#include <set>

#include "compiler/kernels/product/arithmetic.h"

namespace lathe::compiler::kernels::product {
namespace {

using Numbers = std::vector<int64_t>;

constexpr const char* kFits = "the tile's sums and a step's operands must fit the vector registers";
constexpr const char* kDepth = "steps of k in a block; 0: all of k";

// The register tiles that are tried, and the usual one.
struct Tiles {
  Tiles(const Product& product, const Target& target)
      : arithmetic(arithmetic_of(product, target)),
        elements(product.elements()),
        reuse(product.rows.low >= (elements == Elements::floats ? kSomeRows : kManyRows)) {
    // Each number of rows has code of its own, and narrow lanes need many instructions for each.
    const bool of_floats = elements == Elements::floats;
    const int64_t lanes = target.lanes;
    const int64_t widest = elements == Elements::blocks ? 12 : 14;
    const int64_t most = lanes >= 8 ? widest : !of_floats ? lanes : lanes >= 4 ? 6 : 2;
    for (const int64_t m : of_floats ? Numbers{1, 2, 3, 4, 5, 6, 7, 9, 12, 14}
                                     : Numbers{1, 2, 3, 4, 5, 6, 8, 10, 12, 14})
      if (m <= std::min(product.rows.high, most)) mr.push_back(m);
    single = product.rows.high == 1;
  }

  // Chooses the tile of most worth, then leaves out numbers of rows that do not fit or, of many
  // rows, load too often. A share of a tile's vectors is `used`.
  template <typename Used>
  void choose(bool expands, bool may_expand, const Used& used) {
    std::pair<double, double> most;
    for (const int64_t v : nr) {
      for (const int64_t m : mr) {
        const TileShape shape{m, v, 1, 1, expands};
        auto here = worth(shape);
        here.first *= used(v);
        if (here <= most || !arithmetic->fits(shape)) continue;
        most = here;
        usual = shape;
      }
    }
    std::erase_if(mr, [&](int64_t m) {
      const bool few = reuse && elements != Elements::blocks && 2 * m < usual.mr;
      return few || !arithmetic->fits({m, nr.front(), 1, 1, may_expand});
    });
  }

  // What a tile multiplies for what it loads, and what decides between equals. Floats: as far as
  // loads are what limits it, for cores start as many of either in a cycle; then most sums. Blocks:
  // to decode a vector of w costs as much as half of its products with a row, so rows come first.
  std::pair<double, double> worth(const TileShape& shape) const {
    constexpr double kEnoughForLoads = 1.5;
    const auto m = static_cast<double>(shape.mr), v = static_cast<double>(shape.nr);
    switch (elements) {
      case Elements::floats: return {std::min(m * v / (m + v), kEnoughForLoads), m * v};
      case Elements::blocks: return {m, single ? v : -v};
      default: return {m * v / (m + v), -m};
    }
  }
  // The fewest sums of a tile that reuses what it loads.
  int64_t least_sums() const {
    if (!reuse) return 1;
    return elements == Elements::channels ? (2 * usual.sums() + 2) / 3 : usual.sums() / 2 + 1;
  }

  std::shared_ptr<const Arithmetic> arithmetic;  // with the constraints of the space
  Elements elements;
  bool reuse;  // whether rows are so many that tiles must reuse what they load
  bool single = false;
  Numbers mr, nr{};
  TileShape usual{};
};

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
  space.knob("depth", depths, paced ? 64 : 0, kDepth);
}

}  // namespace

SearchSpace packed_space(const Product& p, const Target& target) {
  SearchSpace space;
  Tiles tiles(p, target);
  const auto& arithmetic = tiles.arithmetic;
  const bool of_floats = p.elements() == Elements::floats;
  const bool many = p.rows.low >= kManyRows, few = p.rows.low < kSomeRows;
  // Many rows always widen a panel ahead: each tile would do it again. Fewer lose by it what they
  // gain (channels: 1.16 of the time for 16 rows, 1.02 for 31).
  const bool may_expand = !few && arithmetic->widens();
  const int64_t panel_vectors = std::max<int64_t>(p.panel / target.lanes, 1);
  for (int64_t v = 1; v <= panel_vectors; ++v)
    if (panel_vectors % v == 0 && arithmetic->fits({1, v, 1, 1, may_expand})) tiles.nr.push_back(v);
  tiles.choose(may_expand && many, may_expand, [](int64_t) { return 1.0; });
  space.knob("tile", tiles.mr, tiles.usual.mr, "rows of the register tile");
  space.knob("vectors", tiles.nr, tiles.usual.nr,
             "vectors of a panel that a tile multiplies at once");
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
    space.knob("rows", {48, 96, 192}, of_floats && p.k <= 4096 ? 192 : 96, "rows of x in a block");
    space.knob("columns", {128, 512}, 128, "columns of w in a block, for all rows and all of k");
  }
  // Many rows are always packed, and panels widened for all of them; few gain nothing by it.
  if (may_expand && !many) {
    space.choice("expand", {"off", "on"}, "off",
                 "whether a panel is widened once for all rows of the block");
    if (of_floats) {
      space.require([](const Schedule& s) { return s["expand"] == 0 || s["depth"] == 0; },
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
    const Numbers bytes = of_floats ? Numbers{0, 2048, 4096, 8192}
                          : tiles.elements == Elements::channels
                              ? Numbers{0, 2048, 8192}
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
        return arithmetic->fits({s["tile"], s["vectors"], s["streams"], chains, expanded});
      },
      kFits);
  space.require(
      [=](const Schedule& s) { return s["streams"] == 1 || s["vectors"] == panel_vectors; },
      "panels are read side by side only as a whole");
  if (tiles.reuse) {
    space.require([least = tiles.least_sums()](
                      const Schedule& s) { return s["tile"] * s["vectors"] >= least; },
                  "a tile of many rows must reuse what it loads");
  }
  return space;
}

SearchSpace packing_space(const Product& p, const Target& target, bool must_pack) {
  SearchSpace space;
  Tiles tiles(p, target);
  const auto& arithmetic = tiles.arithmetic;
  const bool few = !tiles.reuse;
  // A panel is as wide as a tile. More than four vectors are for a single row, whose sums would
  // otherwise wait for each other.
  for (const int64_t v : {1, 2, 3, 4, 6}) {
    const bool reaches_y = v == 1 || (v - 1) * target.lanes < p.n;
    if (reaches_y && (v <= 4 || tiles.single) && arithmetic->fits({1, v})) tiles.nr.push_back(v);
  }
  // Columns that fill no whole number of vectors count as what they cost.
  tiles.choose(false, false, [&](int64_t v) {
    const int64_t width = v * target.lanes;
    return static_cast<double>(p.n) / static_cast<double>((p.n + width - 1) / width * width);
  });
  const bool narrow = tiles.nr.size() == 1;
  const int64_t sums = tiles.usual.sums();
  const auto fits = [arithmetic](int64_t mr, int64_t nr) { return arithmetic->fits({mr, nr}); };
  const auto reuses = [=](int64_t mr, int64_t nr) {
    return few || (4 * mr * nr > 3 * sums && (narrow || mr + nr <= mr * nr));
  };
  std::set<int64_t> rows, vectors;
  for (const int64_t mr : tiles.mr) {
    for (const int64_t nr : tiles.nr) {
      if (!fits(mr, nr) || !reuses(mr, nr)) continue;
      rows.insert(mr);
      vectors.insert(nr);
    }
  }
  const std::string x = p.signature[0].name, w = p.signature[1].name;
  space.knob("tile", {rows.begin(), rows.end()}, tiles.usual.mr, "rows of the register tile");
  space.knob("vectors", {vectors.begin(), vectors.end()}, tiles.usual.nr,
             "vectors of the register tile's columns, which are a panel of " + w);
  // y keeps the sums between blocks. All of a large k took a fifth longer.
  constexpr int64_t kUsualDepth = 512;
  Numbers depths;
  for (const int64_t depth : {kUsualDepth / 2, kUsualDepth})
    if (!few && p.out == Type::f32 && depth < p.k) depths.push_back(depth);
  if (depths.size() < 2) depths.push_back(0);
  space.knob("depth", depths, !few && kUsualDepth < p.k ? depths.back() : 0, kDepth);
  space.knob("rows", p.rows.high > 96 ? Numbers{96, 192} : Numbers{96}, 96,
             "rows of " + x + " in a block");
  space.knob("columns", p.n > 128 ? Numbers{128, 512} : Numbers{512}, 512,
             "columns of " + w + " in a block, which are packed together");
  if (!must_pack) {
    // A few rows gain nothing by it.
    space.choice("pack", {"off", "on"}, p.rows.low >= kManyRows ? "on" : "off",
                 "whether the rows of " + x + " are first copied to one place");
  }
  space.require([=](const Schedule& s) { return fits(s["tile"], s["vectors"]); }, kFits);
  space.require(
      [=](const Schedule& s) { return reuses(s["tile"], s["vectors"]); },
      "a tile of many rows must reuse what it loads, and load no more than it multiplies");
  return space;
}

}  // namespace lathe::compiler::kernels::product
