// Walks a plan's loops and writes down each call.
#include "tests/support/plan_calls.h"

#include <algorithm>

#include "ir/plan/iteration_space.h"

namespace lathe::tests {
namespace {

using ir::plan::Environment;

void walk(const ir::plan::Body& body, const Environment& here, PlanCalls& result) {
  for (const ir::plan::Step& step : body) {
    if (const auto* loop = std::get_if<ir::plan::Loop>(&step.value)) {
      const int64_t end = here.value(loop->end);
      const int64_t block = std::max<int64_t>(1, here.value(loop->block));
      for (int64_t i = here.value(loop->begin); i < end; i += block) {
        here.variables[loop->variable] = i;
        walk(loop->body, here, result);
      }
    } else if (const auto* let = std::get_if<ir::plan::Let>(&step.value)) {
      here.variables[let->variable] = here.value(let->value);
    } else {
      const auto& call = std::get<ir::plan::Call>(step.value);
      PlanCall& made = result.calls.emplace_back();
      made.program = static_cast<size_t>(call.program);
      for (const auto& [name, place] : call.buffers)
        made.buffers.push_back({place.kind == ir::plan::Place::Kind::scratch,
                                static_cast<size_t>(place.index), here.value(place.offset)});
      for (const auto& [name, value] : call.parameters)
        made.parameters.push_back(here.value(value));
    }
  }
}

}  // namespace

PlanCalls calls_of(const ir::plan::Plan& plan, std::span<const int64_t> inputs,
                   std::span<std::byte* const> operands) {
  std::vector<int64_t> variables(plan.variables.size());
  std::copy(inputs.begin(), inputs.end(), variables.begin());
  const Environment here{variables.data(), operands.data()};
  PlanCalls result;
  for (const ir::plan::Scratch& scratch : plan.scratch)
    result.scratch_bytes.push_back(here.value(scratch.bytes));
  walk(plan.body, here, result);
  return result;
}

}  // namespace lathe::tests
