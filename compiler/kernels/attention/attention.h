// Attention as a problem: its operands, who sees what, and how its work is cut.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "compiler/family.h"
#include "compiler/kernels/product/product.h"
#include "compiler/kernels/product/tiles.h"
#include "compiler/kernels/signature.h"
#include "compiler/problem.h"
#include "compiler/schedule.h"
#include "ir/target.h"

namespace lathe::compiler::kernels::attention {

enum class Causal : uint8_t { none, start, end };
enum class MaskKind : uint8_t { none, boolean, additive };
/// Where sequences lie: each in an item of a batch; side by side in the tokens and as many keys;
/// the same with bounds of their own for keys; or side by side in the tokens alone, with keys in
/// the items of a batch.
enum class Packing : uint8_t { none, shared, separate, queries };

/// y = softmax(softcap(q · kᵀ · scale) + mask) · v for each query head; `group()` query heads share
/// one of k and v. Token t of a sequence stands at key t + shift, where shift is 0, or with `end`
/// the number of keys less that of tokens; if causal it sees the keys up to there, else with a
/// lookahead that many more, with a window at most that many up to its own and the kept ones.
struct Attention {
  Attention() = default;
  explicit Attention(const Problem& problem);

  Bucket tokens, context;
  int64_t heads = 1, kv_heads = 1;
  int64_t dim = 1, value_dim = 1;
  Causal causal = Causal::none;
  Packing packed = Packing::none;
  int64_t window = 0;      ///< 0: none
  int64_t lookahead = -1;  ///< -1: none
  int64_t kept_keys = 0;   ///< first keys that the window does not hide
  bool sinks = false;      ///< whether a logit for each head joins the softmax
  double softcap = 0;      ///< 0: none
  double scale = 1;
  MaskKind mask = MaskKind::none;
  bool mask_of_rows = false;  ///< whether the mask is the same for all keys
  bool lengths = false;       ///< whether each sequence has its own number of keys
  int64_t page = 0;    ///< keys of a page, of a paged cache; 0: keys lie one behind the other
  bool lse = false;    ///< whether the logarithm of each row's denominator is a result
  int64_t memory = 0;  ///< bytes that scratch may take; 0: any
  int64_t block = 0;   ///< tokens of a block, and keys, where lists say which sees which; 0: none
  ir::Type type = ir::Type::f32, kv_type = ir::Type::f32, out = ir::Type::f32;
  ir::Type mask_type = ir::Type::f32;  ///< of the mask's elements, u8 if boolean
  /// q, k, v, mask, cu_seqlens, cu_seqlens_k, lengths, block_table or lists, sinks; y, lse
  Signature signature;

  int64_t group() const { return heads / kv_heads; }
  bool is_paged() const { return page > 0; }
  bool is_causal() const { return causal != Causal::none; }
  bool packs_tokens() const { return packed != Packing::none; }
  bool packs_keys() const { return packed == Packing::shared || packed == Packing::separate; }
  /// Whether rows see keys up to some distance from their own, and how many of those after it.
  bool has_reach() const { return is_causal() || lookahead >= 0; }
  int64_t reach() const { return is_causal() ? 0 : lookahead; }
  /// Whether rows of one block see different keys.
  bool is_ragged() const { return has_reach() || window > 0; }
  bool is_sparse() const { return block > 0; }
};

/// How scores and the rows' state lie in scratch.
struct RowLayout {
  int64_t keys = 1;         ///< of a block: columns of a row of scores
  int64_t score_bytes = 4;  ///< from row to row of scores
  int64_t value_bytes = 4;  ///< from row to row of the sums of values
  bool pairs = false;       ///< whether a row of sums has its even columns before the odd ones
};
/// From row to row of so many f32: odd in cache lines, so that rows do not compete for the same
/// sets.
int64_t row_bytes(int64_t columns);

/// What the families have in common: all but their names for people, spaces and plans. Their first
/// two parameters are `tokens` and `context`, neither required. What is checked at true size are
/// the first and the last head of k, and some tokens whose place the reference knows: the last, or
/// where places count from the first those.
Family family_of_attention(std::string name);
/// The rules between parameters.
Status validate(const Problem& problem);
/// What attention_prefill has beyond these, and the rules for that, too.
std::vector<ParameterSpec> prefill_parameters();
Status validate_prefill(const Problem& problem);

/// The knob of attention_prefill that says flash (0) or naive (1), where there is a choice.
inline constexpr const char* kAlgorithm = "algorithm";

/// A schedule's numbers for attention_prefill and attention_block_sparse. Scores are a product of
/// query rows and panels of keys (k is the size of a head), values one of the rows' weights and
/// panels of v (k is a block of keys).
struct Blocking {
  Blocking(const Attention& attention, const Schedule& schedule, const ir::Target& target);

  bool is_whole = false;  ///< whether a block of keys is all of them: the naive algorithm
  int64_t queries = 1;    ///< tokens of a block of rows
  int64_t keys = 1;       ///< of a block, a multiple of the panel of keys
  int64_t together = 1;   ///< blocks of keys whose scores may lie side by side
  int64_t edge_rows = 1;  ///< rows that are multiplied at once where each sees other keys
  product::Product scores, values;
  product::Blocking score_tile, value_tile;

  // Bytes from row to row, or block to block, in scratch.
  int64_t query_bytes() const { return score_tile.packed_row_bytes(scores); }
  int64_t weight_bytes() const { return value_tile.packed_row_bytes(values); }
  int64_t sum_bytes() const { return row_bytes(values.panels() * values.panel); }
  RowLayout rows() const { return {keys, weight_bytes(), sum_bytes()}; }
  /// Working memory of a thread that packs keys and values itself, block by block.
  int64_t scratch_bytes(const Attention& attention) const;
  int64_t key_block_bytes() const { return keys / scores.panel * scores.part_bytes.front(); }
  int64_t value_block_bytes() const { return values.panels() * values.part_bytes.front(); }
};

/// Copies rows of k to panels of keys, [dim][panel], as f32; zeros where a panel has no key.
/// Buffers k, packed; parameters rows, k.stride1.
ir::program::Program pack_keys_program(const Attention& attention, const Blocking& blocking,
                                       const ir::Target& target);

/// Copies rows of v to panels of columns, [keys][panel], as f32; zeros where a column does not
/// exist. Buffers v, packed; parameters rows, v.stride1.
ir::program::Program pack_values_program(const Attention& attention, const Blocking& blocking,
                                         const ir::Target& target);

/// Rows that have seen nothing yet: the largest score is the lowest number. Buffers maximum, sum,
/// values, and sink where there are sinks; parameter rows.
ir::program::Program start_program(const Attention& attention, const RowLayout& layout,
                                   const ir::Target& target);

/// One block of keys for some rows: scores become weights relative to the largest score so far, and
/// what was added up before is brought to the same measure (Milakov and Gimelshein, Online
/// normalizer calculation for softmax, 2018; Dao, FlashAttention-2, 2023). Buffers scores, maximum,
/// sum, values, and mask where there is one; parameter rows, with a mask its stride. Of an `edge`
/// the rows do not see the whole block: further parameters are columns, which every buffer of the
/// block has, and where rows differ `end`, the column after the last that the first row sees, and
/// with a window `begin`, the first; both move on by one from row to row. Columns before `kept`,
/// where keys are kept, no window hides.
ir::program::Program softmax_program(const Attention& attention, const RowLayout& layout,
                                     const ir::Target& target, bool edge);

/// Rows that have seen some keys take in what others saw of other keys. Buffers maximum, sum,
/// values; other_maximum, other_sum, other_values; parameter rows.
ir::program::Program merge_program(const Attention& attention, const RowLayout& layout,
                                   const ir::Target& target);

/// The rows' results. Buffers maximum, sum, values, y, and lse where it is asked for; parameters
/// rows, y.stride1, lse.stride1.
ir::program::Program finish_program(const Attention& attention, const RowLayout& layout,
                                    const ir::Target& target);

/// Adds the blocks of tokens and keys to a space, by the tiles of scores and of values.
using AddBlocks =
    std::function<void(SearchSpace&, const product::Tiles& scores, const product::Tiles& values)>;
/// The knobs of plans over packed keys and values: register tiles, then what `add_blocks` adds,
/// edges, what is asked for ahead. `block`: a number of keys that whole panels must make; 0: any.
SearchSpace prefill_space(const Attention& attention, const ir::Target& target, int64_t block,
                          const AddBlocks& add_blocks);

/// The programs over batches, heads, blocks and threads.
ir::plan::Plan prefill_plan(const Attention& attention, const Blocking& blocking,
                            const ir::Target& target);

ir::plan::Plan block_sparse_plan(const Attention& attention, const Blocking& blocking,
                                 const ir::Target& target);

/// Of DecodeBlocking::ahead: what is asked for are the same rows of the next head.
inline constexpr int64_t kNextHead = -1;

/// A schedule's numbers for attention_decode, which reads keys and values where they lie.
struct DecodeBlocking {
  DecodeBlocking() = default;
  DecodeBlocking(const Attention& attention, const Schedule& schedule);

  int64_t keys = 1;         ///< of a block, whose scores are kept
  int64_t split = 0;        ///< keys that a task goes over, a multiple of those of a block; 0: all
  int mr = 1;               ///< rows that are multiplied at once
  int key_rows = 1;         ///< keys that they are multiplied by at once
  int value_rows = 1;       ///< rows of v that they weight at once
  int64_t ahead = 0;        ///< rows of k or v that are asked for ahead of their use, or kNextHead
  int64_t listed_page = 0;  ///< keys of a page, where pages are listed; 0: no pages are
  bool pairs_keys = false;  ///< whether packed queries have their even elements before the odd ones
  RowLayout rows;
  product::Product queries;  ///< whose rows are packed
  product::Blocking packed;  ///< and how
  int64_t query_bytes() const { return packed.packed_row_bytes(queries); }
  /// Puts even elements before odd ones where k or v is bf16 and its rows are whole pairs: for
  /// plans whose queries decode_queries_program() packs, and whose rows finish_program() ends.
  void pair_up(const Attention& attention);
};

/// Copies rows of q to where the scores' program reads them, as f32. Buffers x, packed; parameters
/// rows, x.stride0.
ir::program::Program decode_queries_program(const Attention& attention,
                                            const DecodeBlocking& blocking,
                                            const ir::Target& target);

/// Scores of a few rows: dot products with keys where they lie. Buffers q (f32, packed), k, scores;
/// parameters rows, columns, k.stride1 and k.next, from a key to what is asked for meanwhile. Of a
/// paged cache k is the head's first row in the pool; further buffer pages, the entries of the
/// block table from that of the first key on; further parameters k.stride0, from page to page of
/// the pool, first, the first key's place in its page, page_count, the entries that the keys need,
/// and for asking ahead page_limit, the entries that there are, and pages_ahead, to those that are
/// asked for beside k.next. Of listed pages k is the first of all keys, and buffers and parameters
/// of ListedPages (listed_pages.h) take the place of columns and k.next: a page has as many columns
/// as it may have keys, and those without a key are left as they are.
ir::program::Program decode_scores_program(const Attention& attention,
                                           const DecodeBlocking& blocking,
                                           const ir::Target& target);

/// Adds values, weighted by a block's scores. Buffers scores, v, values; parameters rows, columns,
/// v.stride1, v.next; of a paged cache or listed pages those of the scores' program, too.
ir::program::Program decode_values_program(const Attention& attention,
                                           const DecodeBlocking& blocking,
                                           const ir::Target& target);

ir::plan::Plan decode_plan(const Attention& attention, const DecodeBlocking& blocking,
                           const ir::Target& target);

/// What decode_space() takes into account beside the attention's sizes.
struct DecodeSpaceOptions {
  /// Of listed pages only the next can be asked for ahead: what lies behind a page is not read.
  bool listed = false;
  /// Keys, and rows of v, that are usually taken at once, as far as the registers allow.
  int64_t together = 1;
};
/// The knobs that DecodeBlocking reads.
SearchSpace decode_space(const Attention& attention, const ir::Target& target,
                         const DecodeSpaceOptions& options = {});

}  // namespace lathe::compiler::kernels::attention
