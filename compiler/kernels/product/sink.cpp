// Sums on their way out of the registers.
#include "compiler/kernels/product/sink.h"

#include <algorithm>

namespace lathe::compiler::kernels::product {

using ir::program::Compare;
using ir::program::Pointer;
using ir::program::Scalar;
using ir::program::Span;
using ir::program::Vec;

namespace {
constexpr int64_t kLine = 64;
}

bool Sink::takes(const Tile& tile) const {
  const bool kept = tile.s.has_blocks(product_) && !plain_;
  return stored_vectors(tile) > 0 || product_.pair || kept;
}

void Sink::take(RegisterTile& sums, const Tile& tile) const {
  if (!tile.s.has_blocks(product_)) return last(sums, tile);
  const bool inner = tile.s.has_inner_blocks(product_);
  b_.branch(Compare::gt, tile.at.before, 0,
            [&] { inner ? add_scratch(sums, tile) : add_y(sums, tile); });
  b_.branch(
      Compare::le, tile.at.after, 0, [&] { last(sums, tile); },
      [&] { inner ? to_scratch(sums, tile) : to_y(sums, tile, {}); });
}

void Sink::finish(const Tile& tile) const {
  if (plain_) return;
  if (!tile.s.has_blocks(product_)) return epilogue(tile);
  b_.branch(Compare::le, tile.at.after, 0, [&] { epilogue(tile); });
}

void Sink::last(const RegisterTile& sums, const Tile& tile) const {
  if (!plain_) return to_scratch(sums, tile);
  const auto& inputs = tile.at.inputs;
  to_y(sums, tile, inputs.empty() ? Pointer{} : inputs.front().pointer);
}

// y is written, and between blocks of k read, at the end only. Where rows are many, it is far away:
// unless asked for, its lines would hold up the tiles that follow.
void Sink::prefetch(const Tile& tile) const {
  const int64_t bytes = columns(tile) * ir::size_of(product_.tile_out());
  over_rows(tile, [&](int, Pointer y) {
    for (int64_t at = 0; at < bytes; at += kLine) b_.prefetch(y, at);
  });
}

// Vectors of the tile's part that reach a column of y.
int Sink::stored_vectors(const Tile& tile) const {
  const int64_t lanes = b_.lanes();
  const int64_t reach = (columns(tile) - tile.part * tile.s.nr * lanes + lanes - 1) / lanes;
  return static_cast<int>(std::clamp<int64_t>(reach, 0, tile.wide()));
}

// What vector v of the part makes of a row of y.
Span Sink::in_y(const Tile& tile, int v) const {
  const int64_t start = int64_t{tile.part * tile.s.nr + v} * b_.lanes();
  const int64_t count = std::min<int64_t>(columns(tile) - start, b_.lanes());
  return {start, {}, count, count == b_.lanes()};
}

Span Sink::in_scratch(const Tile& tile, int row, int v) const {
  const int64_t vector = tile.part * tile.s.nr + v;
  return Span{row * product_.panel * tile.streams + vector * b_.lanes()};
}

// Visits the rows of y.
void Sink::over_rows(const Tile& tile, const std::function<void(int, Pointer)>& row) const {
  const Pointer y = b_.copy(tile.at.y);
  for (int i = 0; i < tile.mr; ++i) {
    row(i, y);
    if (i + 1 < tile.mr) b_.advance(y, tile.at.y_stride);
  }
}

void Sink::add_y(RegisterTile& sums, const Tile& tile) const {
  over_rows(tile, [&](int row, Pointer y) {
    for (int v = 0; v < stored_vectors(tile); ++v)
      b_.set(sums.at(row, v), sums.at(row, v) + b_.load(y, in_y(tile, v)));
  });
}

void Sink::add_scratch(RegisterTile& sums, const Tile& tile) const {
  for (int row = 0; row < tile.mr; ++row) {
    for (int v = 0; v < tile.wide(); ++v) {
      const Vec kept = b_.load(tile.at.sums, in_scratch(tile, row, v));
      b_.set(sums.at(row, v), sums.at(row, v) + kept);
    }
  }
}

void Sink::to_y(const RegisterTile& sums, const Tile& tile, Pointer bias) const {
  const Pointer y = b_.copy(tile.at.y);
  std::vector<Vec> biases;
  for (int v = 0; bias.reg.valid() && v < stored_vectors(tile); ++v)
    biases.push_back(b_.load(bias, in_y(tile, v)));
  for (int row = 0; row < tile.mr; ++row) {
    for (int v = 0; v < stored_vectors(tile); ++v) {
      const Vec sum = sums.at(row, v);
      b_.store(y, in_y(tile, v), biases.empty() ? sum : sum + biases[static_cast<size_t>(v)]);
    }
    if (row + 1 < tile.mr) b_.advance(y, tile.at.y_stride);
  }
}

void Sink::to_scratch(const RegisterTile& sums, const Tile& tile) const {
  for (int row = 0; row < tile.mr; ++row)
    for (int v = 0; v < tile.wide(); ++v)
      b_.store(tile.at.sums, in_scratch(tile, row, v), sums.at(row, v));
}

// The fragment over the tile, row by row; its temporaries have the registers for themselves.
void Sink::epilogue(const Tile& tile) const {
  const Pointer sums = b_.copy(tile.at.sums);
  const Pointer y = b_.copy(tile.at.y);
  std::vector<EpilogueInput> inputs = tile.at.inputs;
  for (EpilogueInput& input : inputs)
    if (input.stride.reg.valid()) input.pointer = b_.copy(input.pointer);
  const auto pointer = [&](const FragmentInput& leaf) {
    return std::find_if(inputs.begin(), inputs.end(),
                        [&](const EpilogueInput& input) { return input.port->name == leaf.name; })
        ->pointer;
  };
  FragmentCode code(product_.epilogue, b_, {});
  b_.loop(0, tile.mr, 1, [&](Scalar) {
    code.begin_row([&](const FragmentInput& leaf) { return b_.load_splat(pointer(leaf)); });
    b_.vectors(columns(tile), [&](const Span& place) {
      const Vec value = code.at([&](const FragmentInput& leaf) {
        if (leaf.name == "y") return b_.load(sums, place);
        if (!product_.pair || leaf.name != "z") return b_.load(pointer(leaf), place);
        Span of_z = place;
        of_z.offset += product_.panel_columns();
        return b_.load(sums, of_z);
      });
      b_.store(y, place, value);
    });
    b_.advance(sums, product_.panel * tile.streams * 4);
    b_.advance(y, tile.at.y_stride);
    for (const EpilogueInput& input : inputs)
      if (input.stride.reg.valid()) b_.advance(input.pointer, input.stride);
  });
}

}  // namespace lathe::compiler::kernels::product
