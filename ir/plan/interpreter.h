// Runs a whole plan through the program interpreter, and proves that its threads do not race.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "ir/plan/plan.h"
#include "ir/program/interpreter.h"

namespace lathe::ir::plan {

/// An operand as the caller holds it: its whole allocation, and where in it element 0 lies. An
/// optional operand that is left out is null with 0 bytes.
struct OperandView {
  std::byte* data = nullptr;
  int64_t bytes = 0;
  int64_t start = 0;
};

struct PlanOptions {
  /// Simulated workers: iteration i of a parallel nest runs on worker i mod workers, in order. Each
  /// has its own per-worker scratch.
  int workers = 1;
  /// Record what each parallel iteration reads and writes of operands and shared scratch, and
  /// refuse a byte that one iteration writes and another reads or writes. Per-worker scratch is
  /// overwritten with a pattern before every iteration, so that nothing can rest on what another
  /// left there.
  bool check_disjoint = true;
  uint64_t instruction_limit = 2'000'000'000;  ///< of one program call
};

/// Runs `plan` on `operands` (as plan.operands) with `inputs` (the values of its first plan.inputs
/// variables). The plan must have passed verify(). Errors: invalid_argument for operands or inputs
/// that do not fit the plan; verify_error, naming the loop variables' values, for whatever the
/// program interpreter refuses and for races. The sum of all calls' traces otherwise. Thread-safe.
Result<program::Trace> interpret(const Plan& plan, std::span<const OperandView> operands,
                                 std::span<const int64_t> inputs, const PlanOptions& options = {});

}  // namespace lathe::ir::plan
