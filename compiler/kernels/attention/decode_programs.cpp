// A few rows against keys and values where they lie: each is read once from memory, by as many rows
// as there are. While a head's block of them is read, that of the next head is asked for: heads
// that lie side by side make the rows of one head lie far apart, which hardware does not foresee.
#include <algorithm>

#include "compiler/kernels/attention/attention.h"

namespace lathe::compiler::kernels::attention {
namespace {

using ir::program::BufferAccess;
using ir::program::Builder;
using ir::program::Pointer;
using ir::program::Program;
using ir::program::Scalar;
using ir::program::Span;
using ir::program::Vec;

constexpr int64_t kCacheLine = 64;

// Rows of k or v, one after the other, at a distance known when the program runs.
class FarRows {
 public:
  FarRows(Builder& b, Pointer first, int count, Scalar stride) {
    rows_.push_back(b.copy(first));
    for (int i = 1; i < count; ++i) rows_.push_back(b.offset(rows_.back(), stride));
  }
  Pointer at(int row) const { return rows_[static_cast<size_t>(row)]; }

 private:
  std::vector<Pointer> rows_;
};

void prefetch_row(Builder& b, Pointer row, int64_t begin, int64_t end, int cache) {
  for (int64_t at = begin; at < end; at += kCacheLine) b.prefetch(row, at, cache - 1);
}

// Calls `tile` for rows in tiles of `most`, then for what is left, one by one.
void over_rows(Builder& b, Scalar rows, int most, const std::function<void(int)>& tile) {
  const Scalar whole = b.div(rows, most);
  b.loop(0, whole, 1, [&](Scalar) { tile(most); });
  if (most > 1) b.loop(0, b.sub(rows, b.mul(whole, most)), 1, [&](Scalar) { tile(1); });
}

class ScoreWriter {
 public:
  ScoreWriter(const Attention& attention, const DecodeBlocking& blocking, const ir::Target& target)
      : attention_(attention),
        s_(blocking),
        b_("attention_decode_scores", target),
        q_(b_.buffer("q", ir::Type::f32, BufferAccess::read)),
        k_(b_.buffer("k", attention.kv_type, BufferAccess::read)),
        scores_(b_.buffer("scores", ir::Type::f32, BufferAccess::write)),
        rows_(b_.parameter("rows")),
        columns_(b_.parameter("columns")),
        stride_(b_.parameter("k.stride1")) {
    if (s_.next_into > 0) next_ = b_.parameter("k.next");
  }

  Program write() {
    over_rows(b_, rows_, s_.mr, [&](int rows) {
      const Pointer keys = b_.copy(k_);
      const Pointer scores = b_.copy(scores_);
      const Scalar whole = b_.div(columns_, s_.key_rows);
      b_.loop(0, whole, 1, [&](Scalar) { some_keys(rows, s_.key_rows, keys, scores); });
      if (s_.key_rows > 1) {
        b_.loop(0, b_.sub(columns_, b_.mul(whole, s_.key_rows)), 1,
                [&](Scalar) { some_keys(rows, 1, keys, scores); });
      }
      b_.advance(q_, rows * s_.query_bytes());
      b_.advance(scores_, rows * s_.rows.score_bytes);
    });
    return b_.finish();
  }

 private:
  // The next `count` keys by a tile of rows.
  void some_keys(int rows, int count, Pointer keys, Pointer scores) {
    const FarRows near(b_, keys, count, stride_);
    for (int j = 0; s_.next_into > 0 && j < count; ++j)
      prefetch_row(b_, b_.offset(near.at(j), next_), 0,
                   attention_.dim * ir::size_of(attention_.kv_type), s_.next_into);
    std::vector<Vec> sums;
    for (int i = 0; i < rows * count; ++i) sums.push_back(b_.copy(b_.constant(0)));
    b_.vectors(attention_.dim, 4, [&](const Span& at, int) {
      std::vector<Vec> of_keys;
      for (int j = 0; j < count; ++j) of_keys.push_back(b_.load(near.at(j), at));
      for (int row = 0; row < rows; ++row) {
        const Vec query = b_.load(b_.offset(q_, row * s_.query_bytes()), at);
        for (int j = 0; j < count; ++j) {
          const Vec sum = sums[static_cast<size_t>(row * count + j)];
          b_.set(sum, b_.fma(query, of_keys[static_cast<size_t>(j)], sum));
        }
      }
    });
    for (int row = 0; row < rows; ++row) {
      const Pointer to = b_.offset(scores, row * s_.rows.score_bytes);
      for (int j = 0; j < count; ++j) {
        const Vec sum = b_.reduce_add(sums[static_cast<size_t>(row * count + j)]);
        b_.store(to, Span{j, {}, 1, b_.lanes() == 1}, sum);
      }
    }
    b_.advance(keys, b_.mul(stride_, count));
    b_.advance(scores, count * 4);
  }

  const Attention& attention_;
  const DecodeBlocking& s_;
  Builder b_;
  Pointer q_, k_, scores_;
  Scalar rows_, columns_, stride_, next_;
};

class ValueWriter {
 public:
  ValueWriter(const Attention& attention, const DecodeBlocking& blocking, const ir::Target& target)
      : attention_(attention),
        s_(blocking),
        b_("attention_decode_values", target),
        scores_(b_.buffer("scores", ir::Type::f32, BufferAccess::read)),
        v_(b_.buffer("v", attention.kv_type, BufferAccess::read)),
        values_(b_.buffer("values", ir::Type::f32, BufferAccess::read_write)),
        rows_(b_.parameter("rows")),
        columns_(b_.parameter("columns")),
        stride_(b_.parameter("v.stride1")) {
    if (s_.next_into > 0) next_ = b_.parameter("v.next");
  }

  Program write() {
    const int64_t lanes = b_.lanes();
    const int64_t vectors = (attention_.value_dim + lanes - 1) / lanes;
    over_rows(b_, rows_, s_.mr, [&](int rows) {
      for (int64_t first = 0; first < vectors; first += s_.value_vectors)
        chunk(rows, first, static_cast<int>(std::min<int64_t>(s_.value_vectors, vectors - first)));
      b_.advance(scores_, rows * s_.rows.score_bytes);
      b_.advance(values_, rows * s_.rows.value_bytes);
    });
    return b_.finish();
  }

 private:
  Span span(int64_t vector) const {
    const int64_t column = vector * b_.lanes();
    const int64_t count = std::min<int64_t>(attention_.value_dim - column, b_.lanes());
    return {column, {}, count, count == b_.lanes()};
  }

  // The vectors first … first + count - 1 of the values of a tile of rows.
  void chunk(int rows, int64_t first, int count) {
    std::vector<Vec> sums;
    for (int row = 0; row < rows; ++row)
      for (int i = 0; i < count; ++i)
        sums.push_back(
            b_.copy(b_.load(b_.offset(values_, row * s_.rows.value_bytes), span(first + i))));
    const Pointer value = b_.copy(v_);
    const Pointer score = b_.copy(scores_);
    const int64_t size = ir::size_of(attention_.kv_type);
    const int64_t begin = first * b_.lanes() * size;
    const int64_t end = std::min((first + count) * b_.lanes(), attention_.value_dim) * size;
    b_.loop(0, columns_, 1, [&](Scalar) {
      if (s_.next_into > 0) prefetch_row(b_, b_.offset(value, next_), begin, end, s_.next_into);
      std::vector<Vec> of_value;
      for (int i = 0; i < count; ++i) of_value.push_back(b_.load(value, span(first + i)));
      for (int row = 0; row < rows; ++row) {
        const Vec weight = b_.load_splat(b_.offset(score, row * s_.rows.score_bytes));
        for (int i = 0; i < count; ++i) {
          const Vec sum = sums[static_cast<size_t>(row * count + i)];
          b_.set(sum, b_.fma(weight, of_value[static_cast<size_t>(i)], sum));
        }
      }
      b_.advance(value, stride_);
      b_.advance(score, 4);
    });
    for (int row = 0; row < rows; ++row)
      for (int i = 0; i < count; ++i)
        b_.store(b_.offset(values_, row * s_.rows.value_bytes), span(first + i),
                 sums[static_cast<size_t>(row * count + i)]);
  }

  const Attention& attention_;
  const DecodeBlocking& s_;
  Builder b_;
  Pointer scores_, v_, values_;
  Scalar rows_, columns_, stride_, next_;
};

}  // namespace

Program decode_scores_program(const Attention& attention, const DecodeBlocking& blocking,
                              const ir::Target& target) {
  return ScoreWriter(attention, blocking, target).write();
}

Program decode_values_program(const Attention& attention, const DecodeBlocking& blocking,
                              const ir::Target& target) {
  return ValueWriter(attention, blocking, target).write();
}

}  // namespace lathe::compiler::kernels::attention
