// linear as a problem: its operands, how its weight is packed, and how its work is cut.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/kernels/parameters.h"
#include "compiler/kernels/signature.h"
#include "compiler/search_space.h"
#include "ir/plan/plan.h"
#include "ir/program/program.h"
#include "ir/target.h"

namespace lathe::compiler::kernels {

/// y = epilogue(x · wᵀ), w [n, k] in panels (compiler/weight_packing.h): a constant of `linear`, or
/// what another family has packed.
struct Linear {
  Linear() = default;
  explicit Linear(const Problem& problem);

  std::string name;
  Bucket rows;
  int64_t n = 1, k = 1;
  int64_t panel = 1;  ///< columns of w that lie side by side
  bool pair = false;  ///< a panel is half of w's first n rows (y) and half of its last n (z)
  ir::Type type = ir::Type::f32, out = ir::Type::f32, weight = ir::Type::f32;
  Fragment epilogue;
  Signature signature;              ///< x, w's parts, the epilogue's inputs; y
  std::vector<int64_t> part_bytes;  ///< from panel to panel, for each part of w

  /// Whether w is of codes, and x is quantised to meet it.
  bool quantised() const { return ir::info(weight).block_elements > 1 || by_channel(); }
  /// Whether w's codes have one scale a channel, and those of x one a row.
  bool by_channel() const { return weight == ir::Type::i8; }
  /// Whether elements of w become wider ones before they are multiplied, in a panel at once if many
  /// rows share it.
  bool widens(const ir::Target& target) const;
  /// Where the epilogue's inputs begin in the signature.
  size_t first_input() const { return 1 + part_bytes.size(); }

  /// Columns of y that one panel makes.
  int64_t panel_columns() const { return pair ? panel / 2 : panel; }
  int64_t panels() const { return (n + panel_columns() - 1) / panel_columns(); }
  /// Whether the epilogue can run on the accumulators: y itself, or y + vec(…), in f32.
  bool has_plain_epilogue() const;
  /// What tiles write: y, or where that is q8_0 a block of it as f32, which is quantised then.
  ir::Type tile_out() const { return quantises_y() ? ir::Type::f32 : out; }
  bool quantises_y() const { return out == ir::Type::q8_0; }
  /// The fewest panels whose columns are whole blocks of y.
  int64_t panels_in_blocks() const {
    const int64_t block = ir::info(out).block_elements;
    return block > panel_columns() ? block / panel_columns() : 1;
  }
  /// The vec() input of a plain epilogue; empty without one.
  std::string plain_bias() const;
};

constexpr int64_t kLeastBlockedRows = 32;  ///< fewer rows than this pass over w once
constexpr int64_t kLeastExpandedRows = 8;  ///< fewer are not worth widening a panel ahead of them

/// A schedule's numbers for one problem.
struct LinearBlocking {
  LinearBlocking() = default;
  LinearBlocking(const Linear& linear, const Schedule& schedule, const ir::Target& target);

  int tile = 1;       ///< rows of the register tile
  int vectors = 1;    ///< vectors of its columns
  int parts = 1;      ///< tiles that a panel's width takes, one after the other
  int streams = 1;    ///< panels side by side in a tile, each a stream of memory of its own
  int chains = 1;     ///< sums that an accumulator is split into, so that no FMA waits for another
  int unroll = 4;     ///< steps of k in one trip
  int64_t depth = 1;  ///< steps of k in a block
  bool depth_inside = false;   ///< whether a panel is finished before the next begins
  int64_t rows = 1;            ///< rows of x in a block, a multiple of the tile
  int64_t panels = 0;          ///< panels of w in a block; 0: all
  bool pack = true;            ///< whether the rows of x are first copied to one place, as f32
  bool expand = false;         ///< whether a panel is widened once for all rows of the block
  int64_t prefetch = 0;        ///< bytes of w asked for ahead of their use
  bool next_panel = false;     ///< whether a panel's tiles ask for the next panel
  bool prefetch_y = true;      ///< whether a tile asks for the lines of y that it will write
  bool shares_scales = false;  ///< whether q4_K's scales are multiplied out once for the block
  /// Of a tile of fewer rows, from 1 up: `vectors`, or as much more as the registers then hold.
  std::vector<int> vectors_of_fewer{};

  /// The same for a tile of `count` rows.
  LinearBlocking of_rows(int count) const;

  /// Blocks of k in order: between them y holds the sums.
  bool has_blocks(const Linear& linear) const { return depth < linear.k; }
  /// Those that the plan walks, rather than the program for each panel.
  bool has_outer_blocks(const Linear& linear) const { return has_blocks(linear) && !depth_inside; }
  /// Bytes that a worker needs for a panel that is widened, or for q4_K's scales; 0: for none.
  int64_t expanded_bytes(const Linear& linear) const;
  /// Blocks that the program walks within each panel: between them the sums of all rows are kept.
  bool has_inner_blocks(const Linear& linear) const { return has_blocks(linear) && depth_inside; }
  /// Whether sums leave the registers other than to y: between inner blocks, for the epilogue.
  bool keeps_sums(const Linear& linear) const {
    return has_inner_blocks(linear) || !linear.has_plain_epilogue();
  }
  /// f32 elements between packed rows: odd in cache lines, so that rows do not compete for the same
  /// sets.
  int64_t packed_stride(const Linear& linear) const {
    return ((depth_inside ? linear.k : depth) + 15) / 32 * 32 + 16;
  }
};

/// Copies rows of x, as f32, to where a tile reads them.
ir::program::Program linear_pack_program(const Linear& linear, const LinearBlocking& blocking,
                                         const ir::Target& target);

/// One block: rows of x by consecutive panels of w, over a block of k. `columns`: how many of each
/// panel's columns exist (all, but in the last panel).
ir::program::Program linear_block_program(const Linear& linear, const LinearBlocking& blocking,
                                          const ir::Target& target, int64_t columns);

/// The programs over blocks and threads.
ir::plan::Plan linear_plan(const Linear& linear, const LinearBlocking& blocking,
                           const ir::Target& target);

}  // namespace lathe::compiler::kernels
