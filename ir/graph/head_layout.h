// Where tokens and heads lie in the shape of a tensor of heads. Internal to this folder.
#pragma once

#include <cstddef>

#include "ir/graph/attributes.h"
#include "ir/graph/op.h"

namespace lathe::ir::graph {

/// Indices of dimensions: [tokens, heads, size] or [heads, tokens, size], after a batch at rank 4.
struct HeadLayout {
  size_t tokens;
  size_t heads;
  bool batched;
};

/// The layout that the op's `layout` attribute names, for a tensor of rank 3 or 4.
inline HeadLayout head_layout(const Attributes& attributes, size_t rank) {
  const bool tokens_first = attributes.word("layout") == "tokens_heads";
  return {.tokens = rank - (tokens_first ? 3 : 2),
          .heads = rank - (tokens_first ? 2 : 3),
          .batched = rank == 4};
}

inline AttributeSpec head_layout_attribute() {
  return {"layout",
          AttributeKind::word,
          AttributeValue("tokens_heads"),
          "order of the dimensions: [tokens, heads, size] or [heads, tokens, size], after a batch "
          "if any",
          {"tokens_heads", "heads_tokens"}};
}

}  // namespace lathe::ir::graph
