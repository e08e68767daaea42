// Lane patterns as the cheapest instruction that makes them.
#pragma once

#include <cstdint>
#include <vector>

#include "ir/target.h"

namespace lathe::codegen::x86 {

/// How lane i = (a ++ b)[pattern[i]] is made. `first` and `second` say which of a (0) and b (1) the
/// instruction takes as its operands.
struct ShufflePlan {
  enum class Kind : uint8_t {
    copy,          ///< first
    splat,         ///< lane 0 of first, everywhere
    in_quads,      ///< vpermilps / pshufd imm on first: the same in each four lanes
    pairs,         ///< vpermpd imm on first: 64-bit pieces (AVX2)
    quads,         ///< 128-bit pieces of both: vperm2f128 (AVX2) or vshuff32x4 (AVX-512), imm
    two_in_quads,  ///< shufps first, second, imm: the same in each four lanes
    unpack_low,
    unpack_high,  ///< of first and second, in each four lanes
    blend,        ///< imm bit i: lane i from b, else from a
    any_one,      ///< vpermps on first, indices in memory
    any_two,      ///< the general case
  };
  Kind kind = Kind::any_two;
  int first = 0, second = 1;
  int imm = 0;
};

/// `pattern` has target.lanes entries below 2 * target.lanes (below target.lanes for one source).
ShufflePlan plan_shuffle(const std::vector<uint8_t>& pattern, const ir::Target& target);

}  // namespace lathe::codegen::x86
