// The programs of linear: packing rows of x, and the block that multiplies them by panels of w.
//
// The block is the inner part of Goto and van de Geijn's algorithm (Anatomy of High-Performance
// Matrix Multiplication, 2008): a panel of w, a block of k deep, stays in the first cache while the
// rows of x, which stay in the second, pass by in register tiles.
#include <algorithm>
#include <utility>

#include "compiler/kernels/linear_int8.h"
#include "compiler/kernels/register_tile.h"

namespace lathe::compiler::kernels {
namespace {

using ir::program::BufferAccess;
using ir::program::Builder;
using ir::program::Compare;
using ir::program::Count;
using ir::program::Pointer;
using ir::program::Program;
using ir::program::Scalar;
using ir::program::Span;
using ir::program::Vec;

constexpr int64_t kLine = 64;

class BlockWriter {
 public:
  BlockWriter(const Linear& linear, const LinearBlocking& blocking, const ir::Target& target,
              int64_t columns)
      : linear_(linear), s_(blocking), b_(linear.name, target), columns_(columns) {
    if (columns_ < linear.panel_columns()) s_.streams = 1;  // the last panel is alone
    if (linear.quantised()) {
      // Who quantised x elsewhere may have written -128.
      const int64_t least = linear.type == ir::Type::q8_0 ? -128 : -127;
      x_ = b_.buffer("x", QuantisedRows(linear, target).codes, BufferAccess::read, least, 127);
      factors_ = b_.buffer("x_factors", ir::Type::f32, BufferAccess::read);
    } else {
      x_ = b_.buffer(linear.signature.front().name, s_.pack ? ir::Type::f32 : linear.type,
                     BufferAccess::read);
    }
    for (size_t i = 1; i < linear.first_input(); ++i) {
      const Port& port = linear.signature[i];
      w_parts_.push_back(linear.weight == ir::Type::q8_0 && port.type == ir::Type::i8
                             ? b_.buffer(port.name, port.type, BufferAccess::read, -127, 127)
                             : b_.buffer(port.name, port.type, BufferAccess::read));
    }
    w_ = w_parts_.front();
    for (size_t i = linear.first_input(); i + 1 < linear.signature.size(); ++i) {
      const Port& port = linear.signature[i];
      inputs_.push_back({&port, b_.buffer(port.name, port.type, BufferAccess::read), {}});
    }
    const bool partial = s_.has_outer_blocks(linear);
    y_ =
        b_.buffer("y", linear.tile_out(), partial ? BufferAccess::read_write : BufferAccess::write);
    if (s_.expanded_bytes(linear) > 0)
      expanded_ = b_.buffer("expanded", ir::Type::f32, BufferAccess::read_write);
    if (s_.keeps_sums(linear)) tile_ = b_.buffer("y.sums", ir::Type::f32, BufferAccess::read_write);
    rows_ = b_.parameter("rows");
    panels_ = b_.parameter("panels");
    if (s_.has_outer_blocks(linear)) {
      depth_ = b_.parameter("depth");
      before_ = b_.parameter("before");
      after_ = b_.parameter("after");
    }
    if (!s_.pack) x_stride_ = b_.parameter(linear.signature.front().name + ".stride0");
    y_stride_ = b_.parameter("y.stride0");
    for (Input& input : inputs_)
      if (input.port->row_dimension() >= 0)
        input.stride = b_.parameter(input.port->name + ".stride0");
  }

  Program write() {
    // In a register, packed or not: 32-bit offsets to the rows would halve what the decoded
    // instruction cache of some cores holds.
    if (s_.pack) x_stride_ = b_.scalar(x_row_bytes());
    if (depth_.reg.valid()) {
      trips_ = b_.div(depth_, s_.unroll);
      rest_ = b_.sub(depth_, b_.mul(trips_, s_.unroll));
    }
    Scalar tiles = b_.div(rows_, s_.tile);
    Scalar left = b_.sub(rows_, b_.mul(tiles, s_.tile));
    if (s_.tile > 2) share_last_rows(tiles, left);
    if (s_.next_panel) plan_next_panel(tiles, left);
    if (s_.streams == 1) {
      b_.loop(0, panels_, 1, [&](Scalar) { panels(1, tiles, left); });
      return b_.finish();
    }
    const Scalar groups = b_.div(panels_, s_.streams);
    const Scalar single = b_.sub(panels_, b_.mul(groups, s_.streams));
    b_.loop(0, groups, 1, [&](Scalar) { panels(s_.streams, tiles, left); });
    b_.loop(0, single, 1, [&](Scalar) { panels(1, tiles, left); });
    return b_.finish();
  }

 private:
  struct Input {
    const Port* port;
    Pointer pointer;
    Scalar stride;  ///< between rows; none for what is the same for all
  };

  // All rows by `streams` panels that lie side by side.
  void panels(int streams, Scalar tiles, Scalar left) {
    streams_ = streams;
    w_here_ = w_;
    if (s_.expand) expand_panel();
    if (s_.shares_scales) QuantisedTile(b_, linear_, s_).expand_panel(quantised_operands({}));
    if (s_.next_panel) next_ = b_.offset(w_, panel_bytes() * streams);
    if (!s_.depth_inside || !s_.has_blocks(linear_)) {
      all_rows(x_, tiles, left);
    } else {
      b_.loop(0, linear_.k, s_.depth, [&](Scalar k) {
        before_ = k;
        after_ = b_.sub(b_.scalar(linear_.k - s_.depth), k);
        w_here_ = b_.offset(w_, b_.mul(k, linear_.panel * ir::size_of(linear_.weight)));
        all_rows(b_.offset(x_, b_.mul(k, ir::size_of(x_.type))), tiles, left);
      });
    }
    for (size_t i = 0; i < w_parts_.size(); ++i)
      b_.advance(w_parts_[i], linear_.part_bytes[i] * streams);
    const int64_t columns = linear_.panel_columns() * streams;
    b_.advance(y_, columns * ir::size_of(linear_.tile_out()));
    for (const Input& input : inputs_) {
      if (input.port->shape.back() != ir::graph::Dim(1))
        b_.advance(input.pointer, columns * ir::size_of(input.port->type));
    }
  }

  int64_t panel_bytes() const { return linear_.part_bytes.front(); }
  // Between packed rows.
  int64_t x_row_bytes() const {
    return linear_.quantised() ? QuantisedRows(linear_, b_.target()).code_bytes
                               : s_.packed_stride(linear_) * 4;
  }
  Count row_step() const { return x_stride_; }

  void all_rows(Pointer x, Scalar tiles, Scalar left) {
    if (tile_.reg.valid()) tile_row_ = s_.has_inner_blocks(linear_) ? b_.copy(tile_) : tile_;
    const Pointer x_row = b_.copy(x);
    const Pointer y_row = b_.copy(y_);
    if (linear_.quantised()) factors_row_ = b_.copy(factors_);
    std::vector<Input> at = inputs_;
    for (Input& input : at)
      if (input.stride.reg.valid()) input.pointer = b_.copy(input.pointer);
    b_.loop(0, tiles, 1, [&](Scalar) {
      tile(s_.tile, x_row, y_row, at);
      advance_rows(s_.tile, x_row, y_row, at);
    });
    b_.loop(0, tiles_of_rest(left), 1, [&](Scalar i) {
      const Scalar tiles_here = tiles_of_rest(left);
      const Scalar more = b_.sub(b_.sub(tiles_here, 1), i);
      const Scalar count = b_.div(b_.add(left, more), tiles_here);
      rest_of_rows(1, count, x_row, y_row, at);
    });
  }

  // A tile of few rows waits for its sums: the last whole tile and fewer rows than one less than
  // its own are shared out over two tiles.
  void share_last_rows(Scalar& tiles, Scalar& left) {
    const Scalar some = b_.min(left, 1);
    const Scalar few = b_.min(b_.max(b_.sub(b_.scalar(s_.tile - 1), left), 0), 1);
    const Scalar shared = b_.mul(b_.mul(some, few), b_.min(tiles, 1));
    tiles = b_.sub(tiles, shared);
    left = b_.add(left, b_.mul(shared, s_.tile));
  }

  // One, two if rows were shared, or none; each of fewer rows than a whole one.
  Scalar tiles_of_rest(Scalar left) {
    const int64_t most = std::max(s_.tile - 1, 1);
    return b_.div(b_.add(left, most - 1), most);
  }

  // While the tiles of a panel are computed, the next panel comes into the second cache, a little
  // in every trip: its bytes over the panel's trips.
  void plan_next_panel(Scalar tiles, Scalar left) {
    const int64_t step_bytes = panel_bytes() / linear_.k * s_.streams;
    const bool outer = depth_.reg.valid();
    const Scalar bytes = outer ? b_.mul(depth_, step_bytes) : b_.scalar(linear_.k * step_bytes);
    const Scalar trips = outer ? trips_ : b_.scalar(linear_.k / s_.unroll);
    const Scalar passes = b_.mul(trips, b_.add(tiles, tiles_of_rest(left)));
    next_step_ = b_.add(b_.div(bytes, b_.max(passes, 1)), 1);
  }

  // `left` rows, fewer than fill a tile, by a tile of just that many; then they are behind.
  void rest_of_rows(int count, Scalar left, Pointer x_row, Pointer y_row,
                    const std::vector<Input>& at) {
    const auto most = static_cast<int>(std::min<int64_t>(s_.tile - 1, linear_.rows.high));
    if (count > most) return;
    b_.branch(
        Compare::eq, left, count,
        [&] {
          tile(count, x_row, y_row, at);
          advance_rows(count, x_row, y_row, at);
        },
        [&] { rest_of_rows(count + 1, left, x_row, y_row, at); });
  }

  void advance_rows(int64_t count, Pointer x_row, Pointer y_row, const std::vector<Input>& at) {
    const auto step = [&](const Pointer& pointer, Scalar stride) {
      b_.advance(pointer, b_.mul(stride, count));
    };
    if (s_.pack) {
      b_.advance(x_row, count * x_row_bytes());
    } else {
      step(x_row, x_stride_);
    }
    step(y_row, y_stride_);
    if (s_.has_inner_blocks(linear_)) b_.advance(tile_row_, count * tile_width() * 4);
    for (const Input& input : at)
      if (input.stride.reg.valid()) step(input.pointer, input.stride);
    if (linear_.quantised())
      b_.advance(factors_row_, count * QuantisedRows(linear_, b_.target()).factor_bytes);
  }

  // Widens the panel's block of k to f32 once for all tiles.
  void expand_panel() {
    if (linear_.by_channel()) return Int8Tile(b_, linear_, s_).expand_panel(quantised_operands({}));
    const Pointer from = b_.copy(w_here_);
    const Pointer to = b_.copy(expanded_);
    const int64_t width = linear_.panel;
    const auto step = [&](int64_t steps) {
      for (int64_t i = 0; i < steps * width; i += b_.lanes())
        b_.store(to, Span{i}, b_.load(from, Span{i}));
      b_.advance(from, steps * width * ir::size_of(linear_.weight));
      b_.advance(to, steps * width * 4);
    };
    over_depth([&](int) { step(s_.unroll); }, [&] { step(1); });
  }

  // Visits the block's steps of k: `trip` for `unroll` of them, `single` for one.
  void over_depth(const std::function<void(int)>& trip, const std::function<void()>& single) {
    if (!depth_.reg.valid()) {
      b_.loop(0, s_.depth / s_.unroll, 1, [&](Scalar) { trip(s_.unroll); });
      b_.loop(0, s_.depth % s_.unroll, 1, [&](Scalar) { single(); });
      return;
    }
    b_.loop(0, trips_, 1, [&](Scalar) { trip(s_.unroll); });
    if (s_.depth % s_.unroll == 0 && linear_.k % s_.unroll == 0) return;
    b_.loop(0, rest_, 1, [&](Scalar) { single(); });
  }

  void tile(int rows, Pointer x_row, Pointer y_row, const std::vector<Input>& at) {
    const LinearBlocking whole = std::exchange(s_, s_.of_rows(rows));
    parts_of_tile(rows, x_row, y_row, at);
    s_ = whole;
  }

  void parts_of_tile(int rows, Pointer x_row, Pointer y_row, const std::vector<Input>& at) {
    // y is written, and between blocks of k read, at the end only. Where rows are many, it is far
    // away: unless asked for, its lines would hold up the tiles that follow.
    if (s_.prefetch_y) prefetch_rows(y_row, rows);
    if (linear_.has_plain_epilogue() || !s_.has_blocks(linear_)) {
      for (part_ = 0; part_ < s_.parts; ++part_)
        if (stored_vectors() > 0 || linear_.pair) multiply(rows, x_row, y_row, at);
      if (!linear_.has_plain_epilogue()) epilogue(rows, y_row, at);
      return;
    }
    for (part_ = 0; part_ < s_.parts; ++part_) multiply(rows, x_row, y_row, at);
    b_.branch(Compare::le, after_, 0, [&] { epilogue(rows, y_row, at); });
  }

  // One part of the panels' width; its sums go to y, or to the tile where the epilogue finds them.
  void multiply(int rows, Pointer x_row, Pointer y_row, const std::vector<Input>& at) {
    if (linear_.quantised()) {
      const QuantisedOperands operands = quantised_operands(x_row);
      const auto next = [&] { ask_for_next(); };
      return finish(linear_.by_channel()
                        ? Int8Tile(b_, linear_, s_).multiply(rows, operands, next)
                        : QuantisedTile(b_, linear_, s_).multiply(rows, operands, next),
                    y_row, at);
    }
    RegisterTile sums(b_, rows, s_.vectors * streams_, s_.chains);
    const RowPointers x(b_, x_row, rows, x_stride_);
    std::vector<Pointer> w;
    for (int i = 0; i < streams_; ++i)
      w.push_back(b_.offset(s_.expand ? expanded_ : w_here_, panel_bytes() * i));
    const auto steps = [&](int count) {
      if (count == s_.unroll) ask_for_next();
      for (int u = 0; u < count; ++u) {
        if (part_ == 0)
          for (const Pointer& stream : w) prefetch(stream, u);
        sums.step(
            u % s_.chains,
            [&](int v) {
              const int64_t vector = part_ * s_.vectors + v % s_.vectors;
              return b_.load(w[static_cast<size_t>(v / s_.vectors)],
                             Span{u * linear_.panel + vector * b_.lanes()});
            },
            [&](int row) { return x.load_splat(row, u); });
      }
      x.advance(count);
      for (const Pointer& stream : w)
        b_.advance(stream, count * linear_.panel * ir::size_of(stream.type));
    };
    over_depth(steps, [&] { steps(1); });
    sums.fold_chains();
    if (!s_.has_blocks(linear_)) return finish(sums, y_row, at);
    b_.branch(Compare::gt, before_, 0, [&] {
      if (s_.has_inner_blocks(linear_)) {
        add_kept(sums);
      } else {
        add_partial(sums, y_row);
      }
    });
    b_.branch(
        Compare::le, after_, 0, [&] { finish(sums, y_row, at); },
        [&] {
          if (s_.has_inner_blocks(linear_)) {
            keep(sums);
          } else {
            store(sums, y_row, {});
          }
        });
  }

  void ask_for_next() {
    if (!s_.next_panel || part_ > 0) return;
    b_.prefetch(next_, 0, 1);
    b_.advance(next_, next_step_);
  }

  QuantisedOperands quantised_operands(Pointer x_row) const {
    return {x_row, factors_row_, x_stride_, w_parts_, expanded_, streams_, part_};
  }

  // w is read once from memory, or by many tiles from the second cache: each line that this step of
  // k begins is asked for ahead of time.
  void prefetch(Pointer w, int64_t u) {
    const bool expanded_once = s_.expand && s_.depth_inside;
    if (s_.prefetch == 0 || expanded_once) return;
    const int64_t step = linear_.panel * ir::size_of(w.type);
    for (int64_t at = (u * step + kLine - 1) / kLine * kLine; at < (u + 1) * step; at += kLine)
      b_.prefetch(w, at + s_.prefetch);
  }

  void prefetch_rows(Pointer y_row, int rows) {
    const Pointer y = b_.copy(y_row);
    const int64_t bytes = columns() * ir::size_of(linear_.tile_out());
    for (int row = 0; row < rows; ++row) {
      for (int64_t at = 0; at < bytes; at += kLine) b_.prefetch(y, at);
      if (row + 1 < rows) b_.advance(y, y_stride_);
    }
  }

  // Columns of y that the panels make.
  int64_t columns() const { return streams_ * columns_; }
  // Access to what vector v of the part makes of a row of y.
  Span span(int v) const {
    const int64_t start = int64_t{part_ * s_.vectors + v} * b_.lanes();
    const int64_t count = std::min<int64_t>(columns() - start, b_.lanes());
    return {start, {}, count, count == b_.lanes()};
  }
  // Vectors of the part that reach a column of y.
  int stored_vectors() const {
    const int64_t start = int64_t{part_} * s_.vectors * b_.lanes();
    const int64_t reach = (columns() - start + b_.lanes() - 1) / b_.lanes();
    return static_cast<int>(std::clamp<int64_t>(reach, 0, int64_t{s_.vectors} * streams_));
  }

  void add_partial(RegisterTile& sums, Pointer y_row) {
    const Pointer y = b_.copy(y_row);
    for (int row = 0; row < sums.rows(); ++row) {
      for (int v = 0; v < stored_vectors(); ++v)
        b_.set(sums.at(row, v), sums.at(row, v) + b_.load(y, span(v)));
      if (row + 1 < sums.rows()) b_.advance(y, y_stride_);
    }
  }

  void store(const RegisterTile& sums, Pointer y_row, const Pointer& bias) {
    const Pointer y = b_.copy(y_row);
    std::vector<Vec> biases;
    for (int v = 0; bias.reg.valid() && v < stored_vectors(); ++v)
      biases.push_back(b_.load(bias, span(v)));
    for (int row = 0; row < sums.rows(); ++row) {
      for (int v = 0; v < stored_vectors(); ++v) {
        const Vec sum = sums.at(row, v);
        b_.store(y, span(v), biases.empty() ? sum : sum + biases[static_cast<size_t>(v)]);
      }
      if (row + 1 < sums.rows()) b_.advance(y, y_stride_);
    }
  }

  void finish(const RegisterTile& sums, Pointer y_row, const std::vector<Input>& at) {
    if (linear_.has_plain_epilogue())
      return store(sums, y_row, at.empty() ? Pointer{} : at.front().pointer);
    keep(sums);
  }

  // Between blocks of k that follow each other in one panel the sums of all rows stay in `tile`.
  int64_t tile_width() const { return linear_.panel * streams_; }
  Span kept(int row, int v) const {
    return Span{row * tile_width() + (part_ * s_.vectors + v) * b_.lanes()};
  }
  void keep(const RegisterTile& sums) {
    for (int row = 0; row < sums.rows(); ++row)
      for (int v = 0; v < s_.vectors * streams_; ++v)
        b_.store(tile_row_, kept(row, v), sums.at(row, v));
  }
  void add_kept(RegisterTile& sums) {
    for (int row = 0; row < sums.rows(); ++row)
      for (int v = 0; v < s_.vectors * streams_; ++v)
        b_.set(sums.at(row, v), sums.at(row, v) + b_.load(tile_row_, kept(row, v)));
  }

  // The fragment over the tile, row by row; its temporaries have the registers for themselves.
  void epilogue(int rows, Pointer y_row, const std::vector<Input>& at) {
    const Pointer sums = b_.copy(tile_row_);
    const Pointer y = b_.copy(y_row);
    std::vector<Input> here = at;
    for (Input& input : here)
      if (input.stride.reg.valid()) input.pointer = b_.copy(input.pointer);
    FragmentCode code(linear_.epilogue, b_, {});
    b_.loop(0, rows, 1, [&](Scalar) {
      const auto pointer = [&](const FragmentInput& input) {
        return std::find_if(here.begin(), here.end(),
                            [&](const Input& i) { return i.port->name == input.name; })
            ->pointer;
      };
      code.begin_row([&](const FragmentInput& input) { return b_.load_splat(pointer(input)); });
      b_.vectors(columns(), [&](const Span& place) {
        const Vec value = code.at([&](const FragmentInput& input) {
          Span from = place;
          if (input.name == "y") return b_.load(sums, from);
          if (linear_.pair && input.name == "z") {
            from.offset += linear_.panel_columns();
            return b_.load(sums, from);
          }
          return b_.load(pointer(input), from);
        });
        b_.store(y, place, value);
      });
      b_.advance(sums, tile_width() * 4);
      b_.advance(y, y_stride_);
      for (const Input& input : here)
        if (input.stride.reg.valid()) b_.advance(input.pointer, input.stride);
    });
  }

  const Linear& linear_;
  LinearBlocking s_;
  Builder b_;
  int64_t columns_;
  int part_ = 0;     ///< of the panels' width, while its code is being written
  int streams_ = 1;  ///< panels that the code being written multiplies at once
  Pointer x_, w_, y_, expanded_, tile_;
  std::vector<Pointer> w_parts_;   ///< w_ first
  Pointer factors_, factors_row_;  ///< of quantised rows of x: all, and the tile's
  Pointer tile_row_;               ///< the tile of the current rows
  Pointer w_here_;                 ///< the block of k in the panel
  std::vector<Input> inputs_;
  Pointer next_;      ///< what of the next panel is asked for next
  Scalar next_step_;  ///< in bytes, for each trip
  Scalar rows_, panels_, depth_, before_, after_, x_stride_, y_stride_, trips_, rest_;
};

}  // namespace

Program linear_block_program(const Linear& linear, const LinearBlocking& blocking,
                             const ir::Target& target, int64_t columns) {
  return BlockWriter(linear, blocking, target, columns).write();
}

Program linear_pack_program(const Linear& linear, const LinearBlocking& blocking,
                            const ir::Target& target) {
  if (linear.by_channel()) return int8_quantise_program(linear, target);
  if (linear.type == ir::Type::q8_0) return linear_regroup_program(linear, target);
  if (linear.quantised()) return linear_quantise_program(linear, target);
  Builder b(linear.name + "_pack", target);
  const Pointer x = b.buffer("x", linear.type, BufferAccess::read);
  const Pointer packed = b.buffer("packed", ir::Type::f32, BufferAccess::write);
  const Scalar rows = b.parameter("rows");
  Scalar depth;
  if (blocking.has_outer_blocks(linear)) depth = b.parameter("depth");
  const Scalar stride = b.parameter("x.stride0");
  const auto copy = [&](const Pointer& from, const Pointer& to, const Span& at) {
    b.store(to, at, b.load(from, at));
  };
  const int lanes = b.lanes();
  Scalar whole;
  Scalar rest;
  if (depth.reg.valid()) {
    const Scalar vectors = b.div(depth, lanes);
    whole = b.mul(vectors, lanes);
    rest = b.sub(depth, whole);
  }
  b.loop(0, rows, 1, [&](Scalar) {
    if (!depth.reg.valid()) {
      b.vectors(linear.k, 4, [&](const Span& at, int) { copy(x, packed, at); });
    } else {
      b.loop(0, whole, lanes, [&](Scalar i) { copy(x, packed, Span{0, i}); });
      b.branch(Compare::gt, rest, 0, [&] { copy(x, packed, Span{0, whole, rest, lanes == 1}); });
    }
    b.advance(x, stride);
    b.advance(packed, blocking.packed_stride(linear) * 4);
  });
  return b.finish();
}

}  // namespace lathe::compiler::kernels
