// A few rows against keys and values where they lie: each is read once from memory, by as many rows
// as there are.
//
// Of rows in blocks of q8_0 a block's codes are widened once for all rows of a tile, and its scale
// is applied to the block's sum of a score, or to the weight of a value.
//
// Of rows of bf16 two neighbours are one 32-bit lane: the lane's upper half is one of them as f32
// already, the lower half the other once it is shifted up. Queries and sums then have their even
// elements before the odd ones (pairs.h).
#include <algorithm>

#include "compiler/kernels/attention/decode_rows.h"
#include "compiler/kernels/attention/lane_sums.h"
#include "compiler/kernels/attention/pairs.h"
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
  /// A block's scale in every lane. Where the block holds a whole vector of f16, that is widened
  /// where it lies, scale and codes alike, and its first lane spread: of an element that is spread
  /// before it is widened AVX2 widens a register, which takes twice as long.
  Vec scale(Pointer row, int64_t block) const {
    row.type = ir::Type::f16;
    const int64_t first = block * (kBlockBytes / 2);
    const int lanes = b_.lanes();
    if (lanes < 8 || lanes * 2 > kBlockBytes) return b_.load_splat(row, first);
    return b_.permute(b_.load(row, Span{first}),
                      std::vector<uint8_t>(static_cast<size_t>(lanes), 0));
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
      return sums[static_cast<size_t>((part % parts * rows + row) * count + j)];
    };
    const auto multiply = [&](const Span& at, int part, const std::vector<Vec>& of_keys) {
      for (int row = 0; row < rows; ++row) {
        const Vec query = b_.load(q_, in_row(at, row));
        for (int j = 0; j < count; ++j) {
          const Vec sum = sum_of(row, j, part);
          b_.set(sum, b_.fma(query, of_keys[static_cast<size_t>(j)], sum));
        }
      }
    };
    if (s_.pairs_keys) {
      const int64_t half = attention_.dim / 2;
      b_.vectors(half, std::max(parts / 2, 2), [&](const Span& at, int place) {
        multiply(at, 2 * place, halves(near, count, at, Half::even));
        multiply(behind(at, half), 2 * place + 1, halves(near, count, at, Half::odd));
      });
    } else {
      b_.vectors(attention_.dim, std::max(parts, 4), [&](const Span& at, int place) {
        std::vector<Vec> of_keys;
        for (int j = 0; j < count; ++j) of_keys.push_back(b_.load(near.at(j), at));
        multiply(at, place, of_keys);
      });
    }
    std::vector<Vec> whole;
    for (int row = 0; row < rows; ++row) {
      for (int j = 0; j < count; ++j) {
        Vec sum = sum_of(row, j, 0);
        for (int part = 1; part < parts; ++part) sum = sum + sum_of(row, j, part);
        whole.push_back(sum);
      }
    }
    store_scores(scores, rows, count, whole);
  }

  std::vector<Vec> halves(const FarRows& near, int count, const Span& at, Half half) {
    std::vector<Vec> of_keys;
    for (int j = 0; j < count; ++j) of_keys.push_back(load_half(b_, near.at(j), at, half));
    return of_keys;
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
    store_scores(scores, rows, count, sums);
  }

  std::vector<Vec> zeros(int count) {
    std::vector<Vec> sums;
    for (int i = 0; i < count; ++i) sums.push_back(b_.copy(b_.constant(0)));
    return sums;
  }

  // Adds up the lanes of sums, those of a row's keys side by side, and writes them: as many at once
  // as a vector has lanes.
  void store_scores(Pointer scores, int rows, int count, const std::vector<Vec>& sums) {
    const int all = rows * count, together = std::min(all, b_.lanes());
    for (int first = 0; first < all; first += together) {
      std::vector<Vec> some;
      for (int i = first; i < first + together; ++i)
        some.push_back(sums[static_cast<size_t>(i % rows * count + i / rows)]);
      const LaneSums added = lane_sums(b_, some);
      // Sum i is of row i % rows and key i / rows.
      for (int row = 0; row < rows; ++row) {
        std::vector<uint8_t> from;
        int key = -1;
        for (int i = first; i < first + together; ++i) {
          if (i % rows != row) continue;
          if (key < 0) key = i / rows;
          const auto owner = static_cast<size_t>(i - first);
          const auto lane = std::find(added.vector_of.begin(), added.vector_of.end(), owner);
          from.push_back(static_cast<uint8_t>(lane - added.vector_of.begin()));
        }
        if (key >= 0) store_row(scores, row, key, added.sums, std::move(from));
      }
    }
  }

  // Writes lanes `from` of `sums` to a row's scores from `key` on.
  void store_row(Pointer scores, int row, int key, Vec sums, std::vector<uint8_t> from) {
    const auto count = static_cast<int64_t>(from.size());
    // What the other lanes get does not matter: the same within all fours, which is cheap.
    for (auto i = static_cast<size_t>(count); i < static_cast<size_t>(b_.lanes()); ++i)
      from.push_back(static_cast<uint8_t>(i < 4 ? from[0] : i / 4 * 4 + from[i % 4] % 4));
    bool is_in_place = true;
    for (int64_t i = 0; i < count; ++i)
      is_in_place = is_in_place && from[static_cast<size_t>(i)] == i;
    b_.store(scores, Span{row * s_.rows.score_bytes / 4 + key, {}, count, b_.lanes() == count},
             is_in_place ? sums : b_.permute(sums, from));
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
    if (s_.rows.pairs) {
      const int64_t half_width = attention_.value_dim / 2;
      b_.vectors(half_width, 2, [&](const Span& at, int) {
        for (const Half half : {Half::even, Half::odd}) {
          std::vector<Vec> of_values;
          for (int j = 0; j < count; ++j) of_values.push_back(load_half(b_, near.at(j), at, half));
          add(rows, values_, half == Half::even ? at : behind(at, half_width), weights, of_values);
        }
      });
      return;
    }
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
