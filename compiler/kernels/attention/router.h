// Which blocks of keys a block of tokens may want to see: scores of pooled blocks, as a problem.
#pragma once

#include <cstdint>

#include "compiler/kernels/signature.h"
#include "compiler/problem.h"
#include "compiler/schedule.h"
#include "ir/plan/plan.h"
#include "ir/target.h"

namespace lathe::compiler::kernels::attention {

/// scores = (mean of a block's q · wq) · (mean of a block's k · wk)ᵀ * scale for each head of k;
/// its query heads' means lie side by side, so that wq joins them to one. Without a rank the means
/// of the query heads are added up instead.
struct Router {
  explicit Router(const Problem& problem);

  int64_t heads = 1, kv_heads = 1;
  int64_t dim = 1;
  int64_t block = 64;  ///< tokens of a block, and keys
  int64_t rank = 0;    ///< columns of wq and wk; 0: there are none
  double scale = 1;
  ir::Type type = ir::Type::f32;
  Signature signature;  ///< q, k, wq, wk; scores

  int64_t group() const { return heads / kv_heads; }
  bool has_weights() const { return rank > 0; }
  int64_t width() const { return has_weights() ? rank : dim; }  ///< of a pooled block
};

/// A schedule's numbers.
struct RouterBlocking {
  explicit RouterBlocking(const Schedule& schedule);

  int rows = 1;  ///< tokens that are added up at once
  int keys = 1;  ///< blocks of keys that meet a block of tokens at once
};

/// Adds up the tokens of a block, for `heads` heads side by side. Buffers x, sums; parameters rows,
/// x.stride1, x.stride2.
ir::program::Program pool_program(const Router& router, const RouterBlocking& blocking,
                                  int64_t heads, const ir::Target& target);

/// Makes the sums of `heads` heads over some tokens one pooled block: their means times w, or added
/// up where there is none. Buffers sums, w where there is one, pooled; parameter rows, how many
/// tokens.
ir::program::Program project_program(const Router& router, int64_t heads, const ir::Target& target);

/// One pooled block of tokens by pooled blocks of keys. Buffers query, keys, scores; parameter
/// columns.
ir::program::Program block_scores_program(const Router& router, const RouterBlocking& blocking,
                                          const ir::Target& target);

ir::plan::Plan router_plan(const Router& router, const RouterBlocking& blocking,
                           const ir::Target& target);

}  // namespace lathe::compiler::kernels::attention
