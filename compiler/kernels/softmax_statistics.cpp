// The maximum of a row and the sum of its exponentials.
#include "compiler/kernels/softmax_statistics.h"

#include <limits>

namespace lathe::compiler::kernels {

void add_passes(SearchSpace& space, std::string_view meaning) {
  space.choice("passes", {"three", "two"}, "three", std::string(meaning));
}

NormRow::Visit raising(Builder& b, const Accumulators& largest) {
  return
      [&](Vec h, const Span&, int place) { b.set(largest.of(place), b.max(h, largest.of(place))); };
}

// Each lane has its own maximum and a sum relative to it: with e = exp(-|h - maximum|), a new
// maximum scales the sum by e and adds 1, another value adds e. The start is finite, so that a row
// of -inf gives sums of 0, not NaN from -inf - -inf.
SoftmaxStatistics maximum_and_sum_in_one_pass(NormRow& row, Builder& b) {
  const float lowest = std::numeric_limits<float>::lowest();
  Accumulators largest(b, row.accumulators(), lowest);
  Accumulators sums(b, row.accumulators(), 0);
  row.first_pass(-std::numeric_limits<float>::infinity(), [&](Vec h, const Span&, int place) {
    const Vec maximum = largest.of(place);
    const Vec sum = sums.of(place);
    const Vec sign = b.constant_bits(0x80000000U);
    const Vec below = b.bit_or(h - maximum, sign);
    const Vec e = math::exp_nonpositive(b, below);
    const auto rises = b.compare(ir::program::Compare::gt, h, maximum);
    const Vec scaled = b.fma(sum, e, b.constant(1));
    const Vec grown = sum + e;
    b.set(sum, b.select(rises, scaled, grown));
    b.set(maximum, b.max(h, maximum));
  });
  const Vec top = largest.largest();
  for (int i = 0; i < row.accumulators(); ++i) {
    b.set(sums.of(i), sums.of(i) * math::exp_nonpositive(b, largest.of(i) - top));
  }
  return {top, sums.sum()};
}

}  // namespace lathe::compiler::kernels
