// What shape inference of each op refuses, one mistake each.
#include "tests/ir_graph/graph_testing.h"

namespace lathe::ir::graph {
namespace {

struct Case {
  const char* inputs;
  const char* statement;
  const char* message;  // after "2:5: "
};

const Case kCases[] = {
    {"%x: f32[n, 8], %w: f32[7]", "rms_norm(%x, %w)",
     "rms_norm: operand 'weight': found shape [7], expected one that broadcasts to [n, 8]"},
    {"%x: i32[n, 8]", "rms_norm(%x)",
     "rms_norm: operand 'x': found i32[n, 8], expected f32, f16 or bf16"},
    {"%x: f32[n, 8], %b: f32[m]", "layer_norm(%x, _, %b)",
     "layer_norm: operand 'bias': found shape [m], expected one that broadcasts to [n, 8]"},
    {"%x: f32[]", "softmax(%x)", "softmax: found axis -1, expected 0 to -1 for rank 0"},
    {"%x: f32[8]", "normalize(%x) {axis = 1}",
     "normalize: found axis 1, expected -1 to 0 for rank 1"},
    {"%x: f32[8], %y: f32[9]", "swiglu(%x, %y)",
     "swiglu: operand 'up': found f32[9], expected f32[8] as 'gate' has"},
    {"%x: f32[n, 8], %c: f32[n, 4]", "rope(%x, %c, %c)",
     "rope: operand 'x': found f32[n, 8], expected rank 3, or 4 with a leading batch"},
    {"%x: f32[n, 2, 8], %c: f32[n, 8]", "rope(%x, %c, %c)",
     "rope: operand 'cos': found shape [n, 8], expected [n, 4]"},
    {"%x: f32[n, 2, 8], %c: f32[n, 4], %s: f32[m, 4]", "rope(%x, %c, %s)",
     "rope: operand 'sin': found shape [m, 4], expected [n, 4]"},
    {"%x: f32[n, 2, 8], %c: f32[r, 3], %p: i32[n]", "rope(%x, %c, %c, %p)",
     "rope: operand 'cos': found shape [r, 3], expected [positions, 4]"},
    {"%x: f32[n, 2, 8], %c: f32[r, 4], %p: i32[m]", "rope(%x, %c, %c, %p)",
     "rope: operand 'positions': found shape [m], expected [n]"},
    {"%x: f32[n, 2, 8], %c: f32[n, 4]", "rope(%x, %c, %c) {rotary_dim = 3}",
     "rope: rotary_dim: found 3, expected an even number up to the head's 8"},
    {"%x: f32[n, 2, d], %c: f32[n, 4]", "rope(%x, %c, %c)",
     "rope: operand 'x': found a last dimension of d, expected a multiple of 1"},
    {"%x: f32[n, 2, 8], %c: f32[r, 4], %p: i32[3, n]", "mrope(%x, %c, %c, %p)",
     "mrope: section: found [24, 20, 20], expected three numbers whose sum is 4, half the head"},
    {"%x: f32[n, 2, 8], %c: f32[r, 4], %p: i32[n]", "mrope(%x, %c, %c, %p) {section = [2, 1, 1]}",
     "mrope: operand 'positions': found shape [n], expected [3, n]"},
    {"%x: f32[n, 2, 6], %c: f32[r, 2], %p: i32[n, 2]", "vision_rope(%x, %c, %c, %p)",
     "vision_rope: operand 'x': found a last dimension of 6, expected a multiple of 4"},
    {"%x: f32[n, 2, 8], %c: f32[r, 4], %p: i32[n, 2]", "vision_rope(%x, %c, %c, %p)",
     "vision_rope: operand 'cos': found shape [r, 4], expected [positions, 2]"},
    {"%t: f32[r, c], %i: i64[n, 4], %w: f32[n, 3]", "bilinear_embedding(%t, %i, %w)",
     "bilinear_embedding: operand 'weights': found shape [n, 3], expected [n, 4]"},
    {"%t: f32[r], %i: i64[n, 4], %w: f32[n, 4]", "bilinear_embedding(%t, %i, %w)",
     "bilinear_embedding: found shapes [r] and [n, 4], expected a table [rows, width] and indices "
     "[n, corners]"},
    {"%a: f32[n], %b: f16[n]", "add(%a, %b)",
     "add: operand 'b': found f16, expected f32 as 'a' has"},
    {"%a: f32[n], %b: f32[m]", "add(%a, %b)",
     "add: shapes [n] and [m] do not broadcast: found n against m, expected equal or 1"},
    {"%a: bool[n]", "add(%a, %a)",
     "add: operand 'a': found bool[n], expected a float or integer type"},
    {"%a: f32[n]", "where(%a, %a, %a)", "where: operand 'condition': found f32[n], expected bool"},
    {"%c: bool[], %a: f32[n], %b: i8[n]", "where(%c, %a, %b)",
     "where: operand 'b': found i8, expected f32 as 'a' has"},
    {"%a: f32[n], %b: i8[n]", "fma(%a, %a, %b)",
     "fma: operand 'c': found i8, expected f32 as 'a' has"},
    {"%x: f32[n]", "cast(%x) {type = q8_0}",
     "cast: type: found q8_0, expected a type that is not block-quantised; use quantize"},
    {"%x: f32[33]", "quantize(%x)",
     "quantize: operand 'x': found shape [33], expected a last dimension that is a multiple of 32"},
    {"%x: f32[256]", "quantize(%x) {type = q4_K}",
     "quantize: type: found q4_K, expected q8_0 or q4_0"},
    {"%x: f32[32]", "dequantize(%x)",
     "dequantize: operand 'x': found f32[32], expected q8_0, q4_0 or q4_K"},
    {"%x: q8_0[32]", "dequantize(%x) {type = i8}",
     "dequantize: type: found i8, expected f32, f16 or bf16"},
    {"%x: f32[1]", "constant() {value = 300, type = u8}",
     "constant: value: found 300, expected an integer from 0 to 255"},
    {"%x: f32[1]", "constant() {value = 1, shape = [-1]}",
     "constant: shape: found dimension -1, expected 0 or more"},
    {"%x: f32[1]", "constant() {value = 1, type = q8_0}",
     "constant: type: found q8_0, expected one that is not block-quantised"},
    {"%x: f32[1]", "rope_table() {theta = 0, dim = 2, positions = 1}",
     "rope_table: found 1 results, expected 2"},
    {"%t: f32[8], %i: i64[n]", "embedding(%t, %i)",
     "embedding: operand 'table': found shape [8], expected [rows, width]"},
    {"%t: f32[8, 8], %i: u8[n]", "embedding(%t, %i)",
     "embedding: operand 'ids': found u8[n], expected i32 or i64"},
    {"%x: f32[8], %i: i64[n]", "gather(%x, %i) {axis = 1}",
     "gather: found axis 1, expected -1 to 0 for rank 1"},
    {"%x: f32[n, 8], %m: bool[m], %u: f32[k, 8]", "scatter_rows(%x, %m, %u)",
     "scatter_rows: operand 'mask': found shape [m], expected that of x without its last "
     "dimension, [n, 8]"},
    {"%x: f32[n, 8], %m: bool[n], %u: f32[k, 7]", "scatter_add_rows(%x, %m, %u)",
     "scatter_add_rows: operand 'updates': found f32[k, 7], expected f32[rows, 8]"},
    {"%a: f32[n, 2], %b: f32[3, 2]", "concat(%a, %b) {axis = 0}",
     "concat: found sizes n and 3, expected numbers or multiples of one name"},
    {"%a: f32[n, 2], %b: f32[n]", "concat(%a, %b) {axis = 0}",
     "concat: operand 1: found f32[n], expected rank 2"},
    {"%a: f32[n, 2], %b: f16[n, 2]", "concat(%a, %b) {axis = 0}",
     "concat: operand 1: found f16[n, 2], expected f32[n, 2] but for dimension 0"},
    {"%x: f32[n]", "slice(%x) {axis = 0, begin = 1}",
     "slice: found a range whose size depends on n; expected begin and end counted from the same "
     "side"},
    {"%x: f32[8]", "slice(%x) {axis = 0, step = 0}",
     "slice: found begin 0, end 9223372036854775807, step 0; expected a step of 1 or more and ends "
     "within 2^40"},
    {"%x: f32[n, 2]", "transpose(%x) {perm = [0, 0]}",
     "transpose: perm: found [0, 0], expected a permutation of 0 to 1"},
    {"%x: f32[n, 2]", "reshape(%x) {shape = [n, 3]}",
     "reshape: shape: found [n, 3], expected as many elements as [n, 2]"},
    {"%x: f32[n, 2]", "reshape(%x) {shape = [-1, -1]}",
     "reshape: shape: found [-1, -1], expected dimensions of 0 or more, and -1 at most once"},
    {"%x: f32[n, 2]", "reshape(%x) {shape = [-1, 3]}",
     "reshape: shape: [-1, 3] does not divide the elements of [n, 2]: the elements left for -1 are "
     "not a whole "
     "number times at most one name"},
    {"%x: f32[n, 4], %w: f32[3, 5]", "linear(%x, %w)",
     "linear: operand 'w': found shape [3, 5], expected [n, 4] for x of [n, 4]"},
    {"%x: f32[n, 4], %w: f32[3, 4], %b: f32[4]", "linear(%x, %w, %b)",
     "linear: operand 'b': found shape [4], expected [3]"},
    {"%a: f32[n, 4], %b: f32[5, 3]", "matmul(%a, %b)",
     "matmul: found inner sizes 4 and 5 of [n, 4] and [5, 3], expected equal"},
    {"%a: f32[], %b: f32[5]", "matmul(%a, %b)",
     "matmul: found f32[] and f32[5], expected equal element types and rank 1 or more"},
    {"%x: f32[1,1,1,1,1,1,1], %i: i64[1,1,1]", "gather(%x, %i)",
     "gather: found a result of rank 9, expected at most 8"},
    {"%a: f32[1000000, 1, 1000000], %b: f32[1000000, 1]", "add(%a, %b)",
     "add: shape [1000000, 1000000, 1000000] has more than 281474976710656 elements"},
    {"%q: f32[n, 8], %k: f32[m, 8]", "attention(%q, %k, %k)",
     "attention: found f32[n, 8], f32[m, 8] and f32[m, 8], expected q, k and v of rank 3, or 4 "
     "with a leading batch"},
    {"%q: f32[n, 2, 8], %k: f32[m, 2, 9]", "attention(%q, %k, %k)",
     "attention: operand 'k': found shape [m, 2, 9], expected that of q, [n, 2, 8], but for tokens "
     "and heads"},
    {"%q: f32[n, 2, 8], %k: f32[m, 2, 8], %v: f32[p, 2, 8]", "attention(%q, %k, %v)",
     "attention: operand 'v': found shape [p, 2, 8], expected that of k, [m, 2, 8], but for the "
     "last dimension"},
    {"%q: f32[n, 3, 8], %k: f32[m, 2, 8]", "attention(%q, %k, %k)",
     "attention: found 3 heads in q and 2 in k, expected a multiple of those in k"},
    {"%q: f32[n, 2, 8], %k: f32[m, 2, 8], %a: f32[m, n]", "attention(%q, %k, %k, %a)",
     "attention: operand 'mask': found shape [m, n], expected one that broadcasts to [2, n, m]"},
    {"%q: f32[n, 2, 8], %k: f32[m, 2, 8], %a: i8[n, m]", "attention(%q, %k, %k, %a)",
     "attention: operand 'mask': found i8[n, m], expected bool or f32, f16 or bf16"},
    {"%q: f32[n, 2, 8], %k: f32[b, m, 2, 8]", "attention(%q, %k, %k)",
     "attention: found f32[n, 2, 8], f32[b, m, 2, 8] and f32[b, m, 2, 8], expected q, k and v of "
     "rank 3, or 4 with a leading batch"},
    {"%q: f32[b, n, 2, 8], %c: i32[s]", "attention(%q, %q, %q, _, %c)",
     "attention: operand 'cu_seqlens': found it with q of f32[b, n, 2, 8], expected packed tokens, "
     "rank 3"},
    {"%q: f32[n, 2, 8], %c: i32[1, s]", "attention(%q, %q, %q, _, %c)",
     "attention: operand 'cu_seqlens': found shape [1, s], expected [sequences + 1]"},
    {"%q: f32[n, 2, 8], %c: i32[0]", "attention(%q, %q, %q, _, %c)",
     "attention: operand 'cu_seqlens': found shape [0], expected [sequences + 1]"},
    {"%q: f32[n, 2, 8], %k: f32[m, 2, 8], %c: i32[s]", "attention(%q, %k, %k, _, %c)",
     "attention: operand 'k': found m keys, expected n, the tokens of q, or an operand "
     "'cu_seqlens_k'"},
    {"%q: f32[n, 2, 8], %c: i32[s]", "attention(%q, %q, %q, _, _, %c)",
     "attention: operand 'cu_seqlens_k': found it without 'cu_seqlens', expected both"},
    {"%q: f32[n, 2, 8], %c: i32[s], %d: i32[r]", "attention(%q, %q, %q, _, %c, %d)",
     "attention: operand 'cu_seqlens_k': found shape [r], expected [s]"},
    {"%q: f32[n, 2, 8], %k: f32[b, m, 2, 8], %c: i32[s]", "attention(%q, %k, %k, _, %c, %c)",
     "attention: operand 'cu_seqlens_k': found it with k of f32[b, m, 2, 8], expected packed keys, "
     "rank 3"},
    {"%q: f32[n, 2, 8], %k: f32[3, m, 2, 8], %c: i32[3]", "attention(%q, %k, %k, _, %c)",
     "attention: operand 'k': found 3 sequences, expected 2 as cu_seqlens has"},
    {"%q: f32[b, n, 2, 8], %l: i32[c]", "attention(%q, %q, %q, _, _, _, %l)",
     "attention: operand 'lengths': found shape [c], expected [] or [b]"},
    {"%q: f32[n, 2, 8], %k: f32[b, m, 2, 8], %c: i32[s], %l: i32[s]",
     "attention(%q, %k, %k, _, %c, _, %l)",
     "attention: operand 'lengths': found shape [s], expected [] or [b]"},
    {"%q: f32[n, 2, 8], %l: i32[2]", "attention(%q, %q, %q, _, _, _, _, %l)",
     "attention: operand 'offset': found shape [2], expected [] or [1]"},
    {"%q: f32[n, 2, 8], %l: i32[]", "attention(%q, %q, %q, _, _, _, _, %l) {causal = end}",
     "attention: operand 'offset': found it with causal = end, which says where tokens stand; "
     "expected start or none"},
    {"%q: f32[n, 2, 8], %s: f32[3]", "attention(%q, %q, %q, _, _, _, _, _, %s)",
     "attention: operand 'sinks': found shape [3], expected [2]"},
    {"%q: f32[n, 2, 8], %s: f32[2]", "attention(%q, %q, %q, _, %s)",
     "attention: operand 'cu_seqlens': found f32[2], expected i32 or i64"},
    {"%q: f32[n, 2, 8]", "attention(%q, %q, %q) {window = -1}",
     "attention: window: found -1, expected 0 to 1099511627776"},
    {"%q: f32[n, 2, 8]", "attention(%q, %q, %q) {lookahead = -2}",
     "attention: lookahead: found -2, expected -1 to 1099511627776"},
    {"%q: f32[n, 2, 8]", "attention(%q, %q, %q) {kept_keys = -1, window = 2}",
     "attention: kept_keys: found -1, expected 0 to 1099511627776"},
    {"%q: f32[n, 2, 8]", "attention(%q, %q, %q) {kept_keys = 4}",
     "attention: kept_keys: found 4 without a window that would hide them, expected 0"},
    {"%q: f32[n, 2, 8]", "attention(%q, %q, %q) {softcap = -1}",
     "attention: softcap: found -1, expected a finite number, 0 or more"},
    {"%q: f32[n, 2, 8]", "attention(%q, %q, %q) {softcap = inf}",
     "attention: softcap: found inf, expected a finite number, 0 or more"},
    {"%q: f32[n, 2, 8]", "attention(%q, %q, %q) {scores = raw}",
     "attention: attribute 'scores': found 'raw', expected one of scaled, capped, masked, softmax"},
    {"%q: f32[b, n, 2, 8], %c: i32[b, 2, r], %l: i32[b, 2, r, s]",
     "block_mask(%q, %q, %c, %l) {block = 0}",
     "block_mask: block: found 0, expected 1 to 1099511627776"},
    {"%q: f32[b, n, 2, 8], %c: i32[b, 1, r], %l: i32[b, 1, r, s]",
     "block_mask(%q, %q, %c, %l) {block = 4}",
     "block_mask: operand 'counts': found shape [b, 1, r], expected [b, 2, blocks of tokens]"},
    {"%q: f32[b, n, 2, 8], %c: i32[b, 2, r], %l: i32[b, 2, s]",
     "block_mask(%q, %q, %c, %l) {block = 4}",
     "block_mask: operand 'blocks': found shape [b, 2, s], expected that of counts, [b, 2, r], and "
     "a last dimension"},
    {"%q: f32[n, 2, 8], %c: i32[b, 2, r]", "block_mask(%q, %q, %c, %c) {block = 4}",
     "block_mask: found q of f32[n, 2, 8] and k of f32[n, 2, 8], expected [batch, tokens, heads, "
     "size] of each"},
    {"%q: f32[b, n, 3, 8], %k: f32[b, m, 2, 8], %c: i32[b, 2, r]",
     "block_mask(%q, %k, %c, %c) {block = 4}",
     "block_mask: found 3 heads in q and 2 in k, expected a multiple of those in k"},
    {"%x: f32[n, 2, 8]", "pool_blocks(%x) {block = 4, blocks = [r]}",
     "pool_blocks: found f32[n, 2, 8] and 1 names of blocks, expected [batch, tokens, heads, size] "
     "and one"},
    {"%q: f32[b, n, 2, 8]", "block_scores(%q, %q) {block = 4}",
     "block_scores: query_blocks: found 0 names, expected one for the number of blocks that n "
     "tokens make"},
    {"%q: f32[b, 9, 2, 8], %k: f32[b, 9, 2, 4]", "block_scores(%q, %k) {block = 4}",
     "block_scores: found q of f32[b, 9, 2, 8] and k of f32[b, 9, 2, 4], expected the same type "
     "and size of a head"},
    {"%q: f32[b, 9, 2, 8], %w: f32[2, 8, 3]", "block_scores(%q, %q, %w) {block = 4}",
     "block_scores: operand 'wk' is omitted, expected both weights or none"},
    {"%q: f32[b, 9, 2, 8], %w: f32[2, 8, 3], %v: f32[2, 8, 4]",
     "block_scores(%q, %q, %w, %v) {block = 4}",
     "block_scores: found wq of [2, 8, 3] and wk of [2, 8, 4], expected [2, 8, 3] and [2, 8, 3]"},
    {"%k: f32[b, p, 0, 2, 8]", "page_bounds(%k)",
     "page_bounds: found f32[b, p, 0, 2, 8], expected [batch, pages, keys of a page, heads, size], "
     "with keys"},
    {"%q: f32[b, n, 4, 8], %p: f32[b, p, 2, 8]", "page_scores(%q, %p)",
     "page_scores: operand 'bounds': found f32[b, p, 2, 8], expected rows of 16"},
    {"%q: f32[b, n, 4, 8], %p: f32[b, p, 3, 16]", "page_scores(%q, %p)",
     "page_scores: found 4 heads in q and 3 in bounds, expected a multiple of those in bounds"},
    {"%q: f32[b, n, 4, 8], %p: f32[p, 2, 16]", "page_scores(%q, %p)",
     "page_scores: found q of f32[b, n, 4, 8] and bounds of f32[p, 2, 16], expected [batch, "
     "tokens, heads, size] and [batch, pages, kv_heads, 2 * size]"},
    {"%q: f32[b, n, 4, 8], %p: f32[b, p, 2, 3], %w: f32[2, 8, 3]", "page_scores(%q, %p, %w)",
     "page_scores: operand 'w': found f32[2, 8, 3], expected shape [4, 8, 3]"},
    {"%s: f32[b, 2, p]", "select_pages(%s) {page = 4, kept = 2, local = 3}",
     "select_pages: local: found 3, expected 1 to 2"},
    {"%s: f32[b, 2, p]", "select_pages(%s) {page = 4, kept = 2, sinks = 2}",
     "select_pages: sinks: found 2, expected 0 to 1"},
    {"%s: f32[b, 2, p], %l: i32[c]", "select_pages(%s, %l) {page = 4, kept = 2}",
     "select_pages: operand 'lengths': found shape [c], expected [b]"},
    {"%s: f32[b, p]", "select_pages(%s) {page = 4, kept = 2}",
     "select_pages: operand 'scores': found shape [b, p], expected [batch, kv_heads, pages]"},
    {"%y: f32[n, 2, 8], %l: f32[n, 2], %z: f32[n, 2, 4]", "merge_attention(%y, %l, %z, %l)",
     "merge_attention: found y of f32[n, 2, 8] and of f32[n, 2, 4], expected the same"},
    {"%y: f32[n, 2, 8], %l: f32[n, 2], %m: f32[n]", "merge_attention(%y, %l, %y, %m)",
     "merge_attention: operand 'other_log_sum_exp': found shape [n], expected that of y without "
     "its last dimension, [n, 2]"},
    {"%p: f32[pages, 16, 8], %t: i32[b, m]", "gather_pages(%p, %t)",
     "gather_pages: found shapes [pages, 16, 8] and [b, m], expected a pool of pages, rank 4, and "
     "a "
     "block table [sequences, most_pages]"},
    {"%p: f32[pages, page, 2, 8], %t: i32[b, m]", "gather_pages(%p, %t)",
     "gather_pages: found m pages of page rows, expected a number for one of the two"},
    {"%p: f32[pages, 16, 2, 8], %t: i32[b, m], %l: i32[c]", "gather_pages(%p, %t, %l)",
     "gather_pages: operand 'lengths': found shape [c], expected [] or [b]"},
    {"%c: f32[m, 8], %p: i32[n]", "write_cache(%c, %c, %p)",
     "write_cache: operand 'cache': found f32[m, 8], expected rank 3, or 4 with a leading batch"},
    {"%c: f16[m, 2, 8], %r: f32[n, 2, 8], %p: i32[n]", "write_cache(%c, %r, %p)",
     "write_cache: operand 'rows': found f32[n, 2, 8], expected f16[m, 2, 8] but for the number of "
     "tokens"},
    {"%c: f32[b, m, 2, 8], %r: f32[b, n, 2, 8], %p: i32[c, n]", "write_cache(%c, %r, %p)",
     "write_cache: operand 'positions': found shape [c, n], expected [b, n]"},
    {"%p: i32[b, n]", "page_mask(%p) {page = 16, heads = 2, keys = [n]}",
     "page_mask: found shape [b, n] and keys [n], expected pages [sequences, heads of k, listed], "
     "a "
     "number of heads, and one dimension of keys"},
    {"%p: i32[b, 2, n]", "page_mask(%p) {page = 16, heads = 3, keys = [40]}",
     "page_mask: found page 16 and heads 3 with 2 heads of k, expected a page of at least 1 and a "
     "multiple of those heads"},
};

TEST(ShapeErrors, EachMistakeHasItsMessage) {
  for (const Case& mistake : kCases) {
    const auto graph = parse(
        fmt::format("graph g({}) -> (%y_) {{\n%y_={}\n}}", mistake.inputs, mistake.statement));
    ASSERT_FALSE(graph.has_value()) << mistake.statement;
    const std::string& message = graph.error().message;
    EXPECT_EQ(message.substr(0, message.find('\n')), "2:5: " + std::string(mistake.message));
    EXPECT_EQ(graph.error().code, ErrorCode::verify_error) << message;
  }
}

TEST(ShapeErrors, SelectBlocksChecksItsNumbers) {
  const auto message = [](std::string_view scores, std::string_view attributes) {
    const auto graph = parse(
        fmt::format("graph g(%s: {}) -> (%y_) {{\n%y_,%z_=select_blocks(%s){{block=4,tokens=[n],"
                    "{}}}\n}}",
                    scores, attributes));
    EXPECT_FALSE(graph.has_value()) << attributes;
    return graph ? "" : graph.error().message.substr(0, graph.error().message.find('\n'));
  };
  const std::string rows = "f32[b, 2, r, c]", place = "2:9: select_blocks: ";
  EXPECT_EQ(message(rows, "keys=[n],kept=0"), place + "kept: found 0, expected 1 to 1073741824");
  EXPECT_EQ(message(rows, "keys=[n],kept=2,threshold=1.5"),
            place + "threshold: found 1.5, expected 0 to 1");
  EXPECT_EQ(message("f32[b, 2, r]", "keys=[n,n],kept=2"),
            place +
                "found scores of shape [b, 2, r], tokens [n] and keys [n, n], expected [batch, "
                "kv_heads, blocks of tokens, blocks of keys] and one dimension of tokens and of "
                "keys");
}

TEST(ShapeErrors, RopeTableChecksItsNumbers) {
  const auto message = [](const char* attributes) {
    const auto graph =
        parse(fmt::format("graph g() -> (%c) {{\n%c, %s = rope_table() {{{}}}\n}}", attributes));
    return graph ? "" : graph.error().message.substr(0, graph.error().message.find('\n'));
  };
  EXPECT_EQ(message("theta = 0, dim = 2, positions = 1"),
            "2:10: rope_table: theta: found 0, expected a positive number");
  EXPECT_EQ(message("theta = 1, dim = 3, positions = 1"),
            "2:10: rope_table: dim: found 3, expected an even positive number");
  EXPECT_EQ(message("theta = 1, dim = 2, positions = -1"),
            "2:10: rope_table: positions: found -1, expected 0 to 2^24, which f32 counts exactly");
}

}  // namespace
}  // namespace lathe::ir::graph
