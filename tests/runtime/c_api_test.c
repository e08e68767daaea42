/* The C interface, from C: returns the number of failures. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <lathe/c.h>

static int failures = 0;

static void expect(int condition, const char* what) {
  if (!condition) {
    printf("failed: %s (%s)\n", what, lathe_last_error());
    ++failures;
  }
}

int c_api_failures(void) {
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
  lathe_library_close(library);
  lathe_library_close(NULL);
  in.shape = shape;
  expect(lathe_kernel_run(kernel, &in, 1, &out, 1) == LATHE_OK, "a kernel outlives its library");
  lathe_kernel_release(kernel);
  lathe_kernel_release(NULL);
  return failures;
}
