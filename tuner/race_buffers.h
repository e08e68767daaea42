// Sets of operands to time with.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ir/tensor.h"
#include "runtime/launch/compiled_kernel.h"
#include "runtime/launch/launch.h"
#include "tuner/cold_caches.h"
#include "tuner/inputs.h"

namespace lathe::tuner {

/// One or several sets of a kernel's operands. Several calls in a row are one pass, each on a set
/// of its own; cold ones have as many sets as make a pass long against a wake-up.
class RaceBuffers {
 public:
  /// The inputs of the first set, and the tables of all, are `shared`. `sets`: 0 for as many as the
  /// above says; another number for who compares ways of making operands cold.
  /// resource_exhausted where one set exceeds what check_memory() allows.
  static Result<RaceBuffers> create(const runtime::CompiledKernel& kernel,
                                    const compiler::Sizes& at, bool cold, SharedInputs& shared,
                                    size_t sets = 0);

  size_t sets() const { return views_.size(); }
  /// The set as operands of the kernel, each as its problem says that it lies; or of another kernel
  /// of the same work, whose weight is packed or whose cache lies otherwise: values are random in
  /// any order. internal where an operand needs more memory than it has.
  Result<std::vector<TensorView>> views(size_t set, const runtime::CompiledKernel& kernel) const;

  /// What calls on the first `sets` sets touch: operands, and of tables the entries named.
  std::span<const ColdCaches::Bytes> touched(size_t sets) const;
  /// The share of it that calls write.
  double written_share() const { return written_share_; }

 private:
  void add_set(const runtime::CompiledKernel& kernel, const std::vector<ir::Tensor>* copied,
               const std::vector<ir::Tensor>& outputs);

  compiler::Sizes at_;
  SharedInputs::Inputs first_;                    ///< inputs of the first set, tables of all
  std::vector<std::vector<ir::Tensor>> tensors_;  ///< of each set, but for those
  std::vector<std::vector<TensorView>> views_;
  std::vector<ColdCaches::Bytes> touched_;  ///< set after set
  std::vector<size_t> ends_;                ///< of each set's among them
  double written_share_ = 0;
};

}  // namespace lathe::tuner
