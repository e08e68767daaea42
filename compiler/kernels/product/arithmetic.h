// What differs between products of floats, of blocks of codes and of codes by channel: which tiles
// fit the registers, how rows are packed, how a tile multiplies, what is widened for a panel.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "compiler/kernels/product/product.h"
#include "compiler/kernels/product/register_tile.h"
#include "ir/program/builder.h"

namespace lathe::compiler::kernels::product {

/// An input of the epilogue.
struct EpilogueInput {
  const Port* port;
  ir::program::Pointer pointer;
  ir::program::Scalar stride;  ///< between rows; none for what is the same for all
};

/// What a block's program is given: its buffers at some rows, panel and block of k, and its
/// parameters. What a product has no need of is not valid.
struct Operands {
  ir::program::Pointer x, factors;      ///< factors: of x's codes
  std::vector<ir::program::Pointer> w;  ///< its parts
  std::vector<EpilogueInput> inputs;
  ir::program::Pointer y, expanded, sums;
  ir::program::Scalar rows, panels, depth, before, after, x_stride, y_stride;
};

/// A register tile whose code is being written.
struct Tile {
  Operands at;      ///< its first row, in the first of its panels
  Blocking s;       ///< of as many rows
  int mr = 1;       ///< its rows
  int streams = 1;  ///< panels that it multiplies at once
  int part = 0;     ///< of the panels' width
  int64_t lanes = 1;
  /// Of a block of k whose depth is known at run time: whole trips, and steps that fill none.
  ir::program::Scalar trips{}, rest{};
  std::function<void()> every_trip{};  ///< writes what is done once in each

  int wide() const { return s.nr * streams; }  ///< vectors of a row of sums
  /// Where vector v of a row of sums lies: its panel, and its first column in there.
  size_t stream_of(int v) const { return static_cast<size_t>(v / s.nr); }
  int64_t column_of(int v) const { return (part * s.nr + v % s.nr) * lanes; }
};

/// How rows of x lie once they are packed.
struct PackedRows {
  ir::Type type = ir::Type::f32;
  int64_t bytes = 0;         ///< from row to row
  int64_t factor_bytes = 0;  ///< likewise; 0: floats, which have none
};

/// Which tiles are worth trying.
struct TileRules {
  std::vector<int64_t> mr;         ///< numbers of rows
  int64_t reuse_from = kManyRows;  ///< rows of x from which a tile must reuse what it loads …
  std::function<int64_t(int64_t mr)> least_mr;      ///< … the fewest rows, of the usual tile's,
  std::function<int64_t(int64_t sums)> least_sums;  ///< … and the fewest sums that then count as it
  /// What a shape is worth, and what decides between shapes of equal worth.
  std::function<std::pair<double, double>(const TileShape&)> worth;
  std::vector<int64_t> prefetch;  ///< bytes ahead that few rows try
};

/// Keeps what it needs of the product and the target.
class Arithmetic {
 public:
  Arithmetic(const Product& product, const ir::Target& target)
      : product_(product), target_(target) {}
  virtual ~Arithmetic() = default;

  /// Whether the registers hold a tile and what it reads.
  virtual bool fits(const TileShape& shape) const = 0;
  virtual TileRules tiles() const = 0;
  /// Whether elements of w become wider ones before they are multiplied, in a panel at once if many
  /// rows share it.
  virtual bool widens() const = 0;
  virtual bool must_pack() const = 0;  ///< whether tiles cannot read x where it lies
  virtual int unroll() const = 0;      ///< steps of k in a trip, where no schedule says

  virtual PackedRows packed_rows(const Blocking& blocking) const = 0;
  virtual ir::program::Program pack_rows(const Blocking& blocking) const = 0;

  /// Bytes that a worker needs for what is made of a panel before, or while, it is multiplied.
  virtual int64_t expanded_bytes(const Blocking& blocking) const = 0;
  /// Writes what all tiles of a panel share to `expanded`, if they share anything.
  virtual void expand(ir::program::Builder& b, const Tile& tile) const = 0;
  /// The sums of a tile over the block of k, scaled.
  virtual RegisterTile multiply(ir::program::Builder& b, const Tile& tile) const = 0;

 protected:
  /// Panels of a part of w that lie side by side.
  std::vector<ir::program::Pointer> side_by_side(ir::program::Builder& b,
                                                 ir::program::Pointer first, size_t part,
                                                 int streams) const;

  const Product product_;
  const ir::Target target_;
};

/// Rows of floats as f32: buffers x, packed, parameters rows, depth where the plan walks blocks of
/// k, x.stride0.
ir::program::Program pack_floats(const Product& product, const Blocking& blocking,
                                 const ir::Target& target);

/// That of the product's elements.
std::unique_ptr<const Arithmetic> arithmetic_of(const Product& product, const ir::Target& target);
std::unique_ptr<const Arithmetic> floats(const Product& product, const ir::Target& target);
std::unique_ptr<const Arithmetic> blocks(const Product& product, const ir::Target& target);
std::unique_ptr<const Arithmetic> channels(const Product& product, const ir::Target& target);

}  // namespace lathe::compiler::kernels::product
