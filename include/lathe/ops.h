// What a kernel can be asked to compute: one plain struct an operation, with the model's defaults.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>

#include <lathe/tensor_view.h>

namespace lathe {

// `rows` is the number of rows the kernel will mostly see: it chooses the tuned variant; every
// kernel computes any number of rows right. `type` is that of the activations; weights have the
// same type. Arithmetic is f32 throughout. Operands are listed in call order: inputs, then outputs.

/// y = x * rsqrt(mean(x^2) + eps) * weight. x [rows, width], weight [width] -> y [rows, width].
/// With residual: h = x + r, y = norm(h). x, r, weight -> h, y.
struct RmsNorm {
  int64_t width = 0;
  double eps = 1e-6;
  bool residual = false;
  bool quantised = false;  ///< y is q8_0, as Quantize of an f32 y writes it, for a Linear of such x
  DataType type = DataType::f32;
  int64_t rows = 512;
};

/// y = (x - mean) * rsqrt(variance + eps) * weight + bias. x, weight, bias -> y.
struct LayerNorm {
  int64_t width = 0;
  double eps = 1e-6;
  bool quantised = false;  ///< as of RmsNorm
  DataType type = DataType::f32;
  int64_t rows = 512;
};

/// y = x / max(||x||_2, eps). x -> y.
struct Normalize {
  int64_t width = 0;
  double eps = 1e-12;
  DataType type = DataType::f32;
  int64_t rows = 512;
};

/// y = exp(x - max x) / sum. x -> y. A row of -inf gives NaN.
struct Softmax {
  int64_t width = 0;
  DataType type = DataType::f32;
  int64_t rows = 512;
};

/// y = x - max x - log(sum(exp(x - max x))). x -> y. A row of -inf gives NaN.
struct LogSoftmax {
  int64_t width = 0;
  DataType type = DataType::f32;
  int64_t rows = 512;
};

/// Elementwise activations. x -> y.
struct Gelu {
  int64_t width = 0;
  bool tanh_approximation = true;  ///< false: the exact form with erf
  DataType type = DataType::f32;
  int64_t rows = 512;
};
struct Silu {
  int64_t width = 0;
  DataType type = DataType::f32;
  int64_t rows = 512;
};
struct Relu {
  int64_t width = 0;
  DataType type = DataType::f32;
  int64_t rows = 512;
};

/// y = silu(gate) * up. gate, up -> y.
struct Swiglu {
  int64_t width = 0;
  DataType type = DataType::f32;
  int64_t rows = 512;
};

/// What the slots of rows name in a cache y, into which a kernel writes each row at its slot. y is
/// an output that is an input, too: given once, among the outputs, and what no slot names stays as
/// it was. Strides say whether heads lie beside each other or before tokens. A slot of -1 leaves
/// its row out; one that is outside the cache, or given twice, is invalid_argument before anything
/// is written, and so is a y that overlaps another operand.
enum class CacheSlots : uint8_t {
  off,      ///< there is no cache: y has as many rows as x
  flat,     ///< y [capacity, heads, dim]: slot s is its entry s
  paged,    ///< y [pages, page, heads, dim]: slot s is entry s mod page of page s / page
  batched,  ///< y [batch, capacity, heads, dim]: each item has rows and slots of its own
};

/// Rotates pairs (j, j + dim/2) of x [rows, heads, dim] by the angles of each row's position.
/// Tables cos, sin are f32 [positions, dim/2] (vision: [positions, dim/4]); position ids are i32:
/// plain [rows], multi_axis [3, rows] in the order t, h, w, vision [rows, 2] in the order row,
/// column. x, cos, sin, ids -> y; with norm (rms_norm of each head first): x, cos, sin, ids, weight
/// [dim] -> y. With slots i32 [rows] after these, y is a cache; with batched ones x is [batch,
/// rows, heads, dim] and ids and slots have a dimension batch before rows, too.
struct Rope {
  enum class Kind : uint8_t { plain, multi_axis, vision };
  int64_t heads = 1;
  int64_t dim = 128;
  Kind kind = Kind::multi_axis;
  int section_t = 24, section_h = 20, section_w = 20;  ///< multi_axis: sum is dim/2
  bool norm = false;
  double eps = 1e-6;
  CacheSlots slots = CacheSlots::off;
  int64_t page = 0;                     ///< tokens of a page, of paged ones
  DataType cache_type = DataType::f32;  ///< of y as a cache: f32, f16, bf16, q8_0
  DataType type = DataType::f32;
  int64_t rows = 512;
};

/// Writes rows into a cache y: y[slots[r]] = x[r], what else is there stays. x [rows, heads, dim],
/// slots i32 [rows] -> y; batched: x [batch, rows, heads, dim], slots [batch, rows]. Floats may be
/// of another type in y, and q8_0 there; rows of blocks (q8_0, q4_0, q4_K) are copied.
struct WriteCache {
  int64_t heads = 1;
  int64_t dim = 128;
  CacheSlots slots = CacheSlots::flat;
  int64_t page = 0;                     ///< tokens of a page, of paged ones
  DataType type = DataType::f32;        ///< of x
  DataType cache_type = DataType::f32;  ///< of y
  int64_t rows = 512;
};

/// y[r] = table[ids[r]]. table [vocabulary, width], ids i32 [rows] -> y [rows, width].
struct Embedding {
  int64_t width = 0;
  DataType type = DataType::f32;  ///< of table and y
  int64_t rows = 512;
};

/// Blocks of 32 values as in GGUF's q8_0. x [rows, width] -> y q8_0 [rows, width].
struct Quantize {
  int64_t width = 0;
  DataType type = DataType::f32;
  int64_t rows = 512;
};

/// y = epilogue(x * transpose(w)), w a constant weight [n, k] packed by Library::pack_weight. x
/// [rows, k], the weight's parts, the epilogue's inputs in order of their first appearance -> y
/// [rows, n]. The epilogue is a text such as "gelu_tanh(add(y,vec(b)))" of the product y, with
/// `pair` of the products y and z with the weight's two halves: "mul(silu(y),z)". Its inputs [rows,
/// n] have x's type, its vec() inputs [n] are f32. PackedWeight::linear() fills in what the weight
/// says. For a weight of q8_0, q4_0 or q4_K x may be q8_0, as Quantize writes it: the same bits as
/// of x itself, and the epilogue's inputs are f32. y may be q8_0, too, where n is a multiple of 32.
struct Linear {
  int64_t n = 0;  ///< columns of y
  int64_t k = 0;
  DataType weight = DataType::f32;
  bool pair = false;
  int panel = 0;  ///< of the packed weight; 0: what pack_weight chooses
  std::string_view epilogue = "y";
  DataType type = DataType::f32;
  DataType out = DataType::f32;
  int64_t rows = 512;
};

/// y = epilogue(a * b), matrix by matrix. a [group * batch, rows, k], b [batch, k, n], the
/// epilogue's inputs in order of their first appearance -> y [group * batch, rows, n]; a transposed
/// a lies as [group * batch, k, rows], a transposed b as [batch, n, k]. Views may have any strides
/// between matrices and rows: 0 between matrices of an input is one matrix for all. The epilogue is
/// a text such as "mul(y,0.125)"; its inputs [group * batch, rows, n] have a's type, its vec()
/// inputs [n] and col() inputs [group * batch, rows, 1] are f32.
struct BatchedMatmul {
  int64_t batch = 1;  ///< matrices b that the kernel will mostly see, as `rows`
  int64_t n = 0;      ///< columns of y
  int64_t k = 0;
  int64_t group = 1;  ///< consecutive matrices of a and y that share one of b
  bool transpose_a = false;
  bool transpose_b = false;
  std::string_view epilogue = "y";
  DataType type = DataType::f32;  ///< of a
  DataType b_type = DataType::f32;
  DataType out = DataType::f32;
  int64_t rows = 512;
};

/// y = softmax(softcap(q · kᵀ · scale) + mask) · v for each head; heads / kv_heads consecutive
/// heads of q share one of k and v. q [batch, tokens, heads, dim], k [batch, context, kv_heads,
/// dim], v [batch, context, kv_heads, value_dim], mask [batch, heads, tokens, context] (bool or
/// a float), cu_seqlens and cu_seqlens_k [sequences + 1] i32, lengths [batch] i32, block_table
/// [batch, most] i32, sinks [heads] f32, each where asked for -> y [batch, tokens, heads,
/// value_dim], lse [batch, tokens, heads, 1] f32. All sizes but heads and their sizes are run-time
/// values, and so are all strides but the last: heads may lie before tokens, and a mask with a
/// stride of 0 is the same for all. Up to 16 tokens are for a cache that is read once
/// (attention_decode), more, packed ones and what is said to be so below for attention_prefill. A
/// row that sees no key is 0.
///
/// Sequences of different lengths lie packed side by side in the tokens of a batch of 1: sequence s
/// has those from cu_seqlens[s] to before cu_seqlens[s + 1], and sees its own keys only.
///
/// A paged cache has k and v as pools [pages, page, kv_heads, dim or value_dim], of which row b of
/// the block table names the pages of sequence b in order; its context is most * page. Entries
/// after those that lengths[b] keys need may be anything, and no other page is read. An entry that
/// is needed and names no page is invalid_argument, before anything runs.
struct Attention {
  enum class Causal : uint8_t {
    none,   ///< every token sees every key
    start,  ///< the first token stands at the first key, and sees none after its own
    end,    ///< the last token stands at the last key, as behind a cache
  };
  enum class Mask : uint8_t { none, boolean, additive };
  enum class Packed : uint8_t {
    none,      ///< each item of a batch is a sequence
    shared,    ///< tokens and as many keys, both with the bounds cu_seqlens
    separate,  ///< keys have bounds of their own, cu_seqlens_k
    queries,   ///< tokens alone: k and v are [sequences, context, ...], as a cache has them
  };
  enum class Cache : uint8_t { contiguous, paged };
  /// How k and v lie. Calls may have any strides whatever is said here: the result is the same, but
  /// a schedule that was tuned for the other layout serves them.
  enum class KvLayout : uint8_t {
    nhd,  ///< tokens before heads: [batch, context, kv_heads, dim], of a page [page, kv_heads, dim]
    hnd,  ///< heads before tokens: [batch, kv_heads, context, dim], of a page [kv_heads, page, dim]
  };

  int64_t heads = 1;
  int64_t kv_heads = 0;   ///< 0: as many as heads
  int64_t dim = 0;        ///< of a head of q and k
  int64_t value_dim = 0;  ///< of a head of v and y; 0: dim
  Causal causal = Causal::none;
  Packed packed = Packed::none;
  int64_t window = 0;      ///< keys that a token sees at most, its own counted; 0: all
  int64_t lookahead = -1;  ///< keys after its own that a token sees, not causal; -1: all (prefill)
  int64_t kept_keys = 0;   ///< first keys of a sequence that the window does not hide (prefill)
  double softcap = 0;      ///< c * tanh(score / c); 0: none
  double scale = 0;        ///< 0: 1 / sqrt(dim)
  Mask mask = Mask::none;
  bool mask_of_rows = false;  ///< the mask has one value for all keys: [batch, heads, tokens, 1]
  DataType mask_type = DataType::f32;  ///< of numbers
  bool lengths = false;             ///< each item of a batch, or of k, has its own number of keys
  bool sinks = false;               ///< a logit for each head joins the softmax of its rows
  bool lse = false;                 ///< the logarithm of each row's denominator is a result, too
  Cache cache = Cache::contiguous;  ///< paged: up to 16 tokens, with lengths
  int64_t page = 0;                 ///< keys of a page of a paged cache; 0 of others
  DataType type = DataType::f32;
  DataType kv_type = DataType::f32;    ///< q8_0, too, for up to 16 tokens: sizes of heads in blocks
  KvLayout kv_layout = KvLayout::nhd;  ///< as the cache was made: Library::kv_layout recommends one
  DataType out = DataType::f32;
  int64_t tokens = 512;   ///< rows of q that the kernel will mostly see, as `rows`
  int64_t context = 512;  ///< keys, likewise
  /// Bytes of working memory that a call may take beside its operands, all threads together; as
  /// many work as have room. 0: any, and keys and values are copied once for all (prefill).
  int64_t memory = 0;
};

/// Attention in which each block of `block` tokens sees only the blocks of as many keys that are
/// listed for it; otherwise as Attention of many tokens, without a mask. q, k, v, counts i32
/// [batch, kv_heads, query_blocks], blocks i32 [batch, kv_heads, query_blocks, kept], sinks [heads]
/// f32 where asked for -> y, lse where asked for. The first counts[…] numbers of a row of blocks
/// are its blocks of keys, ascending and none twice; what follows them is not read. query_blocks is
/// tokens / block, rounded up, and kept at least 1. The query heads of one head of k share their
/// lists.
struct BlockSparseAttention {
  int64_t block = 64;  ///< a multiple of 16, at most 256
  int64_t heads = 1;
  int64_t kv_heads = 0;   ///< 0: as many as heads
  int64_t dim = 0;        ///< of a head of q and k
  int64_t value_dim = 0;  ///< of a head of v and y; 0: dim
  Attention::Causal causal = Attention::Causal::none;
  int64_t window = 0;  ///< keys that a token sees at most, its own counted; 0: all
  double softcap = 0;  ///< c * tanh(score / c); 0: none
  double scale = 0;    ///< 0: 1 / sqrt(dim)
  bool sinks = false;  ///< a logit for each head joins the softmax of its rows
  bool lse = false;    ///< the logarithm of each row's denominator is a result, too
  DataType type = DataType::f32;
  DataType kv_type = DataType::f32;
  Attention::KvLayout kv_layout = Attention::KvLayout::nhd;
  DataType out = DataType::f32;
  int64_t tokens = 2048;   ///< rows of q that the kernel will mostly see, as `rows`
  int64_t context = 2048;  ///< keys, likewise
  int64_t kept = 8;        ///< blocks that a row of the lists has room for, likewise
};

/// scores = (mean of q · wq) · (mean of k · wk)ᵀ / sqrt(dim), the means being those of each block
/// of tokens or keys: by what select_blocks (<lathe/routing.h>) chooses lists for
/// BlockSparseAttention. q [batch, tokens, heads, dim], k [batch, context, kv_heads, dim], with a
/// rank wq f32 [heads, dim, rank] and wk f32 [kv_heads, dim, rank], finite -> scores f32 [batch,
/// kv_heads, query_blocks, key_blocks]. The query heads of one head of k have one score: wq's
/// products are added up; without weights their means are.
struct AttentionRouter {
  int64_t block = 64;  ///< tokens of a block, and keys of one
  int64_t heads = 1;
  int64_t kv_heads = 0;  ///< 0: as many as heads
  int64_t dim = 0;       ///< of a head
  int64_t rank = 0;      ///< columns of the weights; 0: there are none
  DataType type = DataType::f32;
  int64_t tokens = 2048;   ///< rows of q that the kernel will mostly see, as `rows`
  int64_t context = 2048;  ///< keys, likewise
};

/// Attention of up to 16 new tokens against keys and values that are kept as factors: row j of a
/// head's keys is c_k[j] · u_k, of its values c_v[j] · u_v, and neither is ever made. q [batch,
/// tokens, heads, dim], c_k [batch, context, kv_heads, rank], c_v [batch, context, kv_heads,
/// value_rank], u_k [kv_heads, rank, dim], u_v [kv_heads, value_rank, value_dim], lengths [batch]
/// i32 and sinks [heads] f32 where asked for -> y, lse as of Attention. With `recent` keys that
/// follow those of the factors and are kept whole: k [batch, recent, kv_heads, dim] and v [batch,
/// recent, kv_heads, value_dim] after u_v, and recent_lengths [batch] i32, how many of them there
/// are, before sinks; `lengths` is of the factors' rows, which every token sees, and the tokens
/// stand at the last recent keys. c_k and c_v may be the same memory. lathe/low_rank.h makes the
/// factors.
struct AttentionLowRank {
  int64_t heads = 1;
  int64_t kv_heads = 0;    ///< 0: as many as heads
  int64_t dim = 0;         ///< of a head of q, and of k
  int64_t value_dim = 0;   ///< of a head of v and y; 0: dim
  int64_t rank = 0;        ///< of a head's row of c_k
  int64_t value_rank = 0;  ///< of a head's row of c_v; 0: rank
  int64_t recent = 0;      ///< rows of k and v; 0: there are none
  bool per_head = false;   ///< u_k and u_v are of each head of q [heads, rank, dim], not of k
  bool causal = false;     ///< the last token stands at the last key; else every token sees all
  double softcap = 0;      ///< as of Attention
  double scale = 0;        ///< 0: 1 / sqrt(dim)
  bool lengths = false;
  bool sinks = false;
  bool lse = false;
  DataType type = DataType::f32;
  DataType kv_type = DataType::f32;                          ///< of c_k, c_v, k and v
  Attention::KvLayout kv_layout = Attention::KvLayout::nhd;  ///< of these, too
  DataType weight_type = DataType::f32;                      ///< of u_k and u_v
  DataType out = DataType::f32;
  int64_t tokens = 1;     ///< rows of q that the kernel will mostly see, up to 16
  int64_t context = 512;  ///< rows of c_k, likewise
};

/// Attention of up to 16 new tokens against some pages of a cache: page p holds its keys from p *
/// page on, and each head of k has a list of its own, for all tokens and for all heads of q that
/// share it. q, k and v as of Attention, pages i32 [batch, kv_heads, kept], lengths [batch] i32 and
/// sinks [heads] f32 where asked for -> y, lse as of Attention. The numbers ascend; an entry that
/// equals the one before it adds nothing, which fills up shorter lists, nor does a page behind the
/// sequence's keys. Only listed pages are read. lathe/token_sparse.h makes the lists.
struct AttentionTokenSparse {
  int64_t heads = 1;
  int64_t kv_heads = 0;   ///< 0: as many as heads
  int64_t dim = 0;        ///< of a head of q and k
  int64_t value_dim = 0;  ///< of a head of v and y; 0: dim
  int64_t page = 16;      ///< keys of a page; 1: lists are of keys
  bool causal = false;    ///< the last token stands at the last key; else every token sees all
  double scale = 0;       ///< 0: 1 / sqrt(dim)
  bool lengths = false;
  bool sinks = false;
  bool lse = false;
  DataType type = DataType::f32;
  DataType kv_type = DataType::f32;
  Attention::KvLayout kv_layout = Attention::KvLayout::nhd;
  DataType out = DataType::f32;
  int64_t tokens = 1;      ///< rows of q that the kernel will mostly see, up to 16
  int64_t context = 8192;  ///< keys, likewise
  int64_t kept = 64;       ///< pages of a list, likewise
};

/// The least and the greatest of each dimension among the keys of a page. k [batch, pages, page,
/// kv_heads, dim], a cache of whole pages or a part of it -> bounds [batch, pages, kv_heads, 2 *
/// dim], the least before the greatest. Bounds of 16 bits are rounded to the nearest.
struct AttentionPageBounds {
  int64_t kv_heads = 1;
  int64_t dim = 0;
  int64_t page = 16;
  DataType type = DataType::f32;  ///< of k
  DataType out = DataType::f32;   ///< of the bounds
  int64_t pages = 512;            ///< that the kernel will mostly see, as `rows`
};

/// How relevant each page is to the tokens and heads of q that share a head of k: with
/// Select::pages the upper bound of the sum of their best products with a key of the page, from its
/// bounds (Quest); with Select::learned the sum of (q * w) * code. q [batch, tokens, heads, dim],
/// with learned ones w [heads, dim, rank]; bounds [batch, pages, kv_heads, 2 * dim], or codes
/// [batch, pages, kv_heads, rank] -> scores f32 [batch, kv_heads, pages]. Pages of one key make
/// scores of keys.
struct AttentionPageScores {
  enum class Select : uint8_t { pages, learned };
  Select select = Select::pages;
  int64_t heads = 1;
  int64_t kv_heads = 0;  ///< 0: as many as heads
  int64_t dim = 0;
  int64_t rank = 0;                      ///< of a learned code
  DataType type = DataType::f32;         ///< of q
  DataType kv_type = DataType::f32;      ///< of bounds or codes
  DataType weight_type = DataType::f32;  ///< of w
  int64_t tokens = 1;                    ///< rows of q that the kernel will mostly see, up to 16
  int64_t pages = 512;                   ///< likewise
};

/// Any chain of elementwise functions in one pass, as a text such as "mul(silu(x),u)";
/// docs/kernels.md has its grammar. Inputs in order of their first appearance -> y.
struct Elementwise {
  std::string_view expression = "x";
  int64_t width = 0;
  DataType type = DataType::f32;
  DataType out = DataType::f32;
  int64_t rows = 512;
};

/// All of them.
using Operations =
    std::tuple<RmsNorm, LayerNorm, Normalize, Softmax, LogSoftmax, Gelu, Silu, Relu, Swiglu, Rope,
               Embedding, Quantize, WriteCache, Linear, BatchedMatmul, Attention,
               BlockSparseAttention, AttentionRouter, AttentionLowRank, AttentionTokenSparse,
               AttentionPageBounds, AttentionPageScores, Elementwise>;

namespace detail {
template <typename Op, typename List>
inline constexpr bool is_one_of = false;
template <typename Op, typename... Ops>
inline constexpr bool is_one_of<Op, std::tuple<Ops...>> = (std::is_same_v<Op, Ops> || ...);
}  // namespace detail

/// One of the structs above.
template <typename Op>
concept Operation = detail::is_one_of<Op, Operations>;

}  // namespace lathe
