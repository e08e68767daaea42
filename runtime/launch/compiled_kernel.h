// A kernel in memory: its plan, its mapped programs, and the signature that calls are checked
// against.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "codegen/backend.h"
#include "compiler/family.h"
#include "ir/plan/plan.h"

namespace lathe::runtime {

/// One operand as callers must pass it.
struct OperandRule {
  std::string name;
  ir::Type type = ir::Type::f32;
  bool output = false;
  bool updated = false;  ///< an output that is an input, too: what is not written stays
  std::optional<ir::plan::ElementRule> elements{};  ///< over the plan's inputs
  bool finite = false;                              ///< no NaN and no infinity, of f32
  /// For each dimension: `factor` times variable `variable`, or the number `factor` if variable <
  /// 0.
  struct Dimension {
    int64_t factor = 0;
    int variable = -1;
    std::string symbol;
  };
  std::vector<Dimension> shape;
  std::vector<int>
      stride_variables;  ///< of every dimension but the last; -1 where the plan has none

  /// Of indices into tables: the plan's variable that counts the entries. -1 of other operands.
  int table_variable() const;
};

/// How kernels run: as machine code, or by the plan interpreter, which checks every access and
/// needs no executable memory.
enum class Execution { native, interpreted };

/// Immutable once made; safe to run from any thread.
struct CompiledKernel {
  compiler::Problem problem;
  compiler::Schedule schedule;
  ir::Target target;
  ir::plan::Plan plan;
  std::vector<OperandRule> operands;  ///< inputs, then outputs; an updated one stands among these
  int inputs = 0;                     ///< how many of them are inputs alone
  int threads_variable = -1;
  Execution execution = Execution::native;
  // Of native ones:
  std::vector<std::unique_ptr<codegen::LoadedKernel>> programs;  ///< as plan.programs
  std::vector<ir::program::KernelFunction> functions;            ///< their entries
};

/// Builds the family's plan, emits and maps its programs; where they are to be interpreted, they
/// are not mapped. Errors: rejected (constraints, registers), unsupported (the host lacks an
/// instruction that was emitted: nothing is mapped then; or lets no memory become executable).
Result<std::shared_ptr<const CompiledKernel>> compile_kernel(
    const compiler::Problem& problem, const compiler::Schedule& schedule, const ir::Target& target,
    const codegen::Backend& backend, Execution execution = Execution::native);

/// The signature of a plan: from the problem's reference graph and the plan's variables.
Result<std::vector<OperandRule>> operand_rules(const compiler::Problem& problem,
                                               const ir::plan::Plan& plan);

/// Maps a flat image, or lets its backend load it; refuses an image that needs extensions the host
/// lacks. Registers its name with perf and gdb where asked.
Result<std::unique_ptr<codegen::LoadedKernel>> load_image(const codegen::KernelImage& image,
                                                          const codegen::Backend& backend);

}  // namespace lathe::runtime
