// The epilogue as a parameter and as a graph.
#include "compiler/kernels/product/problem.h"

#include <algorithm>

namespace lathe::compiler::kernels::product {

using ir::graph::Var;

Status check_epilogue(const Problem& p, bool pair, const std::vector<std::string_view>& taken) {
  const Fragment epilogue = *Fragment::parse(p.text("epilogue"));
  const int64_t n = p.integer("n");
  LATHE_CHECK(check_inputs({matrix("y", Type::f32, n)}, epilogue, n, "epilogue", taken));
  if (pair) LATHE_CHECK(check_inputs({matrix("z", Type::f32, n)}, epilogue, n, "epilogue", {}));
  const auto uses = [&](std::string_view name) {
    return std::any_of(epilogue.inputs().begin(), epilogue.inputs().end(),
                       [&](const FragmentInput& input) { return input.name == name; });
  };
  if (!uses("y")) {
    return fail(ErrorCode::invalid_argument, "epilogue: found '{}', expected an expression of y",
                epilogue.text());
  }
  if (pair && !uses("z")) {
    return fail(ErrorCode::invalid_argument,
                "epilogue: found '{}', expected an expression of y and z, the products with the "
                "weight's two halves",
                epilogue.text());
  }
  return {};
}

Var epilogue_graph(ir::graph::GraphBuilder& graph, const Fragment& epilogue,
                   const Signature& signature, const std::vector<Var>& inputs, size_t first, Var y,
                   Var z, Type out) {
  std::vector<Var> operands;
  for (const FragmentInput& input : epilogue.inputs()) {
    size_t i = first;
    while (i < inputs.size() && signature[i].name != input.name) ++i;
    operands.push_back(i < inputs.size() ? inputs[i] : input.name == "z" ? z : y);
  }
  return fragment_graph(graph, epilogue, operands, out);
}

}  // namespace lathe::compiler::kernels::product
