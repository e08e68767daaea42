// Schedules of attention over packed keys and values.
#include "compiler/kernels/attention/attention.h"

namespace lathe::compiler::kernels::attention {

SearchSpace prefill_space(const Attention& attention, const ir::Target& target, int64_t block,
                          const AddBlocks& add_blocks) {
  SearchSpace space;
  // The lengths of products do not matter to what tiles may be.
  const auto tiles_of = [&](int64_t columns, int64_t multiple) {
    const auto any = product::packed_product("", attention.tokens, 1, 1, target.lanes, 1);
    std::vector<int64_t> vectors;
    for (const int64_t nr : {1, 2, 3, 4})
      if (multiple % (nr * target.lanes) == 0) vectors.push_back(nr);
    return product::choose_tiles(any, target, vectors, columns);
  };
  const product::Tiles scores = tiles_of(0, block), values = tiles_of(attention.value_dim, 0);
  const auto tile_knobs = [&](const std::string& prefix, const product::Tiles& tiles,
                              const char* rows, const char* vectors) {
    const std::string mr = prefix + "mr", nr = prefix + "nr";
    space.knob(mr, tiles.mr, tiles.usual.mr, rows);
    space.knob(nr, tiles.nr, tiles.usual.nr, vectors);
    space.require([=](const Schedule& s) { return tiles.fits(s[mr], s[nr]); },
                  "a tile's sums and a step's operands must fit the vector registers");
    space.require([=](const Schedule& s) { return 4 * s[mr] * s[nr] > 3 * tiles.usual.sums(); },
                  "a tile must reuse what it loads");
  };
  tile_knobs("", scores, "rows of the register tile of scores", "vectors of its keys");
  tile_knobs("value_", values, "rows of the register tile of values", "vectors of its columns");
  add_blocks(space, scores, values);
  if (attention.is_ragged()) {
    space.knob("edge", {1, 2, 4}, 2,
               "tiles of rows that are multiplied together where rows see different keys");
  }
  space.choice("next", {"off", "on"}, "on",
               "whether the tiles of a panel ask for the next panel, into the second cache");
  space.knob("prefetch", {0, 2048}, 0, "bytes of keys and values asked for ahead of their use");
  return space;
}

}  // namespace lathe::compiler::kernels::attention
