// Splits the operands of attention into sequences: by batch, by bounds, by lengths.
#include "ir/graph/attention_sequences.h"

#include "ir/graph/head_layout.h"

namespace lathe::ir::graph {
namespace {

// Bounds must run from 0 to `total` without decreasing.
Status check_bounds(std::string_view operand, const Array& bounds, int64_t total) {
  const auto& values = bounds.integers;
  if (values.front() != 0) {
    return fail(ErrorCode::invalid_argument, "{}[0]: found {}, expected 0", operand,
                values.front());
  }
  for (size_t i = 1; i < values.size(); ++i) {
    if (values[i] < values[i - 1]) {
      return fail(ErrorCode::invalid_argument,
                  "{}[{}]: found {} after {}, expected bounds that do not decrease", operand, i,
                  values[i], values[i - 1]);
    }
  }
  if (values.back() != total) {
    return fail(ErrorCode::invalid_argument, "{}[{}]: found {} as the last bound, expected {}",
                operand, values.size() - 1, values.back(), total);
  }
  return {};
}

// The index of sequence s in an operand that holds one number for all sequences, or one for each.
size_t index_of_sequence(const Array& per_sequence, size_t s) {
  return per_sequence.shape.empty() ? 0 : s;
}

// Where the first token stands.
Result<int64_t> offset_of(const EvalContext& c, size_t s, const AttentionSequence& sequence) {
  if (c.has(kOffset)) {
    const size_t i = index_of_sequence(c.operand(kOffset), s);
    const int64_t offset = c.operand(kOffset).integers[i];
    if (offset >= -kMaxDim && offset <= kMaxDim) return offset;
    return fail(ErrorCode::invalid_argument, "offset[{}]: found {}, expected {} to {}", i, offset,
                -kMaxDim, kMaxDim);
  }
  if (c.attributes.word("causal") != "end") return 0;
  return static_cast<int64_t>(sequence.keys) - static_cast<int64_t>(sequence.tokens);
}

Result<size_t> valid_keys(const EvalContext& c, size_t s, size_t held) {
  if (!c.has(kLengths)) return held;
  const size_t i = index_of_sequence(c.operand(kLengths), s);
  const int64_t length = c.operand(kLengths).integers[i];
  if (length >= 0 && static_cast<uint64_t>(length) <= held) return static_cast<size_t>(length);
  return fail(ErrorCode::invalid_argument,
              "lengths[{}]: found {}, expected 0 to {}, the keys of sequence {}", i, length, held,
              s);
}

}  // namespace

Result<std::vector<AttentionSequence>> attention_sequences(const EvalContext& c) {
  const auto& q_shape = c.operand(kQueries).shape;
  const auto& k_shape = c.operand(kKeys).shape;
  const HeadLayout q_layout = head_layout(c.attributes, q_shape.size());
  const HeadLayout k_layout = head_layout(c.attributes, k_shape.size());
  const Array* q_bounds = c.has(kCuSeqlens) ? &c.operand(kCuSeqlens) : nullptr;
  const Array* k_bounds = c.has(kCuSeqlensK) ? &c.operand(kCuSeqlensK)
                          : k_layout.batched ? nullptr
                                             : q_bounds;
  if (q_bounds != nullptr) {
    LATHE_CHECK(check_bounds("cu_seqlens", *q_bounds, q_shape[q_layout.tokens]));
  }
  if (c.has(kCuSeqlensK)) {
    LATHE_CHECK(check_bounds("cu_seqlens_k", *k_bounds, k_shape[k_layout.tokens]));
  }
  size_t count = q_layout.batched ? static_cast<size_t>(q_shape[0]) : 1;
  if (q_bounds != nullptr) count = q_bounds->integers.size() - 1;

  // The range of a sequence in a dimension of `size`: between two bounds, or all of it.
  struct Range {
    size_t first;
    size_t size;
  };
  const auto range = [](const Array* bounds, size_t s, int64_t size) -> Range {
    if (bounds == nullptr) return {0, static_cast<size_t>(size)};
    const auto first = static_cast<size_t>(bounds->integers[s]);
    return {first, static_cast<size_t>(bounds->integers[s + 1]) - first};
  };
  std::vector<AttentionSequence> sequences;
  for (size_t s = 0; s < count; ++s) {
    const Range tokens = range(q_bounds, s, q_shape[q_layout.tokens]);
    const Range keys = range(k_bounds, s, k_shape[k_layout.tokens]);
    AttentionSequence& sequence =
        sequences.emplace_back(AttentionSequence{.q_batch = q_layout.batched ? s : 0,
                                                 .k_batch = k_layout.batched ? s : 0,
                                                 .first_token = tokens.first,
                                                 .tokens = tokens.size,
                                                 .first_key = keys.first,
                                                 .held = keys.size});
    LATHE_TRY(sequence.keys, valid_keys(c, s, keys.size));
    LATHE_TRY(sequence.offset, offset_of(c, s, sequence));
  }
  return sequences;
}

}  // namespace lathe::ir::graph
