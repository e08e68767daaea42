// quantize: blocks of 32 elements as GGUF's q8_0: d = max|x| / 127 stored as f16, 32 codes round(x
// / d).
#include "compiler/kernels/block_quantizer.h"
#include "compiler/kernels/families.h"
#include "compiler/kernels/parameters.h"
#include "compiler/kernels/row_kernel.h"

namespace lathe::compiler::kernels {
namespace {

constexpr int64_t kBlock = BlockQuantizer::kBlock;
constexpr int kTogether = BlockQuantizer::kTogether;

Signature signature_of(const Problem& p) {
  return {matrix("x", p.type("type"), p.integer("width")),
          output(matrix("y", Type::q8_0, p.integer("width")))};
}

Status validate(const Problem& p) {
  if (p.integer("width") % kBlock == 0) return {};
  return fail(ErrorCode::invalid_argument,
              "width: found {}, expected a multiple of the block of {}", p.integer("width"),
              kBlock);
}

Result<ir::graph::Graph> reference(const Problem& p) {
  ir::graph::GraphBuilder graph("quantize");
  const auto inputs = add_graph_inputs(graph, signature_of(p));
  return graph.finish({graph.op("quantize", inputs, {{"type", Type::q8_0}})});
}

SearchSpace space(const Problem& p, const Target& target) {
  SearchSpace space;
  space.knob("blocks", {1, kTogether},
             BlockQuantizer::together(target, p.integer("width") / kBlock),
             "blocks in one trip of the loop; they share the divisions for their scales");
  add_row_knobs(space, signature_of(p), p.bucket("rows"), target);
  return space;
}

Result<Plan> build(const Problem& p, const Schedule& s, const Target& target) {
  LATHE_CHECK(space(p, target).check(s));
  RowKernel kernel("quantize", signature_of(p), target);
  Builder& b = kernel.builder();
  BlockQuantizer quantizer(b);
  kernel.for_rows([&] {
    quantizer.write_row(kernel.at("x"), kernel.at("y"), p.integer("width") / kBlock,
                        static_cast<int>(s["blocks"]));
  });
  return kernel.plan(s["grain"], /*in_place=*/false);
}

Work work(const Problem& p, const Sizes& sizes) {
  // And d and its inverse for each block.
  return work_of(signature_of(p), sizes,
                 static_cast<double>(p.integer("width")) * (BlockQuantizer::kFlops + 2.0 / kBlock));
}

}  // namespace

const Family& quantize() {
  static const Family family = {
      .name = "quantize",
      .summary = "y = x in blocks of 32 as GGUF's q8_0: d = max|x| / 127, codes round(x / d)",
      .example = "quantize rows=512..2047 width=2048",
      .revision = 2,
      .parameters = {rows_parameter(), width_parameter(), type_parameter(),
                     choice_parameter("to", {"q8_0"}, "the block format")},
      .limits = exact_block_limits(),
      .form = CallForm::quantize,
      .graph_ops = {"quantize"},
      .smallest = "quantize rows=1 width=32",
      .variants = {""},
      .validate = validate,
      .signature = signature_of,
      .reference = reference,
      .space = space,
      .build = build,
      .work = work,
  };
  return family;
}

}  // namespace lathe::compiler::kernels
