/* A user's program in C: loads a graph, runs it, and checks a number by hand. */
#include <stdio.h>

#include <lathe/c.h>

int main(void) {
  lathe_library* library = NULL;
  lathe_graph* graph = NULL;
  float x[4] = {1, 2, 3, 4}, y[4] = {0, 0, 0, 0};
  const int64_t shape[2] = {1, 4};
  lathe_view in = {x, LATHE_F32, 2, shape, NULL}, out = {y, LATHE_F32, 2, shape, NULL};
  if (lathe_library_open(NULL, 0, "none", &library) != LATHE_OK ||
      lathe_library_load_graph(library,
                               "graph twice(%x: f32[rows, 4]) -> (%y) {\n  %y = add(%x, %x)\n}",
                               &graph) != LATHE_OK ||
      lathe_graph_run(graph, &in, 1, &out, 1) != LATHE_OK) {
    fprintf(stderr, "%s\n", lathe_last_error());
    return 1;
  }
  lathe_graph_release(graph);
  lathe_library_close(library);
  if (y[3] == 8) return 0;
  fprintf(stderr, "found %g, expected 8\n", y[3]);
  return 1;
}
