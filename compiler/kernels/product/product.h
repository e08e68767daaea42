// A product of matrices as kernels compute it: rows of x by panels of w, cut into blocks for the
// registers and the caches (Goto and van de Geijn, Anatomy of High-Performance Matrix
// Multiplication, 2008).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "compiler/bucket.h"
#include "compiler/fragment.h"
#include "compiler/kernels/signature.h"
#include "compiler/search_space.h"
#include "ir/plan/plan.h"
#include "ir/program/builder.h"
#include "ir/target.h"

namespace lathe::compiler::kernels::product {

using ir::Target;
using ir::Type;
using ir::plan::Plan;
using ir::program::BufferAccess;
using ir::program::Builder;
using ir::program::Compare;
using ir::program::Op;
using ir::program::Pointer;
using ir::program::Program;
using ir::program::Scalar;
using ir::program::Span;
using ir::program::Vec;

constexpr int64_t kLine = 64;      ///< bytes of a line of the caches
constexpr int64_t kManyRows = 32;  ///< fewer rows than this pass over w once
constexpr int64_t kSomeRows = 8;   ///< fewer are not worth widening a panel ahead of them

/// What w is made of, and so how it is multiplied.
enum class Elements : uint8_t {
  floats,    ///< products and sums in f32
  blocks,    ///< codes with scales for each 32 of k; x becomes q8_0 to meet them
  channels,  ///< codes with one scale a row of w; x becomes codes with one scale a row
};

/// y = epilogue(x · wᵀ), w [n, k] in panels (compiler/weight_packing.h). A family makes it from a
/// problem; who multiplies by panels of its own fills it in, or takes packed_product().
struct Product {
  std::string name;  ///< of its programs
  Bucket rows{};
  int64_t n = 1, k = 1;
  int64_t panel = 1;  ///< columns of w that lie side by side
  bool pair = false;  ///< a panel is half of w's first n rows (y) and half of its last n (z)
  Type type = Type::f32, out = Type::f32, weight = Type::f32;
  Fragment epilogue{};
  Signature signature{};              ///< x, w's parts, the epilogue's inputs; y
  std::vector<int64_t> part_bytes{};  ///< from panel to panel, for each part of w

  /// Declares the epilogue's inputs and y, behind x and w.
  void add_epilogue_operands();
  /// Where the epilogue's inputs begin in the signature.
  size_t first_input() const { return 1 + part_bytes.size(); }

  Elements elements() const;
  /// Columns of y that one panel makes.
  int64_t panel_columns() const { return pair ? panel / 2 : panel; }
  int64_t panels() const { return (n + panel_columns() - 1) / panel_columns(); }

  /// Whether the epilogue can run on the accumulators: y itself, or y + vec(…), in f32.
  bool has_plain_epilogue() const;
  /// What tiles write: y, or where that is q8_0 a block of it as f32, which is quantised then.
  Type tile_out() const { return quantises_y() ? Type::f32 : out; }
  bool quantises_y() const { return out == Type::q8_0; }
  /// The fewest panels whose columns are whole blocks of y.
  int64_t panels_in_blocks() const;
};

/// A product y = x · wᵀ of f32 whose panels hold `kc` steps of k each: operands x, w, y.
Product packed_product(std::string name, const Bucket& rows, int64_t n, int64_t k, int64_t panel,
                       int64_t kc);

/// A register tile: rows by vectors of sums.
struct TileShape {
  int64_t mr = 1, nr = 1;
  int64_t streams = 1, chains = 1;
  bool expanded = false;  ///< whether what it reads of w was widened before
  int64_t sums() const { return mr * nr; }
};

/// How a product is cut.
struct Blocking {
  int mr = 1;       ///< rows of the register tile
  int nr = 1;       ///< vectors of its columns
  int parts = 1;    ///< tiles that a panel's width takes, one after the other
  int streams = 1;  ///< panels side by side in a tile, each a stream of memory of its own
  int chains = 1;   ///< sums that an accumulator is split into, so that no FMA waits for another
  int unroll = 4;   ///< steps of k in one trip
  int64_t mc = 1;   ///< rows of x in a block, a multiple of mr
  int64_t nc = 0;   ///< panels of w in a block; 0: all
  int64_t kc = 1;   ///< steps of k in a block
  bool kc_inside = false;   ///< whether a panel is finished before the next begins
  bool pack = true;         ///< whether the rows of x are first copied to one place
  bool expand = false;      ///< whether a panel is widened once for all rows of the block
  int64_t prefetch = 0;     ///< bytes of w asked for ahead of their use
  bool next_panel = false;  ///< whether a panel's tiles ask for the next panel
  bool prefetch_y = true;   ///< whether a tile asks for the lines of y that it will write
  /// Of a tile of fewer rows, from 1 up: nr, or as many more vectors as the registers then hold.
  std::vector<int> nr_of_fewer{};

  /// The same for a tile of `count` rows.
  Blocking of_rows(int count) const;

  bool has_blocks(const Product& product) const { return kc < product.k; }
  /// Blocks of k that the plan walks: between them y holds the sums.
  bool has_outer_blocks(const Product& product) const { return has_blocks(product) && !kc_inside; }
  /// Blocks that the program walks within each panel: between them the sums of all rows are kept.
  bool has_inner_blocks(const Product& product) const { return has_blocks(product) && kc_inside; }
  /// Whether sums leave the registers other than to y: between inner blocks, for the epilogue.
  bool keeps_sums(const Product& product) const {
    return has_inner_blocks(product) || !product.has_plain_epilogue();
  }
  /// From row to row of packed floats: odd in cache lines, so that rows do not compete for the same
  /// sets of the first cache.
  int64_t packed_row_bytes(const Product& product) const {
    return ((kc_inside ? product.k : kc) + 15) / 32 * 2 * kLine + kLine;
  }
};

/// A schedule's numbers.
Blocking blocking_of(const Product& product, const Schedule& schedule, const Target& target);

/// Copies rows of x to where tiles read them: floats as f32 (buffers x, packed), what meets codes
/// as codes (x, codes, factors). Parameters rows, depth where the plan walks blocks of k,
/// x.stride0.
Program pack_rows_program(const Product& product, const Blocking& blocking, const Target& target);

/// The same of floats that lie as [k, rows]. Parameters rows, depth, the operand's stride1.
Program pack_columns_program(const Product& product, const Blocking& blocking,
                             const Target& target);

/// Copies w to consecutive panels, a block of k deep, as f32 with a panel's columns side by side.
/// It lies as [k, n] in `type`, or `transposed` as [n, k]. `columns`: how many of each panel's
/// columns exist; zeros fill the others. Buffers w, packed; parameters panels, depth, w's stride1.
Program pack_panels_program(const Product& product, const Target& target, Type type,
                            bool transposed, int64_t columns);

/// One block: rows of x by consecutive panels of w, over a block of k. `columns`: how many of each
/// panel's columns exist (all, but in the last panel). Buffers: the signature's, x_factors beside
/// codes, expanded where a panel is widened or q4_K's scales are multiplied out, y.sums where sums
/// are kept. Parameters: rows, panels; of a block of k that the plan walks depth, before and after,
/// the steps of k in it, before it and after it: sums go on from y's where any are before it, and
/// through the epilogue where none are after it; strides between rows.
Program block_program(const Product& product, const Blocking& blocking, const Target& target,
                      int64_t columns);

/// The whole of a product whose w lies packed: its operands are the signature's. And its schedules.
Plan packed_plan(const Product& product, const Blocking& blocking, const Target& target);
SearchSpace packed_space(const Product& product, const Target& target);

/// Matrices that are multiplied one by one, both sides variable.
struct Batches {
  Signature signature;  ///< as the product's: x and y of [group·batch, rows, …], w of [batch, …]
  int64_t group = 1;    ///< matrices of x and y, one after the other, that share one of w
  bool transposed_x = false;  ///< x lies as [k, rows] rather than [rows, k]
  bool transposed_w = false;  ///< w lies as [n, k] rather than [k, n]
};

/// The same where w is packed as it is used, a block at a time, in panels as wide as a tile;
/// `must_pack`: rows are copied whatever the schedule.
Plan packing_plan(const Product& product, const Blocking& blocking, const Batches& batches,
                  const Target& target);
SearchSpace packing_space(const Product& product, const Target& target, bool must_pack);

}  // namespace lathe::compiler::kernels::product
