/* The README's example in C. */
#include <stdio.h>

/* [docs:c] */
#include <lathe/c.h>

int main(void) {
  lathe_library* library;
  lathe_kernel* silu;
  if (lathe_library_open(NULL, 0, NULL, &library) != LATHE_OK ||
      lathe_library_fetch(library, "silu rows=2 width=4", &silu) != LATHE_OK) {
    fprintf(stderr, "%s\n", lathe_last_error());
    return 1;
  }
  float x[8] = {-2, -1, 0, 1, 2, 3, 4, 5}, y[8];
  const int64_t shape[] = {2, 4};
  lathe_view in = {x, LATHE_F32, 2, shape, NULL}, out = {y, LATHE_F32, 2, shape, NULL};
  if (lathe_kernel_run(silu, &in, 1, &out, 1) != LATHE_OK)
    fprintf(stderr, "%s\n", lathe_last_error());
  printf("%s: silu(1) = %g\n", lathe_kernel_problem(silu), y[3]);
  lathe_kernel_release(silu);
  lathe_library_close(library);
}
/* [/docs:c] */
