// embedding: y[r,:] = table[ids[r],:].
#include "compiler/kernels/families.h"
#include "compiler/kernels/parameters.h"
#include "compiler/kernels/row_kernel.h"

namespace lathe::compiler::kernels {
namespace {

Signature signature_of(const Problem& p) {
  Port table{"table", p.type("type"), {"vocabulary", p.integer("width")}};
  table.gathered = true;
  Port ids{"ids", Type::i32, {"rows"}};
  ids.index_limit = "vocabulary";
  return {table, ids, output(matrix("y", p.type("out"), p.integer("width")))};
}

Result<ir::graph::Graph> reference(const Problem& p) {
  ir::graph::GraphBuilder graph("embedding");
  const auto inputs = add_graph_inputs(graph, signature_of(p));
  return graph.finish({cast_to(graph, graph.op("embedding", inputs), p.type("out"))});
}

SearchSpace space(const Problem& p, const Target& target) {
  SearchSpace space;
  add_unroll(space, p.integer("width"), target, 4);
  add_row_knobs(space, signature_of(p), p.bucket("rows"), target);
  return space;
}

Result<Plan> build(const Problem& p, const Schedule& s, const Target& target) {
  LATHE_CHECK(space(p, target).check(s));
  RowKernel kernel("embedding", signature_of(p), target);
  Builder& b = kernel.builder();
  kernel.for_rows(streamed_output(s, kernel.signature()), [&] {
    const Scalar id = b.load_integer(kernel.at("ids"));
    const Pointer entry = b.offset(kernel.at("table"), b.mul(id, kernel.stride("table", 0)));
    b.vectors(p.integer("width"), static_cast<int>(s["unroll"]),
              [&](const Span& i, int) { kernel.store("y", i, b.load(entry, i)); });
  });
  return kernel.plan(s["grain"], /*in_place=*/false);
}

Work work(const Problem& p, const Sizes& sizes) { return work_of(signature_of(p), sizes, 0); }

}  // namespace

const Family& embedding() {
  static const Family family = {
      .name = "embedding",
      .summary = "y[r] = table[ids[r]]",
      .example = "embedding rows=512..2047 width=2048 type=bf16 out=f32",
      .revision = 1,
      .parameters = {rows_parameter(), width_parameter(), type_parameter(), out_parameter()},
      .limits = float_limits({0, 0}),
      .form = CallForm::embedding,
      .graph_ops = {"embedding"},
      .smallest = "embedding rows=1 width=11",
      .variants = {""},
      .validate = nullptr,
      .signature = signature_of,
      .reference = reference,
      .space = space,
      .build = build,
      .work = work,
  };
  return family;
}

}  // namespace lathe::compiler::kernels
