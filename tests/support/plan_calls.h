// A plan as the list of program calls that it makes, for running it by any means, one after the
// other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "ir/plan/plan.h"

namespace lathe::tests {

struct PlanCall {
  struct Place {
    bool scratch = false;
    size_t index = 0;    ///< of the operand or the scratch
    int64_t offset = 0;  ///< bytes from where it starts
  };
  size_t program = 0;
  std::vector<Place> buffers;
  std::vector<int64_t> parameters;
};

struct PlanCalls {
  std::vector<int64_t> scratch_bytes;  ///< of each scratch, for one worker
  std::vector<PlanCall> calls;
};

/// `inputs` are the values of the plan's first variables, `operands` where element 0 of each lies
/// (for plans that read elements). One worker runs everything in order.
PlanCalls calls_of(const ir::plan::Plan& plan, std::span<const int64_t> inputs,
                   std::span<std::byte* const> operands = {});

}  // namespace lathe::tests
