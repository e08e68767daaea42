// elementwise: y[r,:] = expr of the inputs at [r,:], any chain in one pass; casts are expr=x with
// another out.
#include "compiler/kernels/elementwise.h"

#include <algorithm>

#include "compiler/kernels/families.h"
#include "compiler/kernels/parameters.h"
#include "compiler/kernels/row_kernel.h"

namespace lathe::compiler::kernels {
namespace {

bool divides(const Fragment& fragment) {
  using Op = Fragment::Op;
  return std::any_of(
      fragment.nodes().begin(), fragment.nodes().end(), [](const Fragment::Node& node) {
        return node.op == Op::div || node.op == Op::recip || node.op == Op::rsqrt ||
               node.op == Op::tanh ||
               (node.op >= Op::sigmoid && node.op <= Op::gelu_erf && node.op != Op::relu);
      });
}

Fragment expression(const Problem& p) { return *Fragment::parse(p.text("expr")); }

}  // namespace

Signature chain_signature(const Problem& p, const Fragment& fragment) {
  const Type weights = p.type(p.has("weight_type") ? "weight_type" : "type");
  Signature signature;
  add_inputs(signature, fragment, p.type("type"), weights, p.integer("width"));
  signature.push_back(output(matrix("y", p.type("out"), p.integer("width"))));
  return signature;
}

Status validate_chain(const Problem& p, const Fragment& fragment) {
  LATHE_CHECK(check_inputs({}, fragment, p.integer("width"), "expr", {"y"}));
  const bool full =
      std::any_of(fragment.inputs().begin(), fragment.inputs().end(),
                  [](const FragmentInput& input) { return input.kind == LeafKind::full; });
  if (full) return {};
  return fail(ErrorCode::invalid_argument,
              "expr: found '{}', expected at least one input of the full shape", fragment.text());
}

Result<ir::graph::Graph> chain_reference(const Problem& p, const Fragment& fragment) {
  ir::graph::GraphBuilder graph(p.family().name);
  auto inputs = add_graph_inputs(graph, chain_signature(p, fragment));
  return graph.finish({fragment_graph(graph, fragment, std::move(inputs), p.type("out"))});
}

SearchSpace chain_space(const Problem& p, const Fragment& fragment, const Target& target) {
  SearchSpace space;
  // Long chains of one input wait for themselves: on SSE all that divide, elsewhere gelu.
  const auto full =
      std::count_if(fragment.inputs().begin(), fragment.inputs().end(),
                    [](const FragmentInput& input) { return input.kind == LeafKind::full; });
  const bool is_gelu =
      std::any_of(fragment.nodes().begin(), fragment.nodes().end(), [](const Fragment::Node& node) {
        return node.op == Fragment::Op::gelu_tanh || node.op == Fragment::Op::gelu_erf;
      });
  const bool is_long = full == 1 && (is_gelu || (divides(fragment) && target.lanes < 8));
  add_unroll(space, p.integer("width"), target, is_long ? 4 : 2);
  if (divides(fragment)) add_division(space);
  add_row_knobs(space, chain_signature(p, fragment), p.bucket("rows"), target);
  return space;
}

Result<Plan> build_chain(const Problem& p, const Fragment& fragment, const Schedule& s,
                         const Target& target) {
  LATHE_CHECK(chain_space(p, fragment, target).check(s));
  RowKernel kernel(p.family().name, chain_signature(p, fragment), target);
  Builder& b = kernel.builder();
  kernel.for_rows(streamed_output(s, kernel.signature()), [&] {
    FragmentCode code(fragment, b, options_of(s));
    code.begin_row([&](const FragmentInput& input) { return kernel.load(input, {}); });
    b.vectors(p.integer("width"), static_cast<int>(s["unroll"]), [&](const Span& i, int) {
      kernel.store("y", i,
                   code.at([&](const FragmentInput& input) { return kernel.load(input, i); }));
    });
  });
  return kernel.plan(s["grain"], /*in_place=*/true);
}

Work chain_work(const Problem& p, const Fragment& fragment, const Sizes& sizes) {
  return work_of(chain_signature(p, fragment), sizes,
                 fragment.flops() * static_cast<double>(p.integer("width")));
}

const Family& elementwise() {
  static const Family family{
      .name = "elementwise",
      .summary = "y = expr, any chain of elementwise functions in one pass",
      .example = "elementwise rows=512..2047 width=2048 expr=add(x,r)",
      .revision = 2,
      .parameters = {rows_parameter(), width_parameter(),
                     [] {
                       ParameterSpec expr = fragment_parameter("expr", "x", "the chain");
                       expr.required = true;
                       return expr;
                     }(),
                     type_parameter(), out_parameter(), weight_type_parameter()},
      .limits = float_limits({1e-6, 1e-5}),
      .form = CallForm::chain,
      .smallest = "elementwise rows=1 width=11 expr=add(x,r)",
      .variants = {"expr=x", "expr=add(x,r)", "expr=max(x,r)", "expr=round_f16(x)",
                   "expr=fma(gelu_erf(x),vec(w),mul(sigmoid(col(s)),r))",
                   "expr=where(lt(x,0),mul(x,0.01),min(x,6))",
                   "expr=div(sub(tanh(x),abs(r)),add(sqrt(abs(x)),1))"},
      .validate = [](const Problem& p) { return validate_chain(p, expression(p)); },
      .signature = [](const Problem& p) { return chain_signature(p, expression(p)); },
      .reference = [](const Problem& p) { return chain_reference(p, expression(p)); },
      .space = [](const Problem& p,
                  const Target& target) { return chain_space(p, expression(p), target); },
      .build = [](const Problem& p, const Schedule& s,
                  const Target& target) { return build_chain(p, expression(p), s, target); },
      .work = [](const Problem& p,
                 const Sizes& sizes) { return chain_work(p, expression(p), sizes); },
  };
  return family;
}

}  // namespace lathe::compiler::kernels
