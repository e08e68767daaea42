// Inputs and expected outputs for kernel problems, and running them by any means: the interpreter,
// native code, an emulator.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "compiler/check_inputs.h"
#include "compiler/family.h"
#include "ir/graph/reference.h"
#include "ir/plan/interpreter.h"
#include "ir/target.h"
#include "ir/tensor.h"

namespace lathe::tests {

using compiler::InputKind;
using compiler::InputPattern;

/// What the tuner checks with, and rows that are all offset: their mean must cost layer_norm
/// nothing.
std::vector<InputPattern> adversarial_patterns(int64_t rows);

/// A problem with its operands and what the oracle makes of them.
struct KernelCase {
  compiler::Problem problem;
  compiler::Sizes sizes;
  InputPattern pattern;
  std::vector<ir::Tensor> inputs;  ///< but those that an output updates
  std::vector<ir::Tensor> before;  ///< for each output: what it holds before a call, if updated
  std::vector<ir::graph::DoubleTensor> expected;  ///< unrounded
  std::vector<ir::Tensor> rounded;                ///< as the outputs' types hold them
};

/// `rows` rows; tables get few entries. The same on every host.
Result<KernelCase> make_case(const std::string& problem_line, int64_t rows,
                             InputPattern pattern = InputKind::normal);
/// Elements of operands of integers, by the operand's name.
using GivenElements = std::map<std::string, std::vector<int64_t>>;
/// The same with these sizes of named dimensions, and these elements where the problem has such
/// operands.
Result<KernelCase> make_case(const std::string& problem_line, const compiler::Sizes& sizes,
                             InputPattern pattern = InputKind::normal,
                             const GivenElements& given = {});

/// How operands lie in memory and how the plan is cut.
struct CaseOptions {
  int64_t padding =
      0;  ///< elements (blocks, for quantised types) between the end of a row and the next
  bool in_place =
      false;  ///< each output is the memory of an input of its type and shape, where there is one
  int threads = 2;
};

/// Runs a plan on operands in call order; `variables` are the plan's inputs.
using Executor = std::function<Status(const ir::plan::Plan& plan,
                                      std::span<const ir::plan::OperandView> operands,
                                      std::span<const int64_t> variables)>;

/// Through the interpreter, which checks bounds and that workers write disjoint bytes.
Executor interpreted();

/// Builds the plan, runs it on memory that ends at protected pages, and compares with the oracle by
/// the table of limits; bytes between rows must stay as they were, and so must what an updated
/// operand holds where the oracle replaces nothing. mismatch naming operand and place.
Status run_case(const KernelCase& kernel_case, const compiler::Schedule& schedule,
                const ir::Target& target, const Executor& executor,
                const CaseOptions& options = {});

/// What the plan makes of the case's inputs, compared with nothing.
Result<std::vector<ir::Tensor>> outputs_of(const KernelCase& kernel_case,
                                           const compiler::Schedule& schedule,
                                           const ir::Target& target, const Executor& executor,
                                           const CaseOptions& options = {});

/// Problem lines that between them reach every family, parameter and kind of code, of element type
/// `type` and about `width` wide (rounded up where a family needs a multiple).
std::vector<std::string> problem_lines(const std::string& type, int64_t width);

/// Those of them whose rows are scaled by statistics of their own, and come to these as finite as
/// they are (at most added up before): InputKind::huge is for them.
std::vector<std::string> row_statistics_lines(const std::string& type, int64_t width);

/// Schedules that between them take every value of every knob at least once, the default first.
std::vector<compiler::Schedule> every_knob_value(const compiler::SearchSpace& space);

}  // namespace lathe::tests
