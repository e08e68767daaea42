// The attention op's operands by index, and the sequences that they hold. Internal to this folder.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "ir/graph/op.h"

namespace lathe::ir::graph {

/// Operands of `attention` in the order of its signature.
enum AttentionOperand : size_t {
  kQueries,
  kKeys,
  kValues,
  kMask,
  kCuSeqlens,
  kCuSeqlensK,
  kLengths,
  kOffset,
  kSinks,
};

/// Tokens and the keys that they may see: one item of a batch, or one segment of packed tokens.
struct AttentionSequence {
  size_t q_batch = 0;  ///< index in the leading dimension of q; 0 where it has none
  size_t k_batch = 0;  ///< the same for k and v
  size_t first_token = 0;
  size_t tokens = 0;
  size_t first_key = 0;
  size_t held = 0;     ///< keys that k has room for
  size_t keys = 0;     ///< the first of them that are valid
  int64_t offset = 0;  ///< the key that token 0 stands at, counted from first_key
};

/// The sequences of an evaluation, in order. invalid_argument names the operand and index of a
/// bound that is out of order, a length that k does not hold, or an offset beyond 2^40.
Result<std::vector<AttentionSequence>> attention_sequences(const EvalContext& c);

/// The op's reference function.
Result<std::vector<Array>> eval_attention(const EvalContext& c);

}  // namespace lathe::ir::graph
