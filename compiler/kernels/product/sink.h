// Where the sums of a tile go: to y, to scratch between blocks of k within a panel, or to scratch
// and from there through the epilogue.
#pragma once

#include <algorithm>

#include "compiler/kernels/product/arithmetic.h"

namespace lathe::compiler::kernels::product {

class Sink {
 public:
  /// `columns`: how many of each panel's columns exist.
  Sink(Builder& b, const Product& product, int64_t columns)
      : b_(b), product_(product), plain_(product.has_plain_epilogue()), columns_(columns) {}

  /// Asks for the lines of y that the tile will write. It does so, and between blocks of k reads
  /// them, at its end only: where rows are many, they would hold up the tiles that follow.
  void prefetch(const Tile& tile) const {
    const int64_t bytes = columns(tile) * ir::size_of(product_.tile_out());
    const Pointer y = b_.copy(tile.at.y);
    for (int row = 0; row < tile.mr; ++row) {
      for (int64_t at = 0; at < bytes; at += kLine) b_.prefetch(y, at);
      if (row + 1 < tile.mr) b_.advance(y, tile.at.y_stride);
    }
  }

  /// Whether anything becomes of the sums of the tile's part.
  bool takes(const Tile& tile) const {
    const bool kept = tile.s.has_blocks(product_) && !plain_;
    return vectors_of_y(tile) > 0 || product_.pair || kept;
  }

  /// Adds what earlier blocks of k left, and leaves the sums where the next finds them or, of the
  /// last block, where they go.
  void take(RegisterTile& sums, const Tile& tile) const {
    if (!tile.s.has_blocks(product_)) return put_last(sums, tile);
    const Way between = tile.s.has_inner_blocks(product_) ? Way::scratch : Way::y;
    b_.branch(Compare::gt, tile.at.before, 0, [&] { add(sums, tile, between); });
    b_.branch(
        Compare::le, tile.at.after, 0, [&] { put_last(sums, tile); },
        [&] { put(sums, tile, between); });
  }

  /// Once all parts are taken: of the last block of k, sends the sums through the epilogue.
  void finish(const Tile& tile) const {
    if (plain_) return;
    if (!tile.s.has_blocks(product_)) return epilogue(tile);
    b_.branch(Compare::le, tile.at.after, 0, [&] { epilogue(tile); });
  }

 private:
  enum class Way : uint8_t { y, scratch };

  // Columns of y that the tile's panels make, and vectors of its part that reach one.
  int64_t columns(const Tile& tile) const { return tile.streams * columns_; }
  int vectors_of_y(const Tile& tile) const {
    const int64_t left = columns(tile) - tile.part * tile.s.nr * tile.lanes;
    const int64_t reach = (left + tile.lanes - 1) / tile.lanes;
    return static_cast<int>(std::clamp<int64_t>(reach, 0, tile.wide()));
  }

  // Visits where the tile's sums lie in y or scratch, row by row and vector by vector, after
  // `before` of the first.
  using Visit = std::function<void(int row, int v, Pointer, const Span&)>;
  void each(const Tile& tile, Way way, const Visit& visit,
            const std::function<void()>& before = {}) const {
    const bool in_y = way == Way::y;
    const Pointer to = in_y ? b_.copy(tile.at.y) : tile.at.sums;
    if (before) before();
    const int64_t width = product_.panel * tile.streams;
    for (int row = 0; row < tile.mr; ++row) {
      for (int v = 0; v < (in_y ? vectors_of_y(tile) : tile.wide()); ++v) {
        Span at = place(tile, v);
        if (!in_y) at = Span{row * width + at.offset};
        visit(row, v, to, at);
      }
      if (in_y && row + 1 < tile.mr) b_.advance(to, tile.at.y_stride);
    }
  }
  // What vector v of the part makes of a row of y.
  Span place(const Tile& tile, int v) const {
    const int64_t start = (tile.part * tile.s.nr + v) * tile.lanes;
    const int64_t count = std::min(columns(tile) - start, tile.lanes);
    return {start, {}, count, count == tile.lanes};
  }

  void add(RegisterTile& sums, const Tile& tile, Way way) const {
    each(tile, way, [&](int row, int v, Pointer from, const Span& at) {
      b_.set(sums.at(row, v), sums.at(row, v) + b_.load(from, at));
    });
  }
  void put(const RegisterTile& sums, const Tile& tile, Way way) const {
    each(tile, way,
         [&](int row, int v, Pointer to, const Span& at) { b_.store(to, at, sums.at(row, v)); });
  }
  void put_last(const RegisterTile& sums, const Tile& tile) const {
    if (!plain_ || tile.at.inputs.empty()) return put(sums, tile, plain_ ? Way::y : Way::scratch);
    std::vector<Vec> bias;
    each(
        tile, Way::y,
        [&](int row, int v, Pointer y, const Span& at) {
          b_.store(y, at, sums.at(row, v) + bias[static_cast<size_t>(v)]);
        },
        [&] {
          for (int v = 0; v < vectors_of_y(tile); ++v)
            bias.push_back(b_.load(tile.at.inputs.front().pointer, place(tile, v)));
        });
  }

  // The fragment over the tile, row by row; its temporaries have the registers for themselves.
  void epilogue(const Tile& tile) const {
    const Pointer sums = b_.copy(tile.at.sums);
    const Pointer y = b_.copy(tile.at.y);
    std::vector<EpilogueInput> inputs = tile.at.inputs;
    for (EpilogueInput& input : inputs)
      if (input.stride.reg.valid()) input.pointer = b_.copy(input.pointer);
    const auto pointer = [&](const FragmentInput& leaf) {
      const auto named = [&](const EpilogueInput& input) { return input.port->name == leaf.name; };
      return std::find_if(inputs.begin(), inputs.end(), named)->pointer;
    };
    FragmentCode code(product_.epilogue, b_, {});
    b_.loop(0, tile.mr, 1, [&](Scalar) {
      code.begin_row([&](const FragmentInput& leaf) { return b_.load_splat(pointer(leaf)); });
      b_.vectors(columns(tile), [&](const Span& at) {
        const Vec value = code.at([&](const FragmentInput& leaf) {
          if (leaf.name == "y") return b_.load(sums, at);
          if (!product_.pair || leaf.name != "z") return b_.load(pointer(leaf), at);
          Span of_z = at;
          of_z.offset += product_.panel_columns();
          return b_.load(sums, of_z);
        });
        b_.store(y, at, value);
      });
      b_.advance(sums, product_.panel * tile.streams * 4);
      b_.advance(y, tile.at.y_stride);
      for (const EpilogueInput& input : inputs)
        if (input.stride.reg.valid()) b_.advance(input.pointer, input.stride);
    });
  }

  Builder& b_;
  const Product& product_;
  const bool plain_;
  const int64_t columns_;
};

}  // namespace lathe::compiler::kernels::product
