// Decode that reads some pages of a cache and no others: which they are, and attention over them.
#pragma once

#include "compiler/kernels/attention/attention.h"

namespace lathe::compiler::kernels::attention {

/// attention_decode of the keys of listed pages: each head of k has a list of its own, for all
/// tokens and heads of q that share it.
struct TokenSparse {
  explicit TokenSparse(const Problem& problem);

  Attention attention;  ///< with the signature of all: q, k, v, pages, lengths, sinks; y, lse
  int64_t page = 1;     ///< keys of a page
  Bucket kept;          ///< pages of a list

  /// As attention_decode's of a context as long as what is listed.
  SearchSpace space(const ir::Target& target) const;
  DecodeBlocking blocking(const Schedule& schedule) const;
};

/// Scores of listed keys that a row does not see become -inf: of a page's columns those behind its
/// keys, and where tokens stand at the last keys those behind the row's own. Buffers scores, list;
/// parameters of ListedPages, rows, and where causal position, the key of the first row's token.
ir::program::Program hide_keys_program(const Attention& attention, const DecodeBlocking& blocking,
                                       const ir::Target& target);

ir::plan::Plan token_sparse_plan(const TokenSparse& sparse, const DecodeBlocking& blocking,
                                 const ir::Target& target);

/// How relevant each page is to the rows of q that share a head of k, as one number: the sum over
/// the rows, so that it takes one row to find it. With bounds of a page's keys the number is an
/// upper bound of the sum of its best scores (Tang et al., Quest, 2024); with codes, the product of
/// what is learned of q and of the page.
struct PageScores {
  explicit PageScores(const Problem& problem);

  Bucket tokens, pages;
  int64_t heads = 1, kv_heads = 1, dim = 1;
  int64_t rank = 0;  ///< size of a code; 0: bounds
  ir::Type type = ir::Type::f32, code_type = ir::Type::f32, weight_type = ir::Type::f32;
  Signature signature;  ///< q, bounds; or q, w, codes; scores

  bool is_learned() const { return rank > 0; }
  int64_t group() const { return heads / kv_heads; }
  int64_t width() const { return is_learned() ? rank : 2 * dim; }  ///< of a bound or a code
};

ir::plan::Plan page_scores_plan(const PageScores& scores, const Schedule& schedule,
                                const ir::Target& target);

}  // namespace lathe::compiler::kernels::attention
