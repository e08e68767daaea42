// The loop nest of a product's block.
//
// It is the inner part of Goto and van de Geijn's algorithm: a panel of w, a block of k deep, stays
// in the first cache while the rows of x, which stay in the second, pass by in register tiles. How
// a tile multiplies is the arithmetic's, what becomes of its sums the sink's.
#include <algorithm>

#include "compiler/kernels/product/arithmetic.h"
#include "compiler/kernels/product/sink.h"

namespace lathe::compiler::kernels::product {
namespace {

// The program's buffers and parameters, in its order.
Operands declare(Builder& b, const Product& product, const Blocking& s,
                 const Arithmetic& arithmetic) {
  Operands at;
  const Signature& signature = product.signature;
  const PackedRows packed = arithmetic.packed_rows(s);
  const std::string& x = signature.front().name;
  if (packed.factor_bytes > 0) {
    // Who quantised x elsewhere may have written -128.
    const int64_t least = product.type == Type::q8_0 ? -128 : -127;
    at.x = b.buffer(x, packed.type, BufferAccess::read, least, 127);
    at.factors = b.buffer(x + "_factors", Type::f32, BufferAccess::read);
  } else {
    at.x = b.buffer(x, s.pack ? packed.type : product.type, BufferAccess::read);
  }
  for (size_t i = 1; i < product.first_input(); ++i) {
    const Port& port = signature[i];
    const bool codes = product.weight == Type::q8_0 && port.type == Type::i8;
    at.w.push_back(codes ? b.buffer(port.name, port.type, BufferAccess::read, -127, 127)
                         : b.buffer(port.name, port.type, BufferAccess::read));
  }
  for (size_t i = product.first_input(); i + 1 < signature.size(); ++i) {
    const Port& port = signature[i];
    at.inputs.push_back({&port, b.buffer(port.name, port.type, BufferAccess::read), {}});
  }
  const bool outer = s.has_outer_blocks(product);
  at.y = b.buffer("y", product.tile_out(), outer ? BufferAccess::read_write : BufferAccess::write);
  if (arithmetic.expanded_bytes(s) > 0)
    at.expanded = b.buffer("expanded", Type::f32, BufferAccess::read_write);
  if (s.keeps_sums(product)) at.sums = b.buffer("y.sums", Type::f32, BufferAccess::read_write);
  at.rows = b.parameter("rows");
  at.panels = b.parameter("panels");
  if (outer) {
    at.depth = b.parameter("depth");
    at.before = b.parameter("before");
    at.after = b.parameter("after");
  }
  if (!s.pack) at.x_stride = b.parameter(x + ".stride0");
  at.y_stride = b.parameter("y.stride0");
  for (EpilogueInput& input : at.inputs)
    if (input.port->row_dimension() >= 0) input.stride = b.parameter(input.port->name + ".stride0");
  return at;
}

class BlockWriter {
 public:
  BlockWriter(const Product& product, const Blocking& blocking, const Target& target,
              int64_t columns)
      : product_(product),
        s_(blocking),
        b_(product.name, target),
        arithmetic_(arithmetic_of(product, target)),
        sink_(b_, product, columns) {
    if (columns < product.panel_columns()) s_.streams = 1;  // the last panel is alone
    packed_ = arithmetic_->packed_rows(s_);
    at_ = declare(b_, product, s_, *arithmetic_);
  }

  Program write() {
    // In a register, packed or not: 32-bit offsets to the rows would halve what the decoded
    // instruction cache of some cores holds.
    if (s_.pack) at_.x_stride = b_.scalar(packed_.bytes);
    if (at_.depth.reg.valid()) {
      trips_ = b_.div(at_.depth, s_.unroll);
      rest_ = b_.sub(at_.depth, b_.mul(trips_, s_.unroll));
    }
    tiles_ = b_.div(at_.rows, s_.mr);
    left_ = b_.sub(at_.rows, b_.mul(tiles_, s_.mr));
    if (s_.mr > 2) share_last_rows();
    if (s_.next_panel) plan_next_panel();
    if (s_.streams == 1) {
      b_.loop(0, at_.panels, 1, [&](Scalar) { panels(1); });
      return b_.finish();
    }
    const Scalar groups = b_.div(at_.panels, s_.streams);
    const Scalar single = b_.sub(at_.panels, b_.mul(groups, s_.streams));
    b_.loop(0, groups, 1, [&](Scalar) { panels(s_.streams); });
    b_.loop(0, single, 1, [&](Scalar) { panels(1); });
    return b_.finish();
  }

 private:
  // All rows by `streams` panels that lie side by side, which are then behind.
  void panels(int streams) {
    Tile tile{.at = at_, .s = s_, .lanes = b_.lanes(), .streams = streams};
    tile.trips = trips_;
    tile.rest = rest_;
    arithmetic_->expand(b_, tile);
    if (s_.next_panel) next_ = b_.offset(at_.w.front(), product_.part_bytes.front() * streams);
    if (!s_.has_inner_blocks(product_)) {
      all_rows(tile);
    } else {
      b_.loop(0, product_.k, s_.kc, [&](Scalar k) {
        tile.at.before = k;
        tile.at.after = b_.sub(b_.scalar(product_.k - s_.kc), k);
        tile.at.w.front() =
            b_.offset(at_.w.front(), b_.mul(k, product_.panel * ir::size_of(product_.weight)));
        tile.at.x = b_.offset(at_.x, b_.mul(k, ir::size_of(at_.x.type)));
        all_rows(tile);
      });
    }
    for (size_t i = 0; i < at_.w.size(); ++i)
      b_.advance(at_.w[i], product_.part_bytes[i] * streams);
    const int64_t columns = product_.panel_columns() * streams;
    b_.advance(at_.y, columns * ir::size_of(product_.tile_out()));
    for (const EpilogueInput& input : at_.inputs)
      if (input.port->shape.back() != ir::graph::Dim(1))
        b_.advance(input.pointer, columns * ir::size_of(input.port->type));
  }

  void all_rows(Tile rows) {
    Operands& at = rows.at;
    if (s_.has_inner_blocks(product_)) at.sums = b_.copy(at.sums);
    at.x = b_.copy(at.x);
    at.y = b_.copy(at.y);
    if (at.factors.reg.valid()) at.factors = b_.copy(at.factors);
    for (EpilogueInput& input : at.inputs)
      if (input.stride.reg.valid()) input.pointer = b_.copy(input.pointer);
    b_.loop(0, tiles_, 1, [&](Scalar) { tile(s_.mr, rows); });
    b_.loop(0, tiles_of_rest(), 1, [&](Scalar i) {
      const Scalar tiles_here = tiles_of_rest();
      const Scalar more = b_.sub(b_.sub(tiles_here, 1), i);
      const Scalar count = b_.div(b_.add(left_, more), tiles_here);
      rest_of_rows(1, count, rows);
    });
  }

  // A tile of few rows waits for its sums: the last whole tile and fewer rows than one less than
  // its own are shared out over two tiles.
  void share_last_rows() {
    const Scalar some = b_.min(left_, 1);
    const Scalar few = b_.min(b_.max(b_.sub(b_.scalar(s_.mr - 1), left_), 0), 1);
    const Scalar shared = b_.mul(b_.mul(some, few), b_.min(tiles_, 1));
    tiles_ = b_.sub(tiles_, shared);
    left_ = b_.add(left_, b_.mul(shared, s_.mr));
  }

  // One, two if rows were shared, or none; each of fewer rows than a whole one.
  Scalar tiles_of_rest() {
    const int64_t most = std::max(s_.mr - 1, 1);
    return b_.div(b_.add(left_, most - 1), most);
  }

  // `count` rows, fewer than fill a tile, by a tile of just that many: of `mr` or more.
  void rest_of_rows(int mr, Scalar count, const Tile& rows) {
    if (mr > std::min<int64_t>(s_.mr - 1, product_.rows.high)) return;
    b_.branch(
        Compare::eq, count, mr, [&] { tile(mr, rows); },
        [&] { rest_of_rows(mr + 1, count, rows); });
  }

  // The next `mr` rows, which are then behind: the panels' width part by part.
  void tile(int mr, const Tile& rows) {
    Tile tile = rows;
    tile.mr = mr;
    tile.s = s_.of_rows(mr);
    tile.every_trip = [&] { ask_for_next(tile); };
    if (s_.prefetch_y) sink_.prefetch(tile);
    for (tile.part = 0; tile.part < tile.s.parts; ++tile.part) {
      if (!sink_.takes(tile)) continue;
      RegisterTile sums = arithmetic_->multiply(b_, tile);
      sink_.take(sums, tile);
    }
    sink_.finish(tile);
    advance_rows(mr, rows);
  }

  void advance_rows(int64_t count, const Tile& rows) {
    const Operands& at = rows.at;
    const auto step = [&](const Pointer& pointer, Scalar stride) {
      b_.advance(pointer, b_.mul(stride, count));
    };
    if (s_.pack) {
      b_.advance(at.x, count * packed_.bytes);
    } else {
      step(at.x, at.x_stride);
    }
    step(at.y, at.y_stride);
    if (s_.has_inner_blocks(product_))
      b_.advance(at.sums, count * product_.panel * rows.streams * 4);
    for (const EpilogueInput& input : at.inputs)
      if (input.stride.reg.valid()) step(input.pointer, input.stride);
    if (at.factors.reg.valid()) b_.advance(at.factors, count * packed_.factor_bytes);
  }

  // While the tiles of a panel are computed, the next panel comes into the second cache, a little
  // in every trip: its bytes over the panel's trips.
  void plan_next_panel() {
    const int64_t step_bytes = product_.part_bytes.front() / product_.k * s_.streams;
    const bool outer = at_.depth.reg.valid();
    const Scalar bytes = outer ? b_.mul(at_.depth, step_bytes) : b_.scalar(product_.k * step_bytes);
    const Scalar trips = outer ? trips_ : b_.scalar(product_.k / s_.unroll);
    const Scalar passes = b_.mul(trips, b_.add(tiles_, tiles_of_rest()));
    next_step_ = b_.add(b_.div(bytes, b_.max(passes, 1)), 1);
  }

  void ask_for_next(const Tile& tile) {
    if (!s_.next_panel || tile.part > 0) return;
    b_.prefetch(next_, 0, 1);
    b_.advance(next_, next_step_);
  }

  const Product& product_;
  Blocking s_;
  Builder b_;
  const std::unique_ptr<const Arithmetic> arithmetic_;
  const Sink sink_;
  PackedRows packed_;
  Operands at_;          ///< all rows, the panel that is next, all of its k
  Scalar tiles_, left_;  ///< whole tiles of rows, and rows for tiles of fewer
  Scalar trips_, rest_;  ///< of a block of k that the plan walks
  Pointer next_;         ///< what of the next panel is asked for next
  Scalar next_step_;     ///< in bytes, for each trip
};

}  // namespace

Program block_program(const Product& product, const Blocking& blocking, const Target& target,
                      int64_t columns) {
  return BlockWriter(product, blocking, target, columns).write();
}

}  // namespace lathe::compiler::kernels::product
