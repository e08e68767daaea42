// What softmax and log_softmax need of a row: its maximum and the sum of its exponentials.
#pragma once

#include "compiler/kernels/norm.h"

namespace lathe::compiler::kernels {

/// Each the same in all lanes; the sum is of exp(h - largest).
struct SoftmaxStatistics {
  Vec largest, sum;
};

/// The values of the knob `passes`: three passes, the first for the maximum alone, or two.
enum class SoftmaxPasses : uint8_t { three, two };
void add_passes(SearchSpace& space, std::string_view meaning);
inline SoftmaxPasses passes_of(const Schedule& s) {
  return static_cast<SoftmaxPasses>(s["passes"]);
}

/// Raises the accumulators by the values that are visited.
NormRow::Visit raising(Builder& b, const Accumulators& largest);

/// The online softmax (Milakov and Gimelshein, 2018): both in the first pass over the row.
SoftmaxStatistics maximum_and_sum_in_one_pass(NormRow& row, Builder& b);

}  // namespace lathe::compiler::kernels
