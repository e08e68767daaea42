// What differs between products of floats, of blocks of codes and of codes by channel: which tiles
// fit the registers, how rows are packed, how a tile multiplies, what is widened for a panel.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "compiler/kernels/product/product.h"
#include "compiler/kernels/product/register_tile.h"

namespace lathe::compiler::kernels::product {

/// An input of the epilogue.
struct EpilogueInput {
  const Port* port;
  Pointer pointer;
  Scalar stride;  ///< between rows; none for what is the same for all
};

/// What a block's program is given: its buffers at some rows, panel and block of k, and its
/// parameters. What a product has no need of is not valid.
struct Operands {
  Pointer x, factors;      ///< factors: of x's codes
  std::vector<Pointer> w;  ///< its parts
  std::vector<EpilogueInput> inputs;
  Pointer y, expanded, sums;
  Scalar rows, panels, depth, before, after, x_stride, y_stride;
};

/// A register tile whose code is being written.
struct Tile {
  Operands at;  ///< its first row, in the first of its panels
  Blocking s;   ///< of as many rows
  int64_t lanes = 1;
  int streams = 1;  ///< panels that it multiplies at once
  int mr = 1;       ///< its rows
  int part = 0;     ///< of the panels' width
  /// Of a block of k whose depth is known at run time: whole trips, and steps that fill none.
  Scalar trips{}, rest{};
  std::function<void()> every_trip{};  ///< writes what is done once in each

  int wide() const { return s.nr * streams; }  ///< vectors of a row of sums
  /// Where vector v of a row of sums comes from: which of the panels, and its first column there.
  size_t stream_of(int v) const { return static_cast<size_t>(v / s.nr); }
  int64_t column_of(int v) const { return (part * s.nr + v % s.nr) * lanes; }
};

/// How rows of x lie once they are packed.
struct PackedRows {
  Type type = Type::f32;
  int64_t bytes = 0;         ///< from row to row
  int64_t factor_bytes = 0;  ///< likewise; 0: floats, which have none
};

/// Keeps what it needs of the product and the target.
class Arithmetic {
 public:
  Arithmetic(const Product& product, const Target& target) : product_(product), target_(target) {}
  virtual ~Arithmetic() = default;

  /// Whether the registers hold a tile and what it reads.
  virtual bool fits(const TileShape& shape) const = 0;
  /// Whether elements of w become wider ones before they are multiplied, in a panel at once if many
  /// rows share it.
  virtual bool widens() const { return false; }
  /// Whether tiles cannot read x where it lies.
  virtual bool must_pack() const { return true; }
  virtual PackedRows packed_rows(const Blocking& blocking) const = 0;
  virtual Program pack_rows(const Blocking& blocking) const = 0;

  /// Bytes that a worker needs for what is made of a panel before, or while, it is multiplied.
  virtual int64_t expanded_bytes(const Blocking& blocking) const = 0;
  /// Writes what all tiles of a panel share to `expanded`, if they share anything.
  virtual void expand(Builder& b, const Tile& tile) const = 0;
  /// The sums of a tile over the block of k, scaled.
  virtual RegisterTile multiply(Builder& b, const Tile& tile) const = 0;

 protected:
  /// Panels of a part of w that lie side by side.
  std::vector<Pointer> side_by_side(Builder& b, Pointer first, size_t part, int streams) const;

  const Product product_;
  const Target target_;
};

/// That of the product's elements.
std::unique_ptr<const Arithmetic> arithmetic_of(const Product& product, const Target& target);
std::unique_ptr<const Arithmetic> floats(const Product& product, const Target& target);
std::unique_ptr<const Arithmetic> blocks(const Product& product, const Target& target);
std::unique_ptr<const Arithmetic> channels(const Product& product, const Target& target);

/// Rows of floats as f32, as pack_rows_program() says.
Program pack_floats(const Product& product, const Blocking& blocking, const Target& target);

}  // namespace lathe::compiler::kernels::product
