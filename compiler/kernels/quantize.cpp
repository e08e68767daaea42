// quantize: blocks of 32 elements as GGUF's q8_0: d = max|x| / 127 stored as f16, 32 codes round(x
// / d).
// Blocks are stored as in GGUF: the scale, then the codes.
#include "compiler/kernels/block_quantizer.h"
#include "compiler/kernels/families.h"
#include "compiler/kernels/parameters.h"
#include "compiler/kernels/row_kernel.h"

namespace lathe::compiler::kernels {
namespace {

constexpr int64_t kBlock = BlockQuantizer::kBlock;
constexpr int kTogether = BlockQuantizer::kTogether;
constexpr int64_t kBlockBytes = 34;
constexpr int64_t kCodes = 2;  // bytes from a block's start to its codes

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
  const bool shares = target.lanes >= kTogether && p.integer("width") >= kTogether * kBlock;
  space.knob("blocks", {1, kTogether}, shares ? kTogether : 1,
             "blocks in one trip of the loop; they share the divisions for their scales");
  add_row_knobs(space, signature_of(p), p.bucket("rows"), target);
  return space;
}

Result<Plan> build(const Problem& p, const Schedule& s, const Target& target) {
  LATHE_CHECK(space(p, target).check(s));
  RowKernel kernel("quantize", signature_of(p), target);
  Builder& b = kernel.builder();
  const int64_t blocks = p.integer("width") / kBlock;
  const auto together = static_cast<int>(s["blocks"]);
  const int64_t x_bytes = ir::size_of(p.type("type")) * kBlock;
  BlockQuantizer quantizer(b);
  kernel.for_rows([&] {
    const Pointer x = b.copy(kernel.at("x"));
    const Pointer y = b.copy(kernel.at("y"));
    BlockQuantizer::Sink sink;
    sink.codes = y;
    sink.codes_offset = kCodes;
    sink.block_bytes = kBlockBytes;
    sink.scale = [&](int64_t block, Vec d) {
      Pointer scale = y;
      scale.type = Type::f16;
      const bool whole = b.lanes() == 1;
      b.store(b.offset(scale, block * kBlockBytes), Span{0, {}, 1, whole}, d);
    };
    const int64_t looped = blocks / together;
    b.loop(0, looped, 1, [&](Scalar) {
      quantizer.write(x, 0, together, sink);
      b.advance(x, together * x_bytes);
      b.advance(y, together * kBlockBytes);
    });
    for (int64_t i = 0; i < blocks % together; ++i) quantizer.write(x, i, 1, sink);
  });
  return kernel.plan(s["grain"], /*in_place=*/false);
}

Work work(const Problem& p, const Sizes& sizes) {
  // Magnitude and maximum; quotient and rounding; then d and its inverse for each block.
  return work_of(signature_of(p), sizes,
                 static_cast<double>(p.integer("width")) * (4 + 2.0 / kBlock));
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
      .validate = validate,
      .reference = reference,
      .space = space,
      .build = build,
      .work = work,
  };
  return family;
}

}  // namespace lathe::compiler::kernels
