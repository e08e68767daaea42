// Is a candidate right? Nothing may win that has not passed here.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "codegen/backend.h"
#include "compiler/family.h"
#include "compiler/limits.h"
#include "ir/graph/reference.h"
#include "ir/tensor.h"
#include "runtime/cpu/thread_pool.h"
#include "runtime/launch/compiled_kernel.h"
#include "tuner/inputs.h"

namespace lathe::tuner {

/// The worst element of a comparison, or none.
struct Comparison {
  bool passed = true;
  int64_t row = 0;      ///< of the worst failure
  double worst = 0;     ///< largest difference over what the limit allows there; above 1 fails
  std::string message;  ///< of the worst failure: operand, index, found, expected, allowed
};

/// Compares an output with the oracle's, element by element.
Comparison compare(const std::string& operand, const ir::Tensor& found,
                   const ir::graph::DoubleTensor& expected, const compiler::Limit& limit);

/// The oracle's answers for one problem, made once and held against every candidate.
class Checker {
 public:
  /// `at`: the true sizes, whose inputs are `shared`.
  Checker(compiler::Problem problem, compiler::Sizes at, SharedInputs& shared);

  /// Before anything native runs: interprets the plan on the small shape (of the family's miniature
  /// where the problem is too large to interpret), with bounds checks and the proof that threads
  /// write disjoint bytes, and compares with the oracle. mismatch or verify_error.
  Status check_interpreted(const runtime::CompiledKernel& kernel, const codegen::Backend& backend);

  /// The native kernel on the small shape in full, contiguous and with padded rows in turn, on rows
  /// of every kind (compiler/check_inputs.h); and at true size on whole rows: the first, the last
  /// and six between, so on every block edge of a row, or on the family's sample of them; with an
  /// operand that is updated on all rows. Of such an operand all that the oracle leaves as it was
  /// has to be there to the bit. Returns what was checked, for the record. mismatch otherwise.
  Result<std::string> check_native(const runtime::CompiledKernel& kernel,
                                   const codegen::Backend& backend, runtime::ThreadPool& pool);

 private:
  struct Case {
    compiler::InputPattern pattern;
    std::vector<ir::Tensor> inputs;
    std::vector<ir::graph::DoubleTensor> expected;
  };
  /// What is checked in full.
  struct Small {
    compiler::Sizes sizes;
    std::vector<Case> cases;
  };
  /// A kernel and the small shape it is checked on.
  struct SmallKernel {
    std::shared_ptr<const runtime::CompiledKernel> owned;  ///< of a miniature
    const runtime::CompiledKernel* kernel = nullptr;
    const Small* small = nullptr;
  };
  Result<SmallKernel> small_of(const runtime::CompiledKernel& kernel,
                               const codegen::Backend& backend);
  Status prepare_true_size(const runtime::CompiledKernel& kernel);
  Status check_small(const SmallKernel& small, const Case& one, int64_t padding,
                     runtime::ThreadPool& pool) const;
  Status check_true_size(const runtime::CompiledKernel& kernel, runtime::ThreadPool& pool) const;
  /// The part of an operand of the true size that the oracle computes.
  ir::Tensor chosen(const ir::Tensor& tensor, const runtime::CompiledKernel& kernel,
                    size_t operand) const;

  compiler::Problem problem_;
  compiler::Sizes at_;
  std::map<std::string, Small> small_;  ///< by problem line and sizes; made at the first check
  SharedInputs& shared_;
  SharedInputs::Inputs true_inputs_;
  std::vector<ir::graph::DoubleTensor> true_expected_;  ///< of the chosen rows and columns
  std::vector<int64_t> chosen_rows_;
  std::vector<compiler::Sample::Take> chosen_columns_;
};

}  // namespace lathe::tuner
