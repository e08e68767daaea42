// Attention against keys and values that are kept as factors of low rank.
#pragma once

#include "compiler/kernels/attention/attention.h"

namespace lathe::compiler::kernels::attention {

/// Row j of a head's keys is c_k[j] · u_k, and of its values c_v[j] · u_v. Neither is ever made:
/// scores are (q · u_kᵀ) · c_kᵀ, and y is (weights · c_v) · u_v, so that a step reads the factors'
/// rows and no more (DeepSeek-V2's latent attention in its absorbed form, 2024). The most recent
/// keys and values may be kept whole beside them.
struct LowRank {
  explicit LowRank(const Problem& problem);

  /// Of q and y; its signature is that of the whole: q, c_k, c_v, u_k, u_v, the window's k and v,
  /// lengths, recent_lengths, sinks; y, lse.
  Attention attention;
  Attention factors;      ///< of the absorbed q and the rows that are kept: its sizes are the ranks
  Attention recent;       ///< of the window, whose keys every row of the factors lies before
  int64_t window = 0;     ///< rows of the window; 0: there is none
  bool per_head = false;  ///< whether each head of q has matrices u of its own, not each of k
  ir::Type up_type = ir::Type::f32;

  int64_t up_heads() const { return per_head ? attention.heads : attention.kv_heads; }
};

/// The programs over queries, parts of both caches, and heads.
ir::plan::Plan low_rank_plan(const LowRank& low_rank, const Schedule& schedule,
                             const ir::Target& target);

}  // namespace lathe::compiler::kernels::attention
