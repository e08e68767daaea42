// scale: y[r,:] = x[r,:] * by.
#include "compiler/kernels/skeleton.h"

#include "compiler/kernels/parameters.h"
#include "compiler/kernels/row_kernel.h"

namespace lathe::compiler::kernels {
namespace {

// [docs:signature]
Signature signature_of(const Problem& p) {
  return {matrix("x", p.type("type"), p.integer("width")),
          output(matrix("y", p.type("out"), p.integer("width")))};
}
// [/docs:signature]

// [docs:reference]
Result<ir::graph::Graph> reference(const Problem& p) {
  ir::graph::GraphBuilder graph("scale");
  const auto inputs = add_graph_inputs(graph, signature_of(p));
  const auto x = cast_to(graph, inputs[0], Type::f32);
  const auto y = graph.op("mul", {x, graph.constant(p.number("by"))});
  return graph.finish({cast_to(graph, y, p.type("out"))});
}
// [/docs:reference]

// [docs:space]
SearchSpace space(const Problem& p, const Target& target) {
  SearchSpace space;
  add_unroll(space, p.integer("width"), target, /*default_value=*/2);
  add_row_knobs(space, signature_of(p), p.bucket("rows"), target);
  return space;
}
// [/docs:space]

// [docs:build]
Result<Plan> build(const Problem& p, const Schedule& s, const Target& target) {
  LATHE_CHECK(space(p, target).check(s));
  RowKernel kernel("scale", signature_of(p), target);
  Builder& b = kernel.builder();
  kernel.for_rows(streamed_output(s, kernel.signature()), [&] {
    b.vectors(p.integer("width"), static_cast<int>(s["unroll"]), [&](const Span& i, int) {
      kernel.store("y", i, b.load(kernel.at("x"), i) * static_cast<float>(p.number("by")));
    });
  });
  return kernel.plan(s["grain"], /*in_place=*/true);
}
// [/docs:build]

// [docs:work]
Work work(const Problem& p, const Sizes& sizes) {
  return work_of(signature_of(p), sizes, /*flops_per_row=*/static_cast<double>(p.integer("width")));
}
// [/docs:work]

}  // namespace

// [docs:family]
const Family& scale() {
  static const Family family = {
      .name = "scale",
      .summary = "y = x * by",
      .example = "scale rows=512..2047 width=2048 by=0.5",
      .revision = 1,
      .parameters = {rows_parameter(),
                     width_parameter(),
                     type_parameter(),
                     out_parameter(),
                     {"by", 1.0, "the factor"}},
      .limits = float_limits({0, 1e-7}),
      .smallest = "scale rows=1 width=11",
      .variants = {"by=0.5"},
      .validate = nullptr,
      .signature = signature_of,
      .reference = reference,
      .space = space,
      .build = build,
      .work = work,
  };
  return family;
}
// [/docs:family]

}  // namespace lathe::compiler::kernels
