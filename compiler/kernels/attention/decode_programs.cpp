// A few rows against keys and values where they lie: each is read once from memory, by as many rows
// as there are. Heads that lie side by side make the rows of one head lie far apart, which hardware
// does not foresee.
#include <algorithm>
#include <optional>

#include "compiler/kernels/attention/attention.h"
#include "compiler/kernels/attention/listed_pages.h"

namespace lathe::compiler::kernels::attention {
namespace {

using ir::program::BufferAccess;
using ir::program::Builder;
using ir::program::Pointer;
using ir::program::Program;
using ir::program::Scalar;
using ir::program::Span;
using ir::program::Vec;

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

// Sums that keep the multipliers busy: their latency times how many start in a cycle.
constexpr int kBusySums = 8;

// Asks for a row of k or v that is read later: some rows ahead, or at the same place of the next
// head.
void ask_ahead(Builder& b, const DecodeBlocking& s, Pointer row, Scalar stride, Scalar next,
               int64_t columns, ir::Type type) {
  if (s.ahead == 0) return;
  const Pointer later = b.offset(row, s.ahead == kNextHead ? next : b.mul(stride, s.ahead));
  for (int64_t at = 0; at < columns * ir::size_of(type); at += product::kLine)
    b.prefetch(later, at, s.ahead == kNextHead ? 1 : 0);
}

// Calls `some` for as many as `most` of `count` at once, then for what is left, one by one.
void some_at_once(Builder& b, Scalar count, int most, const std::function<void(int)>& some) {
  const Scalar whole = b.div(count, most);
  b.loop(0, whole, 1, [&](Scalar) { some(most); });
  if (most > 1) b.loop(0, b.sub(count, b.mul(whole, most)), 1, [&](Scalar) { some(1); });
}

// Calls `some` for the rows of k or v of each listed page, and the columns of scores that it has;
// `next` becomes the distance to the same row of the page that follows.
void over_pages(Builder& b, const ListedPages& pages, const DecodeBlocking& s, Pointer first,
                Pointer scores, Scalar stride, Scalar& next,
                const std::function<void(Scalar, Pointer, Pointer)>& some) {
  const Pointer columns = b.copy(scores);
  pages.visit([&](const ListedPages::Page& page) {
    if (s.ahead == kNextHead) next = b.mul(b.sub(page.next, page.begin), stride);
    const Pointer rows = b.offset(first, b.mul(page.begin, stride));
    const Pointer of_page = b.copy(columns);
    some(page.count, rows, of_page);
    b.advance(columns, s.page * 4);
  });
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
        columns_(s_.page > 0 ? Scalar{} : b_.parameter("columns")),
        stride_(b_.parameter("k.stride1")) {
    if (s_.page > 0) {
      pages_.emplace(b_, s_.page);
    } else if (s_.ahead == kNextHead) {
      next_ = b_.parameter("k.next");
    }
  }

  Program write() {
    some_at_once(b_, rows_, s_.mr, [&](int rows) {
      const auto by_keys = [&](Scalar columns, Pointer keys, Pointer scores) {
        some_at_once(b_, columns, s_.key_rows,
                     [&](int count) { some_keys(rows, count, keys, scores); });
      };
      if (pages_) {
        over_pages(b_, *pages_, s_, k_, scores_, stride_, next_, by_keys);
      } else {
        const Pointer keys = b_.copy(k_);
        const Pointer scores = b_.copy(scores_);
        by_keys(columns_, keys, scores);
      }
      b_.advance(q_, rows * s_.query_bytes());
      b_.advance(scores_, rows * s_.rows.score_bytes);
    });
    return b_.finish();
  }

 private:
  // The next `count` keys by a tile of rows; each sum is kept in as many parts as keep the
  // multipliers busy, so that keys can be read one by one, as memory likes to be read.
  void some_keys(int rows, int count, Pointer keys, Pointer scores) {
    const FarRows near(b_, keys, count, stride_);
    for (int j = 0; j < count; ++j)
      ask_ahead(b_, s_, near.at(j), stride_, next_, attention_.dim, attention_.kv_type);
    const int parts = std::max(kBusySums / (rows * count), 1);
    std::vector<Vec> sums;
    for (int i = 0; i < rows * count * parts; ++i) sums.push_back(b_.copy(b_.constant(0)));
    const auto sum_of = [&](int row, int j, int part) {
      return sums[static_cast<size_t>((part * rows + row) * count + j)];
    };
    b_.vectors(attention_.dim, std::max(parts, 4), [&](const Span& at, int place) {
      std::vector<Vec> of_keys;
      for (int j = 0; j < count; ++j) of_keys.push_back(b_.load(near.at(j), at));
      for (int row = 0; row < rows; ++row) {
        Span in_row = at;
        in_row.offset += row * s_.query_bytes() / 4;
        const Vec query = b_.load(q_, in_row);
        for (int j = 0; j < count; ++j) {
          const Vec sum = sum_of(row, j, place % parts);
          b_.set(sum, b_.fma(query, of_keys[static_cast<size_t>(j)], sum));
        }
      }
    });
    for (int row = 0; row < rows; ++row) {
      for (int j = 0; j < count; ++j) {
        Vec sum = sum_of(row, j, 0);
        for (int part = 1; part < parts; ++part) sum = sum + sum_of(row, j, part);
        b_.store(scores, Span{row * s_.rows.score_bytes / 4 + j, {}, 1, b_.lanes() == 1},
                 b_.reduce_add(sum));
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
  std::optional<ListedPages> pages_{};
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
        columns_(s_.page > 0 ? Scalar{} : b_.parameter("columns")),
        stride_(b_.parameter("v.stride1")) {
    if (s_.page > 0) {
      pages_.emplace(b_, s_.page);
    } else if (s_.ahead == kNextHead) {
      next_ = b_.parameter("v.next");
    }
  }

  Program write() {
    some_at_once(b_, rows_, s_.mr, [&](int rows) {
      const auto by_values = [&](Scalar columns, Pointer value, Pointer weight) {
        some_at_once(b_, columns, s_.value_rows,
                     [&](int count) { some_values(rows, count, value, weight); });
      };
      if (pages_) {
        over_pages(b_, *pages_, s_, v_, scores_, stride_, next_, by_values);
      } else {
        const Pointer value = b_.copy(v_);
        const Pointer weight = b_.copy(scores_);
        by_values(columns_, value, weight);
      }
      b_.advance(scores_, rows * s_.rows.score_bytes);
      b_.advance(values_, rows * s_.rows.value_bytes);
    });
    return b_.finish();
  }

 private:
  // The next `count` rows of v, weighted for a tile of rows, whose sums stay in the first cache:
  // all of a row of v is read before the next.
  void some_values(int rows, int count, Pointer value, Pointer weight) {
    const FarRows near(b_, value, count, stride_);
    for (int j = 0; j < count; ++j)
      ask_ahead(b_, s_, near.at(j), stride_, next_, attention_.value_dim, attention_.kv_type);
    std::vector<Vec> weights;
    for (int row = 0; row < rows; ++row)
      for (int j = 0; j < count; ++j)
        weights.push_back(b_.load_splat(weight, row * s_.rows.score_bytes / 4 + j));
    b_.vectors(attention_.value_dim, 2, [&](const Span& at, int) {
      std::vector<Vec> of_values;
      for (int j = 0; j < count; ++j) of_values.push_back(b_.load(near.at(j), at));
      for (int row = 0; row < rows; ++row) {
        Span in_row = at;
        in_row.offset += row * s_.rows.value_bytes / 4;
        Vec sum = b_.load(values_, in_row);
        for (int j = 0; j < count; ++j)
          sum = b_.fma(weights[static_cast<size_t>(row * count + j)],
                       of_values[static_cast<size_t>(j)], sum);
        b_.store(values_, in_row, sum);
      }
    });
    b_.advance(value, b_.mul(stride_, count));
    b_.advance(weight, count * 4);
  }

  const Attention& attention_;
  const DecodeBlocking& s_;
  Builder b_;
  Pointer scores_, v_, values_;
  Scalar rows_, columns_, stride_, next_;
  std::optional<ListedPages> pages_{};
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
