// Fits scores of blocks to the mass of dense attention, for one head of k.
//
// Scores are a bilinear form of low rank, s = (q · A) · (k · B)ᵀ, of what is known of the queries
// and of the blocks of keys. What is minimised is the Kullback-Leibler divergence of their softmax
// from the shares of the mass. Blocks that are kept whatever their score are no candidates: they
// are left out of both, and a row counts for as much mass as its candidates get.
#pragma once

#include <span>
#include <vector>

#include "runtime/attention/matrix.h"

namespace lathe::runtime {

/// One sequence, for one head of k. Numbers are finite.
struct MassPart {
  MassPart(int64_t rows, int64_t blocks) : share(rows, blocks), weight(static_cast<size_t>(rows)) {}

  /// Notes what row `i` gives to its candidates, of which there are `count`. With fewer than two,
  /// or where they get nothing, there is nothing to choose: the row does not count.
  void set_row(int64_t i, std::span<const double> mass, std::span<const char> is_candidate);

  Matrix q;                    ///< [rows, wide]
  Matrix k;                    ///< [blocks, features]
  Matrix share;                ///< [rows, blocks]: of what the candidates get; -1 of the others
  std::vector<double> weight;  ///< of each row: what its candidates get
};

struct BilinearFit {
  int64_t rank = 0;  ///< at most the columns of q and of k
  int steps = 0;
  double learning_rate = 0, decay = 0;
};

struct BilinearForm {
  Matrix a, b;      ///< [wide, rank] and [features, rank]
  double loss = 0;  ///< mean divergence, in nats, over the parts
  double held_out_loss = 0;
};

/// Minimises from one or two starts by gradient steps (Kingma and Ba, Adam, 2015, with the decay of
/// Loshchilov and Hutter, 2019), in coordinates in which q and k have no correlations:
///   - the first singular vectors of the gradient where all scores are 0,
///   - the nearest form of that rank to `prior` [wide, features], where it is not empty.
/// With parts that are held out, what has the least divergence on these is taken of all starts and
/// of every tenth step; else the last step of the better start. At least one part.
Result<BilinearForm> fit_bilinear(std::vector<MassPart> parts, std::vector<MassPart> held_out,
                                  const Matrix& prior, const BilinearFit& fit);

}  // namespace lathe::runtime
