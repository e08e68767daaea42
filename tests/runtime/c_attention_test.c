/* What the C interface has for attention: lists, fitted weights, codes, sparse decode, factors; and
   the misuse of each. Returns the number of failures. */
#include <math.h>
#include <stdlib.h>

#include "tests/runtime/c_checks.h"

enum { kTokens = 96, kHeads = 4, kKvHeads = 2, kDim = 8, kPage = 8, kPages = kTokens / kPage };

/* The same on every run, between -1 and 1. */
static void fill(float* values, size_t count, uint32_t seed) {
  for (size_t i = 0; i < count; ++i) {
    seed = seed * 1664525u + 1013904223u;
    values[i] = (float)(seed >> 8) / (float)(1u << 23) - 1.0f;
  }
}

static lathe_view view_of(void* data, lathe_type type, int32_t rank, const int64_t* shape) {
  const lathe_view view = {data, type, rank, shape, NULL};
  return view;
}

static void lists_of_blocks(void) {
  float scores[6] = {1, 5, 3, 9, 7, 8};
  int32_t counts[1] = {-1}, blocks[4] = {-1, -1, -1, -1};
  const int64_t of_scores[] = {1, 1, 1, 6}, of_counts[] = {1, 1, 1}, of_blocks[] = {1, 1, 1, 4};
  lathe_view s = view_of(scores, LATHE_F32, 4, of_scores);
  const lathe_view c = view_of(counts, LATHE_I32, 3, of_counts);
  const lathe_view b = view_of(blocks, LATHE_I32, 4, of_blocks);
  lathe_block_selection selection = LATHE_BLOCK_SELECTION_DEFAULTS;
  selection.block = 4;
  selection.tokens = 4;
  selection.context = 24;
  selection.kept = 3;
  expect(lathe_select_blocks(&s, &selection, &c, &b) == LATHE_OK, "select blocks");
  expect(counts[0] == 3 && blocks[0] == 0 && blocks[1] == 3 && blocks[2] == 5 && blocks[3] == 5,
         "a sink, the best, the diagonal");
  counts[0] = -1;
  expect_error(lathe_select_blocks(NULL, &selection, &c, &b), LATHE_INVALID_ARGUMENT,
               "lathe_select_blocks: scores is null");
  expect_error(lathe_select_blocks(&s, NULL, &c, &b), LATHE_INVALID_ARGUMENT, "selection is null");
  expect_error(lathe_select_blocks(&s, &selection, NULL, &b), LATHE_INVALID_ARGUMENT, "counts");
  expect_error(lathe_select_blocks(&s, &selection, &c, NULL), LATHE_INVALID_ARGUMENT, "blocks");
  selection.causal = 3;
  expect_error(lathe_select_blocks(&s, &selection, &c, &b), LATHE_INVALID_ARGUMENT, "lathe_causal");
  selection.causal = LATHE_CAUSAL_END;
  selection.kept = 5;
  expect_error(lathe_select_blocks(&s, &selection, &c, &b), LATHE_INVALID_ARGUMENT,
               "at most the 4");
  selection.kept = 1;
  expect_error(lathe_select_blocks(&s, &selection, &c, &b), LATHE_INVALID_ARGUMENT, "room for 1");
  selection.kept = 3;
  selection.tokens = INT64_MAX;
  expect_error(lathe_select_blocks(&s, &selection, &c, &b), LATHE_INVALID_ARGUMENT, "scores");
  selection.tokens = 4;
  s.type = (lathe_type)77;
  expect_error(lathe_select_blocks(&s, &selection, &c, &b), LATHE_INVALID_ARGUMENT, "type 77");
  expect(counts[0] == -1, "nothing is written");
}

static void lists_of_pages(void) {
  float scores[5] = {1, 4, 9, 2, 3};
  int32_t list[3] = {-1, -1, -1}, length = 33;
  int64_t of_scores[] = {1, 1, 5};
  const int64_t of_list[] = {1, 1, 3}, one[] = {1};
  const lathe_view s = view_of(scores, LATHE_F32, 3, of_scores);
  lathe_view l = view_of(list, LATHE_I32, 3, of_list);
  const lathe_view n = view_of(&length, LATHE_I32, 1, one);
  expect(lathe_select_pages(&s, NULL, 8, 1, 1, &l) == LATHE_OK, "select pages");
  expect(list[0] == 0 && list[1] == 2 && list[2] == 4, "the first, the best, the last");
  length = 30;
  expect(lathe_select_pages(&s, &n, 8, 0, 1, &l) == LATHE_OK, "pages of a shorter sequence");
  expect(list[0] == 1 && list[1] == 2 && list[2] == 3, "not behind its keys");
  list[0] = -1;
  length = 41;
  expect_error(lathe_select_pages(&s, &n, 8, 0, 1, &l), LATHE_INVALID_ARGUMENT, "found 41");
  expect_error(lathe_select_pages(NULL, &n, 8, 0, 1, &l), LATHE_INVALID_ARGUMENT, "scores is null");
  expect_error(lathe_select_pages(&s, NULL, 8, 0, 1, NULL), LATHE_INVALID_ARGUMENT, "list is null");
  expect_error(lathe_select_pages(&s, NULL, 0, 0, 1, &l), LATHE_INVALID_ARGUMENT, "of 0 keys");
  expect_error(lathe_select_pages(&s, NULL, 8, 3, 1, &l), LATHE_INVALID_ARGUMENT, "the first 3");
  of_scores[0] = -1;
  expect_error(lathe_select_pages(&s, NULL, 8, 0, 1, &l), LATHE_INVALID_ARGUMENT,
               "no size negative");
  of_scores[0] = 1;
  l.shape = NULL;
  expect_error(lathe_select_pages(&s, NULL, 8, 0, 1, &l), LATHE_INVALID_ARGUMENT,
               "list: found rank");
  expect(list[0] == -1, "nothing is written");
}

static void routers(const char* folder) {
  float q[kTokens * kHeads * kDim], k[kTokens * kKvHeads * kDim];
  fill(q, sizeof q / sizeof *q, 1);
  fill(k, sizeof k / sizeof *k, 2);
  const int64_t of_q[] = {kTokens, kHeads, kDim}, of_k[] = {kTokens, kKvHeads, kDim};
  lathe_sample sample = {view_of(q, LATHE_F32, 3, of_q), view_of(k, LATHE_F32, 3, of_k)};
  lathe_router_options options = LATHE_ROUTER_DEFAULTS;
  options.block = 8;
  options.rank = 3;
  options.steps = 5;
  lathe_router *router = NULL, *loaded = NULL;
  expect(lathe_router_fit(&sample, 1, &sample, 1, &options, &router) == LATHE_OK, "fit a router");
  double loss = -1, held_out_loss = -1;
  lathe_router_losses(router, &loss, &held_out_loss);
  expect(loss > 0 && loss == held_out_loss, "losses of the same sample");
  lathe_router_losses(NULL, NULL, &held_out_loss);
  expect(held_out_loss == 0, "losses of no router");
  size_t count = 0;
  const lathe_view* parts = lathe_router_parts(router, &count);
  expect(count == 2 && parts[0].rank == 3 && parts[0].shape[0] == kHeads &&
             parts[0].shape[2] == 3 && parts[1].shape[0] == kKvHeads,
         "weights of a router");
  char stem[512];
  snprintf(stem, sizeof stem, "%s/router", folder);
  expect(lathe_router_save(router, stem) == LATHE_OK, "save a router");
  expect(lathe_router_load(stem, &loaded) == LATHE_OK, "load a router");
  const lathe_view* again = lathe_router_parts(loaded, &count);
  expect(count == 2 && memcmp(again[0].data, parts[0].data, sizeof(float) * kHeads * kDim * 3) == 0,
         "the same weights");
  lathe_router_release(loaded);

  expect_error(lathe_router_fit(&sample, 1, NULL, 0, NULL, &loaded), LATHE_INVALID_ARGUMENT,
               "rank 16");
  expect_error(lathe_router_fit(&sample, 1, NULL, 0, &options, NULL), LATHE_INVALID_ARGUMENT,
               "router is null");
  expect_error(lathe_router_fit(NULL, 1, NULL, 0, &options, &loaded), LATHE_INVALID_ARGUMENT,
               "samples");
  expect_error(lathe_router_fit(NULL, 0, NULL, 0, &options, &loaded), LATHE_INVALID_ARGUMENT,
               "no samples");
  expect_error(lathe_router_fit(&sample, 1, NULL, 2, &options, &loaded), LATHE_INVALID_ARGUMENT,
               "held_out is null");
  k[9] = NAN;
  expect_error(lathe_router_fit(&sample, 1, NULL, 0, &options, &loaded), LATHE_INVALID_ARGUMENT,
               "nan at [9]");
  expect(loaded == NULL, "no router of a failure");
  sample.k.type = (lathe_type)-1;
  expect_error(lathe_router_fit(&sample, 1, NULL, 0, &options, &loaded), LATHE_INVALID_ARGUMENT,
               "type -1");
  sample.k.type = LATHE_F32;
  options.causal = -1;
  expect_error(lathe_router_fit(&sample, 1, NULL, 0, &options, &loaded), LATHE_INVALID_ARGUMENT,
               "causal");
  expect_error(lathe_router_load("/nonexistent/r", &loaded), LATHE_NOT_FOUND,
               "/nonexistent/r.wq.npy");
  expect_error(lathe_router_load(NULL, &loaded), LATHE_INVALID_ARGUMENT, "stem is null");
  expect_error(lathe_router_load(stem, NULL), LATHE_INVALID_ARGUMENT, "router is null");
  expect_error(lathe_router_save(NULL, stem), LATHE_INVALID_ARGUMENT, "router is null");
  expect_error(lathe_router_save(router, NULL), LATHE_INVALID_ARGUMENT, "stem is null");
  expect(lathe_router_save(router, "/nonexistent/r") == LATHE_IO_ERROR, "save nowhere");
  expect(lathe_router_parts(NULL, &count) == NULL && count == 0, "weights of null");
  lathe_router_release(router);
  lathe_router_release(NULL);
}

/* Fits a coder whose codes of `k` it returns; the caller releases it. */
static lathe_page_coder* page_coders(const char* folder, float* k, float* codes) {
  float q[kTokens * kHeads * kDim];
  fill(q, sizeof q / sizeof *q, 3);
  const int64_t of_q[] = {kTokens, kHeads, kDim}, of_k[] = {kTokens, kKvHeads, kDim};
  const lathe_sample sample = {view_of(q, LATHE_F32, 3, of_q), view_of(k, LATHE_F32, 3, of_k)};
  lathe_page_coder_options options = LATHE_PAGE_CODER_DEFAULTS;
  options.page = kPage;
  options.rank = 3;
  options.steps = 5;
  lathe_page_coder *coder = NULL, *loaded = NULL;
  expect(lathe_page_coder_fit(&sample, 1, &sample, 1, &options, &coder) == LATHE_OK, "fit a coder");
  double loss = -1, held_out_loss = -1;
  lathe_page_coder_losses(coder, &loss, &held_out_loss);
  expect(loss > 0 && loss == held_out_loss, "losses of the same sample");
  size_t count = 0;
  const lathe_view* parts = lathe_page_coder_parts(coder, &count);
  expect(count == 2 && parts[0].shape[0] == kHeads && parts[1].shape[1] == 3 * kDim,
         "weights of a coder");
  char stem[512];
  snprintf(stem, sizeof stem, "%s/coder", folder);
  expect(lathe_page_coder_save(coder, stem) == LATHE_OK, "save a coder");
  expect(lathe_page_coder_load(stem, &loaded) == LATHE_OK, "load a coder");
  lathe_page_coder_losses(loaded, NULL, &held_out_loss);
  expect(held_out_loss == 0, "losses are not kept");

  const int64_t by_page[] = {1, kPages, kPage, kKvHeads, kDim},
                of_codes[] = {1, kPages, kKvHeads, 3};
  const lathe_view keys = view_of(k, LATHE_F32, 5, by_page);
  const lathe_view to = view_of(codes, LATHE_F32, 4, of_codes);
  float first[kPages * kKvHeads * 3];
  expect(lathe_page_codes(coder, &keys, &to) == LATHE_OK, "codes");
  memcpy(first, codes, sizeof first);
  expect(lathe_page_codes(loaded, &keys, &to) == LATHE_OK, "codes of the loaded coder");
  expect(memcmp(first, codes, sizeof first) == 0, "the same codes");
  lathe_page_coder_release(loaded);

  expect_error(lathe_page_codes(NULL, &keys, &to), LATHE_INVALID_ARGUMENT, "coder is null");
  expect_error(lathe_page_codes(coder, NULL, &to), LATHE_INVALID_ARGUMENT, "k is null");
  expect_error(lathe_page_codes(coder, &keys, NULL), LATHE_INVALID_ARGUMENT, "codes is null");
  expect_error(lathe_page_codes(coder, &to, &to), LATHE_INVALID_ARGUMENT, "page codes: k");
  loaded = coder;
  expect_error(lathe_page_coder_fit(&sample, 1, &sample, 1, NULL, &loaded), LATHE_INVALID_ARGUMENT,
               "rank 16");
  expect(loaded == NULL, "no coder of a failure");
  expect_error(lathe_page_coder_fit(&sample, 1, NULL, 0, &options, &loaded), LATHE_INVALID_ARGUMENT,
               "0 that are held out");
  expect_error(lathe_page_coder_fit(&sample, 1, NULL, 1, &options, &loaded), LATHE_INVALID_ARGUMENT,
               "held_out is null");
  expect_error(lathe_page_coder_fit(NULL, 1, &sample, 1, &options, &loaded), LATHE_INVALID_ARGUMENT,
               "samples is null");
  expect_error(lathe_page_coder_fit(&sample, 1, &sample, 1, &options, NULL), LATHE_INVALID_ARGUMENT,
               "coder is null");
  q[2] = INFINITY;
  expect_error(lathe_page_coder_fit(&sample, 1, &sample, 1, &options, &loaded),
               LATHE_INVALID_ARGUMENT, "inf at [2]");
  options.causal = 9;
  expect_error(lathe_page_coder_fit(&sample, 1, &sample, 1, &options, &loaded),
               LATHE_INVALID_ARGUMENT, "causal");
  expect_error(lathe_page_coder_load("/nonexistent/c", &loaded), LATHE_NOT_FOUND, "c.w.npy");
  expect_error(lathe_page_coder_load(NULL, &loaded), LATHE_INVALID_ARGUMENT, "stem is null");
  expect_error(lathe_page_coder_load(stem, NULL), LATHE_INVALID_ARGUMENT, "coder is null");
  expect_error(lathe_page_coder_save(NULL, stem), LATHE_INVALID_ARGUMENT, "coder is null");
  expect_error(lathe_page_coder_save(coder, NULL), LATHE_INVALID_ARGUMENT, "stem is null");
  expect(lathe_page_coder_parts(NULL, &count) == NULL && count == 0, "weights of null");
  lathe_page_coder_losses(NULL, &loss, NULL);
  expect(loss == 0, "losses of null");
  lathe_page_coder_release(NULL);
  return coder;
}

/* Of all pages that is dense attention, of fewer its lists are. */
static void sparse_decode(lathe_library* library, const char* folder) {
  float q[kHeads * kDim], k[kTokens * kKvHeads * kDim], v[kTokens * kKvHeads * kDim];
  float codes[kPages * kKvHeads * 3], y[kHeads * kDim], dense[kHeads * kDim];
  fill(q, sizeof q / sizeof *q, 4);
  fill(k, sizeof k / sizeof *k, 5);
  fill(v, sizeof v / sizeof *v, 6);
  lathe_page_coder* coder = page_coders(folder, k, codes);
  const int64_t of_q[] = {1, 1, kHeads, kDim}, of_k[] = {1, kTokens, kKvHeads, kDim};
  const int64_t of_codes[] = {1, kPages, kKvHeads, 3};
  const lathe_view queries = view_of(q, LATHE_F32, 4, of_q), keys = view_of(k, LATHE_F32, 4, of_k);
  const lathe_view values = view_of(v, LATHE_F32, 4, of_k);
  const lathe_view by_page = view_of(codes, LATHE_F32, 4, of_codes);
  const lathe_view result = view_of(y, LATHE_F32, 4, of_q);
  const lathe_view* w = lathe_page_coder_parts(coder, NULL);
  lathe_sparse_decode_options options = LATHE_SPARSE_DECODE_DEFAULTS;
  options.heads = kHeads;
  options.kv_heads = kKvHeads;
  options.dim = kDim;
  options.page = kPage;
  options.kept = kPages;
  options.context = kTokens;
  options.pages = kPages;
  options.learned = 1;
  options.rank = 3;
  lathe_sparse_decode* decode = NULL;
  expect(lathe_sparse_decode_fetch(library, &options, &decode) == LATHE_OK, "fetch sparse decode");
  lathe_sparse_decode_operands operands = {
      .q = &queries, .k = &keys, .v = &values, .bounds = &by_page, .w = w, .y = &result};
  expect(lathe_sparse_decode_run(decode, &operands) == LATHE_OK, "sparse decode");
  lathe_kernel* kernel = NULL;
  expect(
      lathe_library_fetch(library, "attention_decode tokens=1 context=96 heads=4 kv_heads=2 dim=8",
                          &kernel) == LATHE_OK,
      "fetch dense decode");
  const lathe_view in[3] = {queries, keys, values}, out = view_of(dense, LATHE_F32, 4, of_q);
  expect(lathe_kernel_run(kernel, in, 3, &out, 1) == LATHE_OK, "dense decode");
  for (size_t i = 0; i < sizeof y / sizeof *y; ++i)
    expect(fabs(y[i] - dense[i]) < 1e-5, "all pages are the dense result");
  lathe_kernel_release(kernel);
  lathe_sparse_decode_release(decode);

  options.kept = 4;
  expect(lathe_sparse_decode_fetch(library, &options, &decode) == LATHE_OK, "fetch for 4 pages");
  size_t count = 1;
  lathe_sparse_decode_pages(decode, &count);
  expect(count == 0, "no lists before a call");
  expect(lathe_sparse_decode_run(decode, &operands) == LATHE_OK, "decode of 4 pages");
  const int32_t* pages = lathe_sparse_decode_pages(decode, &count);
  expect(count == 4 * kKvHeads && pages[0] == 0 && pages[3] == kPages - 1, "lists of 4 pages");

  const struct {
    const lathe_view** operand;
    const char* name;
  } required[] = {{&operands.q, "q is null"},
                  {&operands.k, "k is null"},
                  {&operands.v, "v is null"},
                  {&operands.bounds, "bounds is null"},
                  {&operands.y, "y is null"}};
  for (size_t i = 0; i < sizeof required / sizeof *required; ++i) {
    const lathe_view* whole = *required[i].operand;
    *required[i].operand = NULL;
    expect_error(lathe_sparse_decode_run(decode, &operands), LATHE_INVALID_ARGUMENT,
                 required[i].name);
    *required[i].operand = whole;
  }
  operands.w = NULL;
  expect(lathe_sparse_decode_run(decode, &operands) == LATHE_INVALID_ARGUMENT, "codes without w");
  operands.w = w;
  lathe_view wrong = by_page;
  operands.bounds = &wrong;
  wrong.rank = 3;
  expect_error(lathe_sparse_decode_run(decode, &operands), LATHE_INVALID_ARGUMENT, "of rank 3");
  wrong.rank = 9;
  expect_error(lathe_sparse_decode_run(decode, &operands), LATHE_INVALID_ARGUMENT, "of rank -1");
  const int64_t negative[] = {1, -5, kKvHeads, 3}, two[] = {2, kPages, kKvHeads, 3};
  wrong = view_of(codes, LATHE_F32, 4, negative);
  expect_error(lathe_sparse_decode_run(decode, &operands), LATHE_INVALID_ARGUMENT, "-5 pages");
  wrong.shape = two;
  expect_error(lathe_sparse_decode_run(decode, &operands), LATHE_INVALID_ARGUMENT, "bounds of 2");
  wrong = by_page;
  wrong.type = (lathe_type)99;
  expect_error(lathe_sparse_decode_run(decode, &operands), LATHE_INVALID_ARGUMENT,
               "bounds: type 99");
  wrong = by_page;
  wrong.data = NULL;
  expect(lathe_sparse_decode_run(decode, &operands) == LATHE_INVALID_ARGUMENT, "no codes");
  operands.bounds = &by_page;
  expect_error(lathe_sparse_decode_run(NULL, &operands), LATHE_INVALID_ARGUMENT, "decode is null");
  expect_error(lathe_sparse_decode_run(decode, NULL), LATHE_INVALID_ARGUMENT, "operands is null");
  expect(lathe_sparse_decode_run(decode, &operands) == LATHE_OK, "and again");
  lathe_sparse_decode_release(decode);
  lathe_sparse_decode_release(NULL);
  expect(lathe_sparse_decode_pages(NULL, &count) == NULL && count == 0, "pages of null");

  expect_error(lathe_sparse_decode_fetch(NULL, &options, &decode), LATHE_INVALID_ARGUMENT,
               "library is null");
  expect_error(lathe_sparse_decode_fetch(library, NULL, &decode), LATHE_INVALID_ARGUMENT,
               "options is null");
  expect_error(lathe_sparse_decode_fetch(library, &options, NULL), LATHE_INVALID_ARGUMENT,
               "decode is null");
  options.code_type = 40;
  expect_error(lathe_sparse_decode_fetch(library, &options, &decode), LATHE_INVALID_ARGUMENT,
               "code_type: type 40");
  options.code_type = LATHE_F32;
  options.dim = 0;
  expect(lathe_sparse_decode_fetch(library, &options, &decode) == LATHE_INVALID_ARGUMENT &&
             decode == NULL,
         "heads of nothing");
  lathe_page_coder_release(coder);
}

static void factors_of_keys(void) {
  float x[12 * 2 * 4], rows[12 * 2 * 2];
  fill(x, sizeof x / sizeof *x, 7);
  const int64_t of_x[] = {12, 2, 4}, of_rows[] = {12, 2, 2};
  lathe_view keys = view_of(x, LATHE_F32, 3, of_x);
  const lathe_view to = view_of(rows, LATHE_F32, 3, of_rows);
  lathe_factors* factors = NULL;
  expect(lathe_factorise(&keys, 2, &factors) == LATHE_OK, "factorise");
  size_t count = 0, ranks = 0;
  const lathe_view* parts = lathe_factors_parts(factors, &count);
  const double* errors = lathe_factors_errors(factors, &ranks);
  expect(count == 2 && parts[0].shape[2] == 2 && parts[1].shape[0] == 2 && parts[1].shape[2] == 4,
         "rows and up");
  expect(ranks == 5 && errors[0] == 1 && errors[2] > 0 && errors[4] == 0, "errors of each rank");
  double lost = 0, all = 0;
  for (int row = 0; row < 24; ++row) {
    for (int i = 0; i < 4; ++i) {
      const float* up = (const float*)parts[1].data + row % 2 * 8;
      const float* of_row = (const float*)parts[0].data + row * 2;
      const double value = x[row * 4 + i];
      const double difference = value - of_row[0] * up[i] - of_row[1] * up[4 + i];
      lost += difference * difference;
      all += value * value;
    }
  }
  expect(fabs(sqrt(lost / all) - errors[2]) < 1e-6, "the error that it names");
  expect(lathe_factors_rows(factors, &keys, &to) == LATHE_OK, "rows of the same keys");
  expect(memcmp(rows, parts[0].data, sizeof rows) == 0, "are the rows");
  rows[0] = 7;

  expect_error(lathe_factors_rows(NULL, &keys, &to), LATHE_INVALID_ARGUMENT, "factors is null");
  expect_error(lathe_factors_rows(factors, NULL, &to), LATHE_INVALID_ARGUMENT, "x is null");
  expect_error(lathe_factors_rows(factors, &keys, NULL), LATHE_INVALID_ARGUMENT, "rows is null");
  expect_error(lathe_factors_rows(factors, &keys, &keys), LATHE_INVALID_ARGUMENT, "rows: expected");
  expect_error(lathe_factors_rows(factors, &to, &to), LATHE_INVALID_ARGUMENT, "2 heads of 2");
  expect(rows[0] == 7, "nothing is written");
  lathe_factors* none = factors;
  expect_error(lathe_factorise(&keys, 5, &none), LATHE_INVALID_ARGUMENT, "found 5");
  expect(none == NULL, "no factors of a failure");
  expect_error(lathe_factorise(NULL, 2, &none), LATHE_INVALID_ARGUMENT, "x is null");
  expect_error(lathe_factorise(&keys, 2, NULL), LATHE_INVALID_ARGUMENT, "factors is null");
  expect(lathe_factors_parts(NULL, &count) == NULL && count == 0, "parts of null");
  expect(lathe_factors_errors(NULL, &count) == NULL && count == 0, "errors of null");

  const int64_t tried[] = {1, 4};
  lathe_low_rank_loss losses[2];
  expect(lathe_low_rank_losses(&keys, &keys, &keys, tried, 2, 0, losses) == LATHE_OK, "losses");
  expect(losses[0].rank == 1 && losses[0].keys > 0 && losses[0].output > losses[1].output &&
             losses[1].output < 1e-12,
         "the whole rank loses nothing");
  expect(lathe_low_rank_losses(&keys, &keys, &keys, NULL, 0, 0, NULL) == LATHE_OK, "no ranks");
  expect_error(lathe_low_rank_losses(NULL, &keys, &keys, tried, 2, 0, losses),
               LATHE_INVALID_ARGUMENT, "q is null");
  expect_error(lathe_low_rank_losses(&keys, &keys, &to, tried, 2, 0, NULL), LATHE_INVALID_ARGUMENT,
               "losses is null");
  expect_error(lathe_low_rank_losses(&keys, &keys, &keys, NULL, 2, 0, losses),
               LATHE_INVALID_ARGUMENT, "ranks is null");
  x[1] = NAN;
  expect_error(lathe_factorise(&keys, 2, &none), LATHE_INVALID_ARGUMENT, "nan at [0, 0, 1]");
  keys.type = LATHE_I32;
  expect_error(lathe_factorise(&keys, 2, &none), LATHE_INVALID_ARGUMENT, "type number 8");
  lathe_factors_release(factors);
  lathe_factors_release(NULL);
}

int c_attention_failures(const char* folder) {
  lathe_library* library = NULL;
  expect(lathe_library_open(NULL, 1, "none", &library) == LATHE_OK, "open");
  lists_of_blocks();
  lists_of_pages();
  routers(folder);
  sparse_decode(library, folder);
  factors_of_keys();
  lathe_library_close(library);
  return failures;
}
