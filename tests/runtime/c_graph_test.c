/* Graphs from C: returns the number of graph_failures. */
#include <stdio.h>
#include <string.h>

#include <lathe/c.h>

static int graph_failures = 0;

static void graph_expect(int condition, const char* what) {
  if (!condition) {
    printf("failed: %s (%s)\n", what, lathe_last_error());
    ++graph_failures;
  }
}

static int graph_says(const char* text) { return strstr(lathe_last_error(), text) != NULL; }

int c_graph_failures(void) {
  const char* text =
      "graph twice(%x: f32[tokens, 4]) -> (%y, %z) {\n"
      "  %y = add(%x, %x)\n"
      "  %z = relu(%x)\n"
      "}";
  lathe_library* library = NULL;
  lathe_graph* graph = NULL;
  graph_expect(lathe_library_open(NULL, 1, "none", &library) == LATHE_OK, "open");
  graph_expect(
      lathe_library_load_graph(library, "graph g(", &graph) == LATHE_PARSE_ERROR && graph == NULL,
      "a text that is no graph");
  graph_expect(lathe_library_load_graph(NULL, text, &graph) == LATHE_INVALID_ARGUMENT &&
                   graph_says("library is null"),
               "no library");
  graph_expect(lathe_library_load_graph(library, NULL, &graph) == LATHE_INVALID_ARGUMENT &&
                   graph_says("text is null"),
               "no text");
  graph_expect(lathe_library_load_graph(library, text, NULL) == LATHE_INVALID_ARGUMENT, "no place");
  graph_expect(lathe_library_load_graph(library, text, &graph) == LATHE_OK, "load");
  lathe_library_close(library); /* the graph outlives it */

  graph_expect(lathe_graph_input_count(graph) == 1 && lathe_graph_output_count(graph) == 2,
               "counts");
  graph_expect(strcmp(lathe_graph_input_name(graph, 0), "x") == 0, "an input's name");
  graph_expect(strcmp(lathe_graph_output_name(graph, 1), "z") == 0, "an output's name");
  graph_expect(lathe_graph_output_name(graph, 2) == NULL && lathe_graph_input_name(NULL, 0) == NULL,
               "names beyond the last");

  float x[8] = {-1, 2, -3, 4, 5, -6, 7, -8}, y[8] = {0}, z[8] = {0};
  const int64_t shape[2] = {2, 4};
  lathe_view in = {x, LATHE_F32, 2, shape, NULL};
  lathe_view out[2] = {{y, LATHE_F32, 2, shape, NULL}, {z, LATHE_F32, 2, shape, NULL}};
  int64_t found[LATHE_MAX_RANK] = {0};
  int32_t rank = 0;
  graph_expect(lathe_graph_output_shape(graph, &in, 1, 1, found, &rank) == LATHE_OK && rank == 2 &&
                   found[0] == 2 && found[1] == 4,
               "a shape");
  graph_expect(lathe_graph_output_shape(graph, &in, 1, 2, found, &rank) == LATHE_INVALID_ARGUMENT &&
                   graph_says("beyond the last"),
               "an output that there is not");
  graph_expect(
      lathe_graph_output_shape(graph, &in, 1, 0, NULL, &rank) == LATHE_INVALID_ARGUMENT &&
          lathe_graph_output_shape(graph, &in, 1, 0, found, NULL) == LATHE_INVALID_ARGUMENT &&
          lathe_graph_output_shape(NULL, &in, 1, 0, found, &rank) == LATHE_INVALID_ARGUMENT,
      "no place for a shape");

  graph_expect(lathe_graph_run(graph, &in, 1, out, 2) == LATHE_OK, "run");
  graph_expect(y[0] == -2 && y[7] == -16 && z[0] == 0 && z[1] == 2, "results");
  graph_expect(lathe_graph_run(NULL, &in, 1, out, 2) == LATHE_INVALID_ARGUMENT, "no graph");
  graph_expect(lathe_graph_run(graph, NULL, 1, out, 2) == LATHE_INVALID_ARGUMENT &&
                   graph_says("input is null"),
               "no inputs");
  graph_expect(lathe_graph_run(graph, &in, 1, NULL, 2) == LATHE_INVALID_ARGUMENT, "no outputs");
  graph_expect(lathe_graph_run(graph, &in, 1, out, 1) == LATHE_INVALID_ARGUMENT &&
                   graph_says("found 1 outputs, expected 2"),
               "an output is missing");
  in.type = (lathe_type)77;
  graph_expect(
      lathe_graph_run(graph, &in, 1, out, 2) == LATHE_INVALID_ARGUMENT && graph_says("type 77"),
      "an unknown type");
  in.type = LATHE_F32;
  in.rank = 99;
  graph_expect(
      lathe_graph_run(graph, &in, 1, out, 2) == LATHE_INVALID_ARGUMENT && graph_says("rank"),
      "a rank that no view has");
  in.rank = 2;

  char line[16];
  size_t length = 0;
  graph_expect(lathe_graph_steps(graph, &in, 1, line, sizeof line, &length) == LATHE_OK &&
                   length >= sizeof line && strlen(line) == sizeof line - 1,
               "steps, cut to their room");
  graph_expect(lathe_graph_steps(graph, &in, 1, NULL, 0, &length) == LATHE_OK, "their length");
  graph_expect(lathe_graph_steps(graph, &in, 1, NULL, 8, &length) == LATHE_INVALID_ARGUMENT &&
                   lathe_graph_steps(graph, &in, 1, line, 16, NULL) == LATHE_INVALID_ARGUMENT,
               "no place for steps");
  lathe_graph_release(graph);
  lathe_graph_release(NULL);
  return graph_failures;
}
