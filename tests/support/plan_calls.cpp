// Walks a plan's loops and writes down each call.
#include "tests/support/plan_calls.h"

#include <algorithm>

namespace lathe::tests {
namespace {

void walk(const ir::plan::Body& body, std::vector<int64_t>& variables, PlanCalls& result) {
  for (const ir::plan::Step& step : body) {
    if (const auto* loop = std::get_if<ir::plan::Loop>(&step.value)) {
      const int64_t extent = loop->extent.evaluate(variables.data());
      const int64_t block = std::max<int64_t>(1, loop->block.evaluate(variables.data()));
      for (int64_t i = 0; i < extent; i += block) {
        variables[static_cast<size_t>(loop->variable)] = i;
        walk(loop->body, variables, result);
      }
      continue;
    }
    const auto& call = std::get<ir::plan::Call>(step.value);
    PlanCall& made = result.calls.emplace_back();
    made.program = static_cast<size_t>(call.program);
    for (const ir::plan::Argument& argument : call.buffers)
      made.buffers.push_back({argument.kind == ir::plan::Argument::Kind::scratch,
                              static_cast<size_t>(argument.index),
                              argument.offset.evaluate(variables.data())});
    for (const ir::plan::Expr& parameter : call.parameters)
      made.parameters.push_back(parameter.evaluate(variables.data()));
  }
}

}  // namespace

PlanCalls calls_of(const ir::plan::Plan& plan, std::span<const int64_t> inputs) {
  std::vector<int64_t> variables(plan.variables.size());
  std::copy(inputs.begin(), inputs.end(), variables.begin());
  PlanCalls result;
  for (const ir::plan::Scratch& scratch : plan.scratch)
    result.scratch_bytes.push_back(scratch.bytes.evaluate(variables.data()));
  walk(plan.body, variables, result);
  return result;
}

}  // namespace lathe::tests
