// Runs plans natively on raw operands: compiles each program once, maps it, calls it.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "runtime/library/target_selection.h"
#include "tests/support/kernel_cases.h"

namespace lathe::tests {

/// The code generators of this build: x86, and LLVM where it is part of it.
const runtime::Backends& backends();

/// Compiles with the target's backend and calls on one thread; scratch ends at protected pages,
/// too. Not thread-safe.
class NativeExecutor {
 public:
  explicit NativeExecutor(runtime::SelectedTarget selected) : selected_(std::move(selected)) {}

  const ir::Target& target() const { return selected_.target; }

  Status run(const ir::plan::Plan& plan, std::span<const ir::plan::OperandView> operands,
             std::span<const int64_t> variables);

  Executor executor() {
    return [this](const auto& plan, auto operands, auto variables) {
      return run(plan, operands, variables);
    };
  }

 private:
  Result<ir::program::KernelFunction> function(const ir::program::Program& program);

  runtime::SelectedTarget selected_;
  std::map<std::string, std::unique_ptr<codegen::LoadedKernel>> loaded_;  ///< by printed program
};

}  // namespace lathe::tests
