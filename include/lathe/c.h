/* The C interface: opaque handles and status codes over the same kernels as <lathe/lathe.h>. */
#ifndef LATHE_C_H
#define LATHE_C_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* 0 is success; the others are lathe::ErrorCode, in the same order. */
typedef enum lathe_status {
  LATHE_OK = 0,
  LATHE_INVALID_ARGUMENT = 1,
  LATHE_PARSE_ERROR = 2,
  LATHE_VERIFY_ERROR = 3,
  LATHE_NOT_FOUND = 4,
  LATHE_UNSUPPORTED = 5,
  LATHE_REJECTED = 6,
  LATHE_IO_ERROR = 7,
  LATHE_CORRUPT = 8,
  LATHE_MISMATCH = 9,
  LATHE_INTERRUPTED = 10,
  LATHE_RESOURCE_EXHAUSTED = 11,
  LATHE_INTERNAL = 12
} lathe_status;

/* The numbers of lathe::DataType. */
typedef enum lathe_type {
  LATHE_F32 = 0,
  LATHE_F16 = 1,
  LATHE_BF16 = 2,
  LATHE_BOOL = 3,
  LATHE_I8 = 4,
  LATHE_U8 = 5,
  LATHE_I16 = 6,
  LATHE_U16 = 7,
  LATHE_I32 = 8,
  LATHE_U32 = 9,
  LATHE_I64 = 10,
  LATHE_U64 = 11,
  LATHE_Q8_0 = 12,
  LATHE_Q4_0 = 13,
  LATHE_Q4_K = 14
} lathe_type;

typedef enum lathe_match {
  LATHE_MATCH_EXACT = 0,
  LATHE_MATCH_NEAR = 1,
  LATHE_MATCH_OTHER_HOST = 2,
  LATHE_MATCH_DEFAULT = 3
} lathe_match;

#define LATHE_MAX_RANK 6

/* A tensor owned by the caller. Strides are in elements; NULL stands for contiguous row-major. */
typedef struct lathe_view {
  void* data;
  lathe_type type;
  int32_t rank;
  const int64_t* shape;
  const int64_t* strides;
} lathe_view;

typedef struct lathe_library lathe_library;
typedef struct lathe_kernel lathe_kernel;
typedef struct lathe_weight lathe_weight;

/* Every function is safe to call from several threads at once. On failure the calling thread's
   lathe_last_error() says what was found, what was expected and what to do. */

/* Opens the library. target: NULL or "" for LATHE_TARGET or the widest this CPU runs, "interpret"
   to do without machine code; threads: 0 for the physical cores; store: NULL or "" for the user's
   cache folder, "none" for no store. A store that cannot be used is no failure: kernels have their
   default schedules then, and lathe_library_store_note says why. */
lathe_status lathe_library_open(const char* target, int32_t threads, const char* store,
                                lathe_library** library);
/* Kernels fetched from it stay valid. NULL is allowed. */
void lathe_library_close(lathe_library* library);

/* Why the store is not used, and what to do: copies the text, ended by a 0 and cut to `size` bytes
   with it, to `buffer` (NULL is allowed where size is 0), and returns the length of the whole
   without the 0, as snprintf does: one that is `size` or more did not fit. "" and 0 where the store
   is used, where none was asked for, where the cache folder has none yet, and for a library that is
   NULL. The text stays the same as long as the library is open, so it may be asked for from any
   thread. */
size_t lathe_library_store_note(const lathe_library* library, char* buffer, size_t size);

/* The kernel of a problem line such as "rms_norm rows=512 width=2048" (docs/kernels.md lists them).
 */
lathe_status lathe_library_fetch(lathe_library* library, const char* problem,
                                 lathe_kernel** kernel);
void lathe_kernel_release(lathe_kernel* kernel);

/* How a cache of keys and values lies: tokens before heads, or heads before tokens. The numbers of
   lathe::Attention::KvLayout, the words of the problem parameter kv_layout. */
typedef enum lathe_kv_layout { LATHE_KV_NHD = 0, LATHE_KV_HND = 1 } lathe_kv_layout;

/* How the cache should lie that kernels of the problem line read, such as "attention_decode
   context=4096 heads=16 kv_heads=8 dim=128": as the tuner chose for such a cache on this host, else
   LATHE_KV_NHD. Kernels take any strides; those of a line with the kv_layout of the cache have the
   schedule tuned for it. */
lathe_status lathe_library_kv_layout(lathe_library* library, const char* problem,
                                     lathe_kv_layout* layout);

/* Runs on the views, inputs then outputs, in the order that docs/kernels.md gives. */
lathe_status lathe_kernel_run(const lathe_kernel* kernel, const lathe_view* inputs,
                              size_t input_count, const lathe_view* outputs, size_t output_count);

/* The same for a `linear` kernel and a weight packed for it: LATHE_MISMATCH where the weight has
   another layout than the kernel reads, of which the shapes of its parts alone do not tell. */
lathe_status lathe_kernel_run_packed(const lathe_kernel* kernel, const lathe_view* x,
                                     const lathe_weight* weight, const lathe_view* epilogue_inputs,
                                     size_t epilogue_count, const lathe_view* y);

lathe_match lathe_kernel_match(const lathe_kernel* kernel);
/* The canonical problem line; lives as long as the kernel. */
const char* lathe_kernel_problem(const lathe_kernel* kernel);

/* A graph from the text of its .lir file (docs/graph_ir.md), ready to run with any sizes of its
   named dimensions; it outlives its library. LATHE_PARSE_ERROR or LATHE_VERIFY_ERROR with line and
   column. */
typedef struct lathe_graph lathe_graph;
lathe_status lathe_library_load_graph(lathe_library* library, const char* text,
                                      lathe_graph** graph);
/* NULL is allowed. */
void lathe_graph_release(lathe_graph* graph);
/* How many views a run takes, and the operands' names in their order, without the %; NULL beyond
   the last. The texts live as long as the graph. */
size_t lathe_graph_input_count(const lathe_graph* graph);
size_t lathe_graph_output_count(const lathe_graph* graph);
const char* lathe_graph_input_name(const lathe_graph* graph, size_t index);
const char* lathe_graph_output_name(const lathe_graph* graph, size_t index);
/* The shape of an output for inputs of these types and shapes, of whose views nothing else is read:
   its rank, at most LATHE_MAX_RANK, and as many sizes. */
lathe_status lathe_graph_output_shape(const lathe_graph* graph, const lathe_view* inputs,
                                      size_t input_count, size_t output,
                                      int64_t shape[LATHE_MAX_RANK], int32_t* rank);
/* Runs it on dense views. An output that is an input but for some of its elements, as a cache with
   new rows is, may have that input's memory. LATHE_INVALID_ARGUMENT naming the view that does not
   fit: nothing was written then. */
lathe_status lathe_graph_run(const lathe_graph* graph, const lathe_view* inputs, size_t input_count,
                             const lathe_view* outputs, size_t output_count);
/* One line a step, "linear rows=… (default: mr=6 …)" of a kernel, for inputs of these shapes:
   copies the text as lathe_library_store_note does, and sets *length to that of the whole without
   its 0. */
lathe_status lathe_graph_steps(const lathe_graph* graph, const lathe_view* inputs,
                               size_t input_count, char* buffer, size_t size, size_t* length);

/* A constant weight of `linear` kernels, packed with the library's threads: a matrix [n, k], or
   with pair != 0 two in one, [2n, k]. panel: columns side by side, 0 for what the tuner chose for
   this weight on this host or what is usually fastest on the library's target, 16 for what suits
   every target. The view's memory is not needed afterwards; the
   weight outlives its library. */
lathe_status lathe_weight_pack(lathe_library* library, const lathe_view* matrix, int32_t pair,
                               int32_t panel, lathe_weight** weight);
/* Likewise, packed in 8-bit codes of one scale a row. scales: NULL for a matrix of f32, f16 or
   bf16, which is quantised (each row to codes x / scale rounded to nearest even, its scale being
   max|x| / 127); for one of i8 its scales, f32 [n] or with pair != 0 [2n]. */
lathe_status lathe_weight_pack_i8(lathe_library* library, const lathe_view* matrix,
                                  const lathe_view* scales, int32_t pair, int32_t panel,
                                  lathe_weight** weight);
/* One that lathe_weight_save wrote, mapped and shared. verify: 1 reads it once and compares its
   checksum (a flipped bit is a wrong answer that nothing else would notice), 0 does not. */
lathe_status lathe_weight_map(lathe_library* library, const char* path, int32_t verify,
                              lathe_weight** weight);
lathe_status lathe_weight_save(const lathe_weight* weight, const char* path);
/* NULL is allowed. */
void lathe_weight_release(lathe_weight* weight);

/* The operands that stand for it in lathe_kernel_run, in order, which believes that their layout is
 * the kernel's (lathe_kernel_run_packed compares them); these and the texts live as long as the
 * weight.
 */
const lathe_view* lathe_weight_parts(const lathe_weight* weight, size_t* count);
/* "panels16 bf16 4096x2048" */
const char* lathe_weight_layout(const lathe_weight* weight);
/* What a problem line says of it: "n=4096 k=2048 weight=bf16 panel=16". */
const char* lathe_weight_parameters(const lathe_weight* weight);
int64_t lathe_weight_bytes(const lathe_weight* weight);

/* --- Which keys attention reads, and keys as factors ---------------------------------------------

   What <lathe/routing.h>, <lathe/token_sparse.h>, <lathe/page_codes.h> and <lathe/low_rank.h> have
   in C++, on the calling thread. What is said there of shapes, of what is chosen and of errors
   holds here, too. Every `..._parts` gives views of memory that lives as long as the handle; every
   `..._release` takes NULL. Options that are NULL have their defaults, which the macros name. */

typedef enum lathe_causal {
  LATHE_CAUSAL_NONE = 0,  /* every token sees every key */
  LATHE_CAUSAL_START = 1, /* the first token stands at the first key, and sees none after its own */
  LATHE_CAUSAL_END = 2    /* the last token stands at the last key */
} lathe_causal;

/* Captured where attention reads them, f32, dense and finite: q [tokens, heads, dim] and
   k [context, kv_heads, dim] of one sequence. */
typedef struct lathe_sample {
  lathe_view q, k;
} lathe_sample;

/* Which blocks of keys a block of tokens keeps. */
typedef struct lathe_block_selection {
  int64_t block;           /* tokens of a block, and keys of one */
  int64_t tokens, context; /* all of both; the defaults have none */
  int32_t causal;          /* a lathe_causal */
  int64_t kept;            /* blocks of a list at most; 0: as many as it has room for */
  double threshold;        /* the least share of the softmax over the scores; 0: any */
  int64_t sinks, local;    /* the first blocks and the last ones that are always kept */
} lathe_block_selection;
#define LATHE_BLOCK_SELECTION_DEFAULTS {64, 0, 0, LATHE_CAUSAL_END, 0, 0.0, 1, 1}

/* Lists of blocks from the scores of an attention_router: scores f32 [batch, kv_heads,
   query_blocks, key_blocks] -> counts i32 [batch, kv_heads, query_blocks], blocks i32 [batch,
   kv_heads, query_blocks, room], dense. LATHE_INVALID_ARGUMENT, and nothing is written, for sizes
   that do not fit each other and for lists without room for what is always kept. */
lathe_status lathe_select_blocks(const lathe_view* scores, const lathe_block_selection* selection,
                                 const lathe_view* counts, const lathe_view* blocks);

/* The weights of an attention_router. */
typedef struct lathe_router lathe_router;
typedef struct lathe_router_options {
  int64_t block, rank;  /* rank: at most the size of a head */
  int32_t causal;       /* a lathe_causal */
  int64_t sinks, local; /* blocks that are always kept need no score */
  int32_t steps;
  double learning_rate, decay;
} lathe_router_options;
#define LATHE_ROUTER_DEFAULTS {64, 16, LATHE_CAUSAL_END, 1, 1, 200, 0.02, 1e-3}

/* Fitted to `samples`; of all that the fit came by, what does best on `held_out`, or with none of
   these (NULL, 0) the last. The same weights for the same samples. LATHE_INVALID_ARGUMENT for no
   sample, for samples that do not fit each other or the options, and for numbers that are not
   finite. */
lathe_status lathe_router_fit(const lathe_sample* samples, size_t count,
                              const lathe_sample* held_out, size_t held_out_count,
                              const lathe_router_options* options, lathe_router** router);
/* From and to the files `stem`.wq.npy and `stem`.wk.npy. LATHE_NOT_FOUND, LATHE_IO_ERROR,
   LATHE_CORRUPT, or LATHE_INVALID_ARGUMENT for files that are no weights of one router. */
lathe_status lathe_router_load(const char* stem, lathe_router** router);
lathe_status lathe_router_save(const lathe_router* router, const char* stem);
/* wq f32 [heads, dim, rank], wk f32 [kv_heads, dim, rank]. */
const lathe_view* lathe_router_parts(const lathe_router* router, size_t* count);
/* Mean divergence, in nats, of the scores' softmax from dense attention over the samples and over
   those that were held out; 0 for a router that was loaded or is NULL. Either may be NULL. */
void lathe_router_losses(const lathe_router* router, double* loss, double* held_out_loss);
void lathe_router_release(lathe_router* router);

/* Lists of the pages of the greatest scores: scores f32 [batch, kv_heads, pages]; lengths i32
   [batch], keys of each sequence, or NULL for `page` keys of each page; list i32 [batch, kv_heads,
   kept], ascending. The first `sinks` pages, from 0 on, and the last `local` ones, from 1 on, are
   always listed. LATHE_INVALID_ARGUMENT, and nothing is written, for what does not fit. */
lathe_status lathe_select_pages(const lathe_view* scores, const lathe_view* lengths, int64_t page,
                                int64_t sinks, int64_t local, const lathe_view* list);

/* What makes codes of pages, and queries that meet them. */
typedef struct lathe_page_coder lathe_page_coder;
typedef struct lathe_page_coder_options {
  int64_t page, rank;   /* rank: at most the size of a head */
  int32_t causal;       /* a lathe_causal */
  int64_t sinks, local; /* pages that are always read need no score */
  int64_t stride;       /* of the tokens of a sample each stride-th is fitted to */
  int32_t steps;
  double learning_rate, decay;
} lathe_page_coder_options;
#define LATHE_PAGE_CODER_DEFAULTS {16, 16, LATHE_CAUSAL_END, 1, 1, 1, 200, 0.02, 1e-3}

/* Fitted to `samples`; of all that the fit came by, what does best on `held_out`. The same for the
   same samples. LATHE_INVALID_ARGUMENT as of lathe_router_fit, and where none is held out. */
lathe_status lathe_page_coder_fit(const lathe_sample* samples, size_t count,
                                  const lathe_sample* held_out, size_t held_out_count,
                                  const lathe_page_coder_options* options,
                                  lathe_page_coder** coder);
/* From and to the files `stem`.w.npy and `stem`.wk.npy; errors as of a router's. */
lathe_status lathe_page_coder_load(const char* stem, lathe_page_coder** coder);
lathe_status lathe_page_coder_save(const lathe_page_coder* coder, const char* stem);
/* w f32 [heads, dim, rank], the operand of attention_page_scores select=learned; wk f32 [kv_heads,
   3 * dim, rank]. */
const lathe_view* lathe_page_coder_parts(const lathe_page_coder* coder, size_t* count);
/* As of a router. */
void lathe_page_coder_losses(const lathe_page_coder* coder, double* loss, double* held_out_loss);
void lathe_page_coder_release(lathe_page_coder* coder);

/* k [batch, pages, page, kv_heads, dim], f32, f16 or bf16 -> codes f32 [batch, pages, kv_heads,
   rank]; any strides. */
lathe_status lathe_page_codes(const lathe_page_coder* coder, const lathe_view* k,
                              const lathe_view* codes);

/* Sparse decode in one call: scores of pages, their selection, attention to those selected. */
typedef struct lathe_sparse_decode lathe_sparse_decode;
typedef struct lathe_sparse_decode_options {
  int64_t heads, kv_heads;        /* kv_heads 0: as many as heads */
  int64_t dim, value_dim;         /* of a head; value_dim 0: dim */
  int64_t page, kept;             /* keys of a page, pages that are read */
  int64_t tokens, context, pages; /* that the kernels will mostly see: tokens up to 16 */
  int64_t first_pages;            /* that are always read, from 0 on */
  int64_t last_pages;             /* likewise, from 1 on */
  double scale;                   /* 0: 1 / sqrt(dim) */
  int32_t causal;              /* 0: every token sees all keys; else the last stands at the last */
  int32_t lengths, sinks, lse; /* not 0: there are such operands */
  int32_t learned;             /* 0: scores from bounds, else from codes of `rank` */
  int64_t rank;
  int32_t type, kv_type, out;     /* lathe_type of q, of k and v, of y */
  int32_t code_type, weight_type; /* lathe_type of bounds or codes, of w */
} lathe_sparse_decode_options;
#define LATHE_SPARSE_DECODE_DEFAULTS \
  {1, 0, 0, 0, 16, 64, 1, 8192, 512, 1, 1, 0.0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}

/* Operands of a call; NULL for those that are not asked for. */
typedef struct lathe_sparse_decode_operands {
  const lathe_view *q, *k, *v; /* as of attention_token_sparse */
  const lathe_view* bounds;    /* of attention_page_bounds, or codes of lathe_page_codes */
  const lathe_view* w;         /* with codes */
  const lathe_view *lengths, *sinks;
  const lathe_view *y, *lse; /* results */
} lathe_sparse_decode_operands;

/* Outlives its library. Errors as of lathe_library_fetch. */
lathe_status lathe_sparse_decode_fetch(lathe_library* library,
                                       const lathe_sparse_decode_options* options,
                                       lathe_sparse_decode** decode);
/* Errors as of lathe_kernel_run. Not from two threads at once for one handle: it keeps scores and
   lists between calls. */
lathe_status lathe_sparse_decode_run(lathe_sparse_decode* decode,
                                     const lathe_sparse_decode_operands* operands);
/* The lists of its last call, [batch, kv_heads, kept]; valid until the next. */
const int32_t* lathe_sparse_decode_pages(const lathe_sparse_decode* decode, size_t* count);
void lathe_sparse_decode_release(lathe_sparse_decode* decode);

/* Rows of keys or values as factors: for each head rows . up is the nearest matrix of that rank. */
typedef struct lathe_factors lathe_factors;
/* Of x [tokens, kv_heads, dim], f32, f16 or bf16 with any strides. LATHE_INVALID_ARGUMENT for
   another rank or type, no element, a rank that is not in [1, dim], a number that is not finite. */
lathe_status lathe_factorise(const lathe_view* x, int64_t rank, lathe_factors** factors);
/* rows f32 [tokens, kv_heads, rank], up f32 [kv_heads, rank, dim]. */
const lathe_view* lathe_factors_parts(const lathe_factors* factors, size_t* count);
/* Of rank 0, 1, ..., dim: the norm of what it loses in parts of that of x. */
const double* lathe_factors_errors(const lathe_factors* factors, size_t* count);
/* x [tokens, kv_heads, dim] of new tokens -> rows f32 [tokens, kv_heads, rank], dense. */
lathe_status lathe_factors_rows(const lathe_factors* factors, const lathe_view* x,
                                const lathe_view* rows);
void lathe_factors_release(lathe_factors* factors);

/* What factors of one rank lose of keys, of values and of attention's output: relative Frobenius
   norms. */
typedef struct lathe_low_rank_loss {
  int64_t rank;
  double keys, values, output;
} lathe_low_rank_loss;
/* q [tokens, heads, dim] sees all of k [context, kv_heads, dim] and v [context, kv_heads,
   value_dim]; `count` ranks -> as many losses. scale 0: 1 / sqrt(dim). */
lathe_status lathe_low_rank_losses(const lathe_view* q, const lathe_view* k, const lathe_view* v,
                                   const int64_t* ranks, size_t count, double scale,
                                   lathe_low_rank_loss* losses);

/* The calling thread's last error message, "" if none; valid until its next call. */
const char* lathe_last_error(void);

#ifdef __cplusplus
}
#endif

#endif
