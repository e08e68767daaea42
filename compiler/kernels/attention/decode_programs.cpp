// A few rows against keys and values where they lie: each is read once from memory, by as many rows
// as there are.
//
// Of rows in blocks of q8_0 a block's codes are widened once for all rows of a tile, and its scale
// is applied to the block's sum of a score, or to the weight of a value.
#include <algorithm>

#include "compiler/kernels/attention/decode_rows.h"
#include "compiler/kernels/attention/rows_at_once.h"

namespace lathe::compiler::kernels::attention {
namespace {

using ir::program::BufferAccess;
using ir::program::Builder;
using ir::program::Pointer;
using ir::program::Program;
using ir::program::Scalar;
using ir::program::Span;
using ir::program::Vec;

// Sums that keep the multipliers busy: their latency times how many start in a cycle.
constexpr int kBusySums = 8;

bool has_blocks(const Attention& attention) {
  return ir::info(attention.kv_type).block_elements > 1;
}

// A row's blocks of q8_0 as GGUF has them: an f16 scale, then the codes.
class RowBlocks {
 public:
  static constexpr int64_t kBlock = 32;
  static constexpr int64_t kScaleBytes = 2;
  static constexpr int64_t kBlockBytes = kScaleBytes + kBlock;
  static constexpr int kVectors = 4;  ///< of a block that are laid out, at least where lanes are 8

  RowBlocks(Builder& b, int64_t width) : b_(b), blocks_(width / kBlock) {}

  /// Calls visit(block) for every block: the place among those of a trip, by which pointers offset
  /// what they read. Between trips `rows` of blocks, and `floats` of f32 beside them, are moved.
  void over(const std::vector<Pointer>& rows, Pointer floats,
            const std::function<void(int64_t)>& visit) const {
    const int64_t together = b_.lanes() >= kBlock / kVectors ? 4 : 1;
    const int64_t trips = blocks_ / together;
    int64_t done = 0;
    if (trips > 1) {
      b_.loop(0, trips, 1, [&](Scalar) {
        for (int64_t block = 0; block < together; ++block) visit(block);
        for (const Pointer& row : rows) b_.advance(row, together * kBlockBytes);
        b_.advance(floats, together * kBlock * 4);
      });
      done = trips * together;
    }
    for (int64_t block = 0; done + block < blocks_; ++block) visit(block);
  }

  /// Codes of a block as f32.
  Vec codes(Pointer row, int64_t block, Span at) const {
    row.type = ir::Type::i8;
    at.offset += block * kBlockBytes + kScaleBytes;
    return b_.to_float(b_.load(row, at));
  }
  Vec scale(Pointer row, int64_t block) const {
    row.type = ir::Type::f16;
    return b_.load_splat(row, block * (kBlockBytes / 2));
  }
  /// Whether a block's vectors are laid out one behind the other, without a loop.
  bool are_laid_out() const { return kBlock / b_.lanes() <= kVectors; }
  static Span beside(Span at, int64_t block) {
    at.offset += block * kBlock;
    return at;
  }

 private:
  Builder& b_;
  int64_t blocks_;
};

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
        keys_(b_, attention, blocking, "k", attention.dim, k_) {}

  Program write() {
    keys_.by_distance([&] { go_over_rows(); });
    return b_.finish();
  }

 private:
  void go_over_rows() {
    some_at_once(b_, rows_, s_.mr, [&](int rows) {
      keys_.over(scores_, [&](Pointer keys, Scalar columns, Pointer scores) {
        some_at_once(b_, columns, s_.key_rows, [&](int count) {
          const FarRows near(b_, keys, count, keys_.stride());
          for (int j = 0; j < count; ++j) keys_.ask_ahead(near.at(j));
          if (has_blocks(attention_)) {
            some_keys_of_blocks(rows, count, near, scores);
          } else {
            some_keys(rows, count, near, scores);
          }
          b_.advance(keys, b_.mul(keys_.stride(), count));
          b_.advance(scores, count * 4);
        });
      });
      b_.advance(q_, rows * s_.query_bytes());
      b_.advance(scores_, rows * s_.rows.score_bytes);
    });
  }

  Span in_row(Span at, int row) const {
    at.offset += row * s_.query_bytes() / 4;
    return at;
  }

  // The next `count` keys by a tile of rows; each sum is kept in as many parts as keep the
  // multipliers busy, so that keys can be read one by one, as memory likes to be read.
  void some_keys(int rows, int count, const FarRows& near, Pointer scores) {
    const int parts = std::max(kBusySums / (rows * count), 1);
    std::vector<Vec> sums = zeros(rows * count * parts);
    const auto sum_of = [&](int row, int j, int part) {
      return sums[static_cast<size_t>((part * rows + row) * count + j)];
    };
    b_.vectors(attention_.dim, std::max(parts, 4), [&](const Span& at, int place) {
      std::vector<Vec> of_keys;
      for (int j = 0; j < count; ++j) of_keys.push_back(b_.load(near.at(j), at));
      for (int row = 0; row < rows; ++row) {
        const Vec query = b_.load(q_, in_row(at, row));
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
        store_score(scores, row, j, sum);
      }
    }
  }

  // The same of keys in blocks. Blocks do not wait for each other: each begins its own sums.
  void some_keys_of_blocks(int rows, int count, const FarRows& near, Pointer scores) {
    const RowBlocks blocks(b_, attention_.dim);
    const auto place_of = [&](int row, int j) { return static_cast<size_t>(row * count + j); };
    std::vector<Vec> sums = zeros(rows * count);
    const Pointer query_row = b_.copy(q_);
    blocks.over(near.all(), query_row, [&](int64_t block) {
      std::vector<Vec> dots;
      if (!blocks.are_laid_out()) dots = zeros(rows * count);
      b_.vectors(RowBlocks::kBlock, RowBlocks::kVectors, [&](const Span& at, int) {
        std::vector<Vec> codes;
        for (int j = 0; j < count; ++j) codes.push_back(blocks.codes(near.at(j), block, at));
        const bool is_first = dots.empty();
        for (int row = 0; row < rows; ++row) {
          const Vec query = b_.load(query_row, in_row(RowBlocks::beside(at, block), row));
          for (int j = 0; j < count; ++j) {
            const Vec code = codes[static_cast<size_t>(j)];
            if (is_first) {
              dots.push_back(query * code);
            } else {
              const Vec dot = dots[place_of(row, j)];
              b_.set(dot, b_.fma(query, code, dot));
            }
          }
        }
      });
      for (int j = 0; j < count; ++j) {
        const Vec scale = blocks.scale(near.at(j), block);
        for (int row = 0; row < rows; ++row) {
          const Vec sum = sums[place_of(row, j)];
          b_.set(sum, b_.fma(dots[place_of(row, j)], scale, sum));
        }
      }
    });
    for (int row = 0; row < rows; ++row)
      for (int j = 0; j < count; ++j) store_score(scores, row, j, sums[place_of(row, j)]);
  }

  std::vector<Vec> zeros(int count) {
    std::vector<Vec> sums;
    for (int i = 0; i < count; ++i) sums.push_back(b_.copy(b_.constant(0)));
    return sums;
  }

  void store_score(Pointer scores, int row, int j, Vec sum) {
    b_.store(scores, Span{row * s_.rows.score_bytes / 4 + j, {}, 1, b_.lanes() == 1},
             b_.reduce_add(sum));
  }

  const Attention& attention_;
  const DecodeBlocking& s_;
  Builder b_;
  Pointer q_, k_, scores_;
  Scalar rows_;
  CachedRows keys_;
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
        cached_(b_, attention, blocking, "v", attention.value_dim, v_) {}

  Program write() {
    cached_.by_distance([&] { go_over_rows(); });
    return b_.finish();
  }

 private:
  void go_over_rows() {
    some_at_once(b_, rows_, s_.mr, [&](int rows) {
      cached_.over(scores_, [&](Pointer value, Scalar columns, Pointer weight) {
        some_at_once(b_, columns, s_.value_rows, [&](int count) {
          const FarRows near(b_, value, count, cached_.stride());
          for (int j = 0; j < count; ++j) cached_.ask_ahead(near.at(j));
          if (has_blocks(attention_)) {
            some_values_of_blocks(rows, count, near, weight);
          } else {
            some_values(rows, count, near, weight);
          }
          b_.advance(value, b_.mul(cached_.stride(), count));
          b_.advance(weight, count * 4);
        });
      });
      b_.advance(scores_, rows * s_.rows.score_bytes);
      b_.advance(values_, rows * s_.rows.value_bytes);
    });
  }

  // The next `count` rows of v, weighted for a tile of rows, whose sums stay in the first cache:
  // all of a row of v is read before the next.
  void some_values(int rows, int count, const FarRows& near, Pointer weight) {
    std::vector<Vec> weights;
    for (int row = 0; row < rows; ++row)
      for (int j = 0; j < count; ++j) weights.push_back(weight_of(weight, row, j));
    b_.vectors(attention_.value_dim, 2, [&](const Span& at, int) {
      std::vector<Vec> of_values;
      for (int j = 0; j < count; ++j) of_values.push_back(b_.load(near.at(j), at));
      add(rows, values_, at, weights, of_values);
    });
  }

  // The same of values in blocks, whose scales join the weights.
  void some_values_of_blocks(int rows, int count, const FarRows& near, Pointer weight) {
    const RowBlocks blocks(b_, attention_.value_dim);
    const Pointer sums = b_.copy(values_);
    blocks.over(near.all(), sums, [&](int64_t block) {
      std::vector<Vec> scales, weights;
      for (int j = 0; j < count; ++j) scales.push_back(blocks.scale(near.at(j), block));
      for (int row = 0; row < rows; ++row) {
        for (int j = 0; j < count; ++j) {
          const Vec splat = weight_of(weight, row, j);
          weights.push_back(splat * scales[static_cast<size_t>(j)]);
        }
      }
      b_.vectors(RowBlocks::kBlock, RowBlocks::kVectors, [&](const Span& at, int) {
        std::vector<Vec> codes;
        for (int j = 0; j < count; ++j) codes.push_back(blocks.codes(near.at(j), block, at));
        add(rows, sums, RowBlocks::beside(at, block), weights, codes);
      });
    });
  }

  Vec weight_of(Pointer weight, int row, int j) {
    return b_.load_splat(weight, row * s_.rows.score_bytes / 4 + j);
  }

  // A vector of each row's sums gets what the rows of v have there.
  void add(int rows, Pointer sums, const Span& at, const std::vector<Vec>& weights,
           const std::vector<Vec>& of_values) {
    const size_t count = of_values.size();
    for (int row = 0; row < rows; ++row) {
      Span in_row = at;
      in_row.offset += row * s_.rows.value_bytes / 4;
      Vec sum = b_.load(sums, in_row);
      for (size_t j = 0; j < count; ++j)
        sum = b_.fma(weights[static_cast<size_t>(row) * count + j], of_values[j], sum);
      b_.store(sums, in_row, sum);
    }
  }

  const Attention& attention_;
  const DecodeBlocking& s_;
  Builder b_;
  Pointer scores_, v_, values_;
  Scalar rows_;
  CachedRows cached_;
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
