// Keys and values as factors of low rank: made from captured ones, and how much they lose.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <lathe/error.h>
#include <lathe/tensor_view.h>

namespace lathe {

/// For each head, rows · up is the nearest matrix of that rank to the rows that it was made from
/// (Eckart and Young, 1936): the operands c and u of AttentionLowRank. The rows of `up` are
/// orthonormal, so that later keys join the cache as their products with its transpose; see
/// low_rank_rows().
struct LowRankFactors {
  int64_t tokens = 0, kv_heads = 0, dim = 0, rank = 0;
  std::vector<float> rows;  ///< [tokens, kv_heads, rank]
  std::vector<float> up;    ///< [kv_heads, rank, dim]
  /// Of rank 0, 1, …, dim: the Frobenius norm of what that rank loses of all heads, in parts of
  /// that of what was given; 0 where that is 0.
  std::vector<double> errors;
};

/// Factors of x [tokens, kv_heads, dim], f32, f16 or bf16 with any strides; computed in double
/// precision, the same on every host. invalid_argument for another rank or type, no element, a rank
/// that is not in [1, dim], or a number that is not finite.
Result<LowRankFactors> factorise(const TensorView& x, int64_t rank);

/// The rows [tokens, kv_heads, rank] of x [tokens, kv_heads, dim] in the basis of `factors`: what a
/// cache of them gets for new tokens. The same errors.
Result<std::vector<float>> low_rank_rows(const TensorView& x, const LowRankFactors& factors);

/// What factors of one rank lose.
struct LowRankLoss {
  int64_t rank = 0;
  double keys = 0, values = 0;  ///< relative Frobenius norms
  /// Of attention's output for all queries, against that of the whole keys and values: the
  /// Frobenius norm of the difference, in parts of that of the output.
  double output = 0;
};

/// The loss at each of `ranks`, keys and values alike (a rank above value_dim counts as that for
/// values). q [tokens, heads, dim] sees all of k [context, kv_heads, dim] and v [context, kv_heads,
/// value_dim]; scale 0: 1 / sqrt(dim). In double precision and without a kernel: for choosing a
/// rank, from a few hundred captured queries. invalid_argument naming what does not fit.
Result<std::vector<LowRankLoss>> low_rank_losses(const TensorView& q, const TensorView& k,
                                                 const TensorView& v,
                                                 std::span<const int64_t> ranks, double scale = 0);

}  // namespace lathe
