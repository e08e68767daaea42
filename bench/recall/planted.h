// Sequences whose attention is known: each query looks for one block of keys, and what is easily
// seen of a block tells nothing of it.
#pragma once

#include <cstdint>
#include <vector>

#include <lathe/routing.h>

namespace lathe::bench {

struct PlantedSizes {
  int64_t tokens = 1024;
  int64_t block = 16;  ///< keys of a block
  int64_t alike = 1;   ///< consecutive tokens that look for the same block
  int64_t heads = 4, kv_heads = 2;
  int64_t dim = 24;     ///< a multiple of 4 beyond `hidden`
  int64_t hidden = 12;  ///< dimensions in which blocks are looked for
};

/// One key of each block answers in the hidden dimensions. In a part of the others the keys beside
/// it repel every query, each block as strongly as it likes: that dominates the mean of a block. In
/// the rest keys come in pairs of dimensions that cancel in every product, but which bounds of one
/// dimension each cannot know of: they inflate the bound of a block as much as it likes.
struct Planted {
  PlantedSizes sizes;
  std::vector<float> q, k;

  RouterSample sample() const {
    return {{q.data(), {sizes.tokens, sizes.heads, sizes.dim}},
            {k.data(), {sizes.tokens, sizes.kv_heads, sizes.dim}}};
  }
};

/// The same for the same seed.
Planted plant(const PlantedSizes& sizes, uint64_t seed);

}  // namespace lathe::bench
