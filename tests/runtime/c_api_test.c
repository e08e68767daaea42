/* The C interface, from C: returns the number of failures. */
#include <math.h>

#include "tests/runtime/c_checks.h"

static void packed_weights(lathe_library* library) {
  float w[3 * 4], x[4] = {1, 2, 3, 4}, y[3];
  for (int i = 0; i < 12; ++i) w[i] = (float)i;
  const int64_t shape[2] = {3, 4}, x_shape[2] = {1, 4}, y_shape[2] = {1, 3};
  lathe_view matrix = {w, LATHE_F32, 2, shape, NULL};
  lathe_weight* weight = NULL;
  expect(lathe_weight_pack(library, &matrix, 0, 16, &weight) == LATHE_OK, "pack");
  expect(strcmp(lathe_weight_layout(weight), "panels16 f32 3x4") == 0, "layout");
  expect(strcmp(lathe_weight_parameters(weight), "n=3 k=4 weight=f32 panel=16") == 0, "parameters");
  expect(lathe_weight_bytes(weight) == 16 * 4 * 4, "bytes");
  size_t count = 0;
  const lathe_view* parts = lathe_weight_parts(weight, &count);
  expect(count == 1 && parts[0].rank == 3 && parts[0].shape[2] == 16, "parts");

  lathe_kernel* kernel = NULL;
  expect(lathe_library_fetch(library, "linear rows=1 n=3 k=4 panel=16", &kernel) == LATHE_OK,
         "fetch linear");
  lathe_view in[2] = {{x, LATHE_F32, 2, x_shape, NULL}, parts[0]};
  lathe_view out = {y, LATHE_F32, 2, y_shape, NULL};
  expect(lathe_kernel_run(kernel, in, 2, &out, 1) == LATHE_OK, "run linear");
  expect(y[0] == 20 && y[1] == 60 && y[2] == 100, "product");
  memset(y, 0, sizeof y);
  expect(lathe_kernel_run_packed(kernel, &in[0], weight, NULL, 0, &out) == LATHE_OK, "run packed");
  expect(y[0] == 20 && y[1] == 60 && y[2] == 100, "packed product");
  lathe_weight* other = NULL;
  expect(lathe_weight_pack(library, &matrix, 0, 32, &other) == LATHE_OK, "pack otherwise");
  expect(lathe_kernel_run_packed(kernel, &in[0], other, NULL, 0, &out) == LATHE_MISMATCH,
         "a weight of another layout");
  expect(strstr(lathe_last_error(), "panels32") != NULL, "the layouts are named");
  lathe_weight_release(other);
  expect(lathe_kernel_run_packed(kernel, &in[0], NULL, NULL, 0, &out) == LATHE_INVALID_ARGUMENT,
         "no weight");
  in[0].type = (lathe_type)256;
  expect(lathe_kernel_run(kernel, in, 2, &out, 1) == LATHE_INVALID_ARGUMENT &&
             strstr(lathe_last_error(), "input 0: type 256") != NULL,
         "a type of 256");
  lathe_kernel_release(kernel);

  lathe_weight* codes = NULL;
  expect(lathe_weight_pack_i8(library, &matrix, NULL, 0, 16, &codes) == LATHE_OK, "quantise");
  expect(strcmp(lathe_weight_layout(codes), "panels16 i8 3x4") == 0, "layout of codes");
  lathe_weight_release(codes);
  int8_t small[3 * 4] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  float scales[3] = {1, 2, 4};
  lathe_view matrix_i8 = {small, LATHE_I8, 2, shape, NULL};
  lathe_view scales_view = {scales, LATHE_F32, 1, shape, NULL};
  expect(lathe_weight_pack_i8(library, &matrix_i8, &scales_view, 0, 16, &codes) == LATHE_OK,
         "pack codes");
  lathe_weight_release(codes);
  expect(lathe_weight_pack_i8(library, &matrix_i8, NULL, 0, 16, &codes) == LATHE_INVALID_ARGUMENT &&
             codes == NULL,
         "codes without scales");

  lathe_weight* none = weight;
  expect(lathe_weight_save(weight, "/nonexistent/w") == LATHE_IO_ERROR, "save nowhere");
  expect(lathe_weight_map(library, "/nonexistent/w", 1, &none) == LATHE_NOT_FOUND && none == NULL,
         "map nothing");
  expect(lathe_weight_map(library, NULL, 1, &none) == LATHE_INVALID_ARGUMENT, "map null");
  expect(lathe_weight_pack(library, NULL, 0, 0, &none) == LATHE_INVALID_ARGUMENT, "pack null");
  expect(lathe_weight_pack(NULL, &matrix, 0, 0, &none) == LATHE_INVALID_ARGUMENT, "null library");
  matrix.rank = 1;
  expect(lathe_weight_pack(library, &matrix, 0, 0, &none) == LATHE_INVALID_ARGUMENT && none == NULL,
         "pack a vector");
  expect(strstr(lathe_last_error(), "rank 1") != NULL, "the message names the rank");
  expect(lathe_weight_save(NULL, "w") == LATHE_INVALID_ARGUMENT, "save null");
  expect(lathe_weight_parts(NULL, &count) == NULL && count == 0, "parts of null");
  lathe_weight_release(weight);
  lathe_weight_release(NULL);
}

static void store_notes(const char* folder) {
  char missing[512], note[1024], cut[8];
  snprintf(missing, sizeof missing, "%s/missing.db", folder);
  lathe_library* library = NULL;
  expect(lathe_library_open(NULL, 1, missing, &library) == LATHE_OK,
         "a missing store is no failure");
  memset(note, 'x', sizeof note);
  const size_t length = lathe_library_store_note(library, note, sizeof note);
  expect(length == strlen(note) && strstr(note, missing) != NULL, "the note names the store");
  memset(cut, 'x', sizeof cut);
  expect(lathe_library_store_note(library, cut, 7) == length, "the length of the whole");
  expect(strlen(cut) == 6 && strncmp(cut, note, 6) == 0 && cut[7] == 'x',
         "cut to the buffer's size");
  expect(lathe_library_store_note(library, cut, 0) == length && cut[0] == note[0],
         "no room at all");
  expect(lathe_library_store_note(library, NULL, 0) == length, "no buffer");
  lathe_library_close(library);
  expect(lathe_library_open(NULL, 1, "none", &library) == LATHE_OK, "no store");
  expect(lathe_library_store_note(library, note, sizeof note) == 0 && note[0] == 0,
         "nothing to say");
  lathe_library_close(library);
  expect(lathe_library_store_note(NULL, note, sizeof note) == 0 && note[0] == 0, "of no library");
}

int c_api_failures(const char* folder) {
  store_notes(folder);
  lathe_library* library = NULL;
  expect(lathe_library_open(NULL, 1, "none", &library) == LATHE_OK && library != NULL, "open");
  expect(lathe_library_open(NULL, 1, "none", NULL) == LATHE_INVALID_ARGUMENT, "open into null");
  lathe_library* refused = NULL;
  expect(lathe_library_open("avx9", 1, "none", &refused) == LATHE_NOT_FOUND && refused == NULL,
         "unknown target");
  expect(strstr(lathe_last_error(), "avx9") != NULL, "the message names the target");

  lathe_kernel* kernel = NULL;
  expect(lathe_library_fetch(library, "silu rows=2 width=8", &kernel) == LATHE_OK, "fetch");
  expect(lathe_kernel_match(kernel) == LATHE_MATCH_DEFAULT, "match");
  expect(strcmp(lathe_kernel_problem(kernel), "silu rows=2..7 width=8") == 0, "canonical line");
  lathe_kernel* unknown = NULL;
  expect(lathe_library_fetch(library, "silo width=8", &unknown) == LATHE_NOT_FOUND,
         "unknown family");
  expect(lathe_library_fetch(NULL, "silu width=8", &unknown) == LATHE_INVALID_ARGUMENT,
         "null library");
  expect(lathe_library_fetch(library, NULL, &unknown) == LATHE_INVALID_ARGUMENT, "null problem");

  float x[16], y[16];
  for (int i = 0; i < 16; ++i) x[i] = 0.25f * (float)(i - 8);
  const int64_t shape[2] = {2, 8};
  lathe_view in = {x, LATHE_F32, 2, shape, NULL}, out = {y, LATHE_F32, 2, shape, NULL};
  expect(lathe_kernel_run(kernel, &in, 1, &out, 1) == LATHE_OK, "run");
  for (int i = 0; i < 16; ++i) expect(fabs(y[i] - x[i] / (1 + exp(-x[i]))) < 1e-6, "value");
  const int64_t strides[2] = {8, 2};
  in.strides = strides;
  expect(lathe_kernel_run(kernel, &in, 1, &out, 1) == LATHE_INVALID_ARGUMENT,
         "strided last dimension");
  in.strides = NULL;
  in.shape = NULL;
  expect(lathe_kernel_run(kernel, &in, 1, &out, 1) == LATHE_INVALID_ARGUMENT, "null shape");
  expect(lathe_kernel_run(kernel, NULL, 1, &out, 1) == LATHE_INVALID_ARGUMENT, "null views");
  expect(lathe_kernel_run(NULL, &in, 1, &out, 1) == LATHE_INVALID_ARGUMENT, "null kernel");
  packed_weights(library);
  lathe_library_close(library);
  lathe_library_close(NULL);
  in.shape = shape;
  expect(lathe_kernel_run(kernel, &in, 1, &out, 1) == LATHE_OK, "a kernel outlives its library");
  lathe_kernel_release(kernel);
  lathe_kernel_release(NULL);
  return failures;
}
