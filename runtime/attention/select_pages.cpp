// Selection of pages by their scores, and sparse decode around it.
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <span>
#include <string_view>

#include <lathe/token_sparse.h>

#include "support/error.h"

namespace lathe {
namespace {

// Bits that compare as the numbers do; NaN is above all.
uint32_t ordered_bits(float value) {
  if (std::isnan(value)) return UINT32_MAX;
  const auto bits = std::bit_cast<uint32_t>(value + 0.0F);  // -0 is 0
  return (bits >> 31) != 0 ? ~bits : bits | 0x80000000U;
}

// Finds the score from which on the greatest are taken; its memory serves one list after the other.
class Selector {
 public:
  struct Threshold {
    uint32_t bits = 0;  // what is greater is taken
    int64_t equal = 0;  // and so many of those that are equal
  };
  // For the `count` greatest of at least so many scores; `count` is at least 1.
  Threshold threshold(std::span<const float> scores, int64_t count) {
    // By the upper bits most scores are decided; the others are few.
    counts_.fill(0);
    for (const float score : scores) ++counts_[ordered_bits(score) >> kLowBits];
    int64_t above = 0;
    size_t bin = counts_.size() - 1;
    while (above + counts_[bin] < count) above += counts_[bin--];
    undecided_.clear();
    for (const float score : scores) {
      const uint32_t bits = ordered_bits(score);
      if (bits >> kLowBits == bin) undecided_.push_back(bits);
    }
    const auto last = undecided_.begin() + (count - above - 1);
    std::nth_element(undecided_.begin(), last, undecided_.end(), std::greater<>());
    const uint32_t bits = *last;
    const auto greater = std::count_if(undecided_.begin(), undecided_.end(),
                                       [&](uint32_t other) { return other > bits; });
    return {bits, count - above - greater};
  }

 private:
  static constexpr int kLowBits = 21;
  std::array<uint32_t, 1U << (32 - kLowBits)> counts_{};
  std::vector<uint32_t> undecided_;
};

void select_row(Selector& selector, std::span<const float> scores, const AlwaysRead& always,
                std::span<int32_t> list) {
  const auto pages = static_cast<int64_t>(scores.size());
  const auto kept = static_cast<int64_t>(list.size());
  size_t next = 0;
  if (pages <= kept) {
    for (int64_t page = 0; page < kept; ++page)
      list[next++] = static_cast<int32_t>(std::min(page, std::max<int64_t>(pages - 1, 0)));
    return;
  }
  const int64_t end = pages - always.local, count = kept - always.sinks - always.local;
  Selector::Threshold threshold{UINT32_MAX, 0};
  if (count > 0) {
    threshold = selector.threshold(
        scores.subspan(static_cast<size_t>(always.sinks), static_cast<size_t>(end - always.sinks)),
        count);
  }
  for (int64_t page = 0; page < pages; ++page) {
    bool is_taken = page < always.sinks || page >= end;
    if (!is_taken) {
      const uint32_t bits = ordered_bits(scores[static_cast<size_t>(page)]);
      is_taken = bits > threshold.bits || (bits == threshold.bits && threshold.equal-- > 0);
    }
    if (is_taken) list[next++] = static_cast<int32_t>(page);
  }
}

bool is_empty(const TensorView& view) { return view.data == nullptr; }

Status check_view(std::string_view name, const TensorView& view, DataType type, int rank) {
  if (view.rank == rank && view.type == type && !is_empty(view) &&
      std::all_of(view.shape, view.shape + rank, [](int64_t size) { return size >= 0; }) &&
      (view.strides[rank - 1] == 1 || view.shape[rank - 1] == 1))
    return {};
  return fail(ErrorCode::invalid_argument,
              "{}: found rank {} and type number {}{}, expected rank {} and {}, contiguous in the "
              "last dimension, no size negative",
              name, view.rank, static_cast<int>(view.type),
              is_empty(view) ? " at a null pointer" : "", rank,
              type == DataType::f32 ? "f32" : "i32");
}

template <typename T>
std::span<T> row_of(const TensorView& view, int64_t batch, int64_t head, int64_t count) {
  T* first = static_cast<T*>(view.data) + batch * view.strides[0] + head * view.strides[1];
  return {first, static_cast<size_t>(count)};
}

}  // namespace

Status select_pages(const TensorView& scores, const TensorView& lengths, int64_t page,
                    const AlwaysRead& always, const TensorView& list) {
  LATHE_CHECK(check_view("scores", scores, DataType::f32, 3));
  LATHE_CHECK(check_view("list", list, DataType::i32, 3));
  const int64_t batch = scores.shape[0], heads = scores.shape[1], pages = scores.shape[2];
  const int64_t kept = list.shape[2];
  if (list.shape[0] != batch || list.shape[1] != heads) {
    return fail(ErrorCode::invalid_argument,
                "list: found shape [{}, {}, {}], expected [{}, {}, {}]", list.shape[0],
                list.shape[1], kept, batch, heads, kept);
  }
  if (page < 1 || pages > INT32_MAX)
    return fail(ErrorCode::invalid_argument,
                "found {} pages of {} keys, expected pages of 1 or more, and a number below 2^31",
                pages, page);
  if (always.sinks < 0 || always.local < 1 || always.sinks > kept ||
      always.local > kept - always.sinks) {
    return fail(ErrorCode::invalid_argument,
                "found {} pages kept, of them the first {} and the last {}; expected 0 or more, 1 "
                "or more, and together at most those kept",
                kept, always.sinks, always.local);
  }
  std::vector<int64_t> filled(static_cast<size_t>(batch), pages);
  if (!is_empty(lengths)) {
    LATHE_CHECK(check_view("lengths", lengths, DataType::i32, 1));
    if (lengths.shape[0] != batch) {
      return fail(ErrorCode::invalid_argument, "lengths: found {}, expected one for each of {}",
                  lengths.shape[0], batch);
    }
    for (int64_t i = 0; i < batch; ++i) {
      const int32_t length = static_cast<const int32_t*>(lengths.data)[i];
      const int64_t needed = length / page + (length % page > 0 ? 1 : 0);
      if (length < 0 || needed > pages) {
        return fail(ErrorCode::invalid_argument,
                    "lengths[{}]: found {}, expected 0 to {}, the keys of {} pages", i, length,
                    pages * page, pages);
      }
      filled[static_cast<size_t>(i)] = needed;
    }
  }
  Selector selector;
  for (int64_t i = 0; i < batch; ++i) {
    for (int64_t head = 0; head < heads; ++head) {
      select_row(selector, row_of<const float>(scores, i, head, filled[static_cast<size_t>(i)]),
                 always, row_of<int32_t>(list, i, head, kept));
    }
  }
  return {};
}

Result<SparseDecode> SparseDecode::fetch(const Library& library,
                                         const AttentionTokenSparse& attention,
                                         AttentionPageScores scores, const AlwaysRead& always) {
  scores.heads = attention.heads;
  scores.kv_heads = attention.kv_heads;
  scores.dim = attention.dim;
  scores.type = attention.type;
  scores.tokens = attention.tokens;
  SparseDecode decode;
  decode.op_ = attention;
  decode.always_ = always;
  LATHE_TRY(decode.scores_, library.fetch(scores));
  LATHE_TRY(decode.attention_, library.fetch(attention));
  return decode;
}

Status SparseDecode::operator()(const Operands& operands) {
  const int64_t batch = operands.q.shape[0];
  const int64_t heads = op_.kv_heads > 0 ? op_.kv_heads : op_.heads;
  if (operands.q.rank != 4 || operands.bounds.rank != 4) {
    return fail(ErrorCode::invalid_argument,
                "found q of rank {} and bounds of rank {}, expected 4 of both", operands.q.rank,
                operands.bounds.rank);
  }
  if (batch < 0 || batch != operands.bounds.shape[0] || operands.bounds.shape[1] < 0 ||
      operands.bounds.shape[1] > INT32_MAX) {
    return fail(ErrorCode::invalid_argument,
                "found q of a batch of {} and bounds of {} with {} pages, expected the same batch "
                "and less than 2^31 pages",
                batch, operands.bounds.shape[0], operands.bounds.shape[1]);
  }
  // A cache of fewer pages is read whole.
  const int64_t pages = operands.bounds.shape[1], kept = std::min(op_.kept, pages);
  page_scores_.resize(static_cast<size_t>(batch * heads * pages));
  list_.resize(static_cast<size_t>(batch * heads * kept));
  const TensorView scores(page_scores_.data(), {batch, heads, pages});
  const TensorView list(list_.data(), {batch, heads, kept});
  std::vector<TensorView> inputs = {operands.q};
  if (!is_empty(operands.w)) inputs.push_back(operands.w);
  inputs.push_back(operands.bounds);
  LATHE_CHECK(scores_(inputs, std::vector<TensorView>{scores}));
  AlwaysRead always = always_;
  always.local = std::min(always.local, kept);
  always.sinks = std::min(always.sinks, kept - always.local);
  LATHE_CHECK(select_pages(scores, operands.lengths, op_.page, always, list));
  inputs = {operands.q, operands.k, operands.v, list};
  if (op_.lengths) inputs.push_back(operands.lengths);
  if (op_.sinks) inputs.push_back(operands.sinks);
  std::vector<TensorView> outputs = {operands.y};
  if (op_.lse) outputs.push_back(operands.lse);
  return attention_(inputs, outputs);
}

}  // namespace lathe
